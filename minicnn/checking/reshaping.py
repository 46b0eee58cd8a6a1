"""Flatten, ZeroPadding2D and Dropout: formulas, and what goes wrong in them."""

from __future__ import annotations

import numpy as np

from minicnn.checking.simple import PICTURES, both, instead, on_dx, on_y
from minicnn.checking.subject import Arguments, Mistake
from minicnn.layers import Dropout, Flatten, ZeroPadding2D
from minicnn.shapes import Array


def _rows(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _moved(a: Arguments, axes: tuple[int, ...]) -> Array:
    """dy put back as if x had been transposed to ``axes`` before it was flattened."""
    x = a["x"]
    if x.ndim != 4:
        result: Array = a["dy"].reshape(x.shape)
        return result
    shape = tuple(x.shape[axis] for axis in axes)
    result = a["dy"].reshape(shape).transpose(np.argsort(axes))
    return result


FLATTEN = both(
    Flatten,
    lambda a: _rows(a["x"]).copy(),
    lambda a: a["dy"].reshape(a["x"].shape),
    (
        (
            on_y(
                "channels first",
                "The numbers stand in the order (C, H, W), as in PyTorch. Keras's order is (H, W, C), the one "
                "in memory; a "
                "dense layer's weights depend on it.",
                lambda y, a: _rows(a["x"].transpose(0, 3, 1, 2)) if a["x"].ndim == 4 else y,
            ),
            on_y(
                "columns first",
                "Rows and columns are exchanged, as in MATLAB's order.",
                lambda y, a: _rows(a["x"].transpose(0, 2, 1, 3)) if a["x"].ndim == 4 else y,
            ),
            on_y(
                "Fortran's order",
                "reshape(..., order='F') runs through the first axis first.",
                lambda y, a: a["x"].reshape(len(y), -1, order="F"),
            ),
            on_y(
                "batch flattened too",
                "The batch axis is gone: (N, H, W, C) becomes (N, H*W*C).",
                lambda y, a: y.reshape(-1),
            ),
        ),
        (
            on_dx(
                "channels first",
                "dy is read in the order (C, H, W); it stands in (H, W, C).",
                lambda dx, a: _moved(a, (0, 3, 1, 2)),
            ),
            on_dx("left flat", "dx has the shape of dy; it needs that of x.", lambda dx, a: a["dy"]),
        ),
    ),
)


def _padded(a: Arguments) -> Array:
    return np.pad(a["x"], ((0, 0), *a["padding"], (0, 0)), mode=a.get("mode", "constant"))


def _cut(a: Arguments) -> Array:
    (top, _), (left, _) = a["padding"]
    result: Array = a["dy"][:, top : top + a["x"].shape[1], left : left + a["x"].shape[2]].copy()
    return result


ZERO_PADDING = both(
    ZeroPadding2D,
    _padded,
    _cut,
    (
        (
            Mistake(
                "rows and columns swapped",
                "The first pair of padding is for rows (top, bottom).",
                before=lambda a: {"padding": a["padding"][::-1]},
            ),
            Mistake(
                "before and after swapped",
                "Each pair is (before, after): (top, bottom), (left, right).",
                before=lambda a: {"padding": tuple(pair[::-1] for pair in a["padding"])},
            ),
            instead("edges repeated instead of zeros", "Around the picture stand copies of its border.", mode="edge"),
        ),
        (
            on_dx(
                "padding left on dx",
                "dx still has the frame: cut it off, or its shape is not that of x.",
                lambda dx, a: a["dy"],
            ),
        ),
    ),
    shapes=PICTURES,
    options={"padding": (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((0, 1), (2, 3)))},
)


def _mask(a: Arguments, rng: np.random.Generator) -> Arguments:
    return {"mask": rng.random(a["x"].shape) >= a["rate"]}


def _dropped(a: Arguments, x: Array) -> Array:
    if not a["training"] and not a.get("awake"):
        return x.copy()
    keep = ~a["mask"] if a.get("inverse") else a["mask"]
    scales = {"kept": 1 / (1 - a["rate"]), "none": 1.0, "dropped": 1 / a["rate"]}
    return np.where(keep, x * scales[a.get("by", "kept")], 0.0)


KEPT = (
    instead(
        "not scaled",
        "What is kept stays as it was. Inverted dropout enlarges it by 1 / (1 - rate), so that inference need "
        "do nothing.",
        by="none",
    ),
    instead("scaled by 1 / rate", "rate is the share that is *dropped*: the factor is 1 / (1 - rate).", by="dropped"),
    instead("mask inverted", "What should be kept is dropped: mask is True where a number stays.", inverse=True),
    instead("active in inference", "It drops numbers with training=False too, where x passes as it is.", awake=True),
)
DROPOUT = both(
    Dropout,
    lambda a: _dropped(a, a["x"]),
    lambda a: _dropped(a, a["dy"]),
    (
        (
            *KEPT,
            on_y(
                "scaled in inference",
                "With training=False it multiplies by 1 - rate: that belongs to dropout that is not inverted.",
                lambda y, a: y if a["training"] else y * (1 - a["rate"]),
            ),
        ),
        KEPT,
    ),
    options={"rate": (0.5, 0.25), "training": (True, False)},
    extra=_mask,
)


RESHAPINGS = (*FLATTEN, *ZERO_PADDING, *DROPOUT)
