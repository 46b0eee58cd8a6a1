"""GlobalAveragePooling2D and GlobalMaxPooling2D: formulas, and what goes wrong in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.checking.simple import PICTURES, both, instead, on_dx, on_y
from minicnn.checking.subject import Arguments, Mistake
from minicnn.layers import GlobalAveragePooling2D, GlobalMaxPooling2D
from minicnn.shapes import Array


def _global(kind: Callable[..., Array]) -> Callable[[Arguments], Array]:
    return lambda a: kind(a["x"], axis=a.get("axes", (1, 2)), keepdims=a["keepdims"])


def _spread(a: Arguments) -> Array:
    """dy, (N, C) or (N, 1, 1, C), for every pixel."""
    dy: Array = a["dy"].reshape(len(a["x"]), 1, 1, -1) * np.ones_like(a["x"])
    return dy


def _winners(a: Arguments) -> Array:
    ties = a["x"] == a["x"].max(axis=(1, 2), keepdims=True)
    if a.get("share") == "first":
        flat = ties.reshape(len(ties), -1, ties.shape[3])  # (N, H, W, C) -> (N, H*W, C)
        result: Array = _spread(a) * (ties & (flat.cumsum(axis=1).reshape(ties.shape) == 1))
        return result
    result = _spread(a) * ties / (1 if a.get("share") == "all" else ties.sum(axis=(1, 2), keepdims=True))
    return result


AXES = (
    instead(
        "axes of NCHW", "It pools over axes 2 and 3. In (N, H, W, C) rows and columns are axes 1 and 2.", axes=(2, 3)
    ),
    Mistake(
        "keepdims ignored",
        "The shape is the same whatever keepdims says: True keeps (N, 1, 1, C), False gives (N, C).",
        before=lambda a: {"keepdims": False},
    ),
)
GLOBAL_AVERAGE = both(
    GlobalAveragePooling2D,
    _global(np.mean),
    lambda a: _spread(a) / (a["x"].shape[1] * a["x"].shape[2]),
    (
        (
            *AXES,
            on_y(
                "sum instead of mean",
                "The pixels are added up but not divided.",
                lambda y, a: y * a["x"].shape[1] * a["x"].shape[2],
            ),
            on_y(
                "divided by the rows alone",
                "The sum is divided by H; it has H * W terms.",
                lambda y, a: y * a["x"].shape[2],
            ),
        ),
        (
            on_dx(
                "gradient not divided",
                "Each pixel gets all of dy; its share is dy / (H * W).",
                lambda dx, a: _spread(a),
            ),
            on_dx(
                "divided by the rows alone",
                "The gradient is divided by H; it is shared by H * W pixels.",
                lambda dx, a: dx * a["x"].shape[2],
            ),
        ),
    ),
    shapes=PICTURES,
    options={"keepdims": (False, True)},
)
GLOBAL_MAX = both(
    GlobalMaxPooling2D,
    _global(np.max),
    _winners,
    (
        (*AXES, on_y("mean instead of max", "It takes the mean of each channel.", lambda y, a: _global(np.mean)(a))),
        (
            instead(
                "gradient to all ties",
                "Every pixel that equals the maximum gets the whole gradient. Keras's *global* pooling splits "
                "it evenly.",
                share="all",
            ),
            instead(
                "gradient to the first tie",
                "Of equal maxima the first gets everything. Keras's *global* pooling splits it evenly.",
                share="first",
            ),
        ),
    ),
    shapes=PICTURES,
    options={"keepdims": (False, True)},
)


GLOBAL_POOLINGS = (*GLOBAL_AVERAGE, *GLOBAL_MAX)
