"""MaxPooling2D and AveragePooling2D: cases, formulas and arithmetic.

The formulas have knobs for the mistakes in ``pooling_mistakes``: ``fill`` is what stands around the picture, ``take``
how a window becomes one number, ``count`` what it is divided by, ``share`` who gets its gradient, ``overwrite`` what
happens where windows overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.arithmetic import MOST_TERMS, at
from minicnn.checking.pooling_mistakes import MAX_BACKWARD, MAX_FORWARD, MEAN_BACKWARD, MEAN_FORWARD
from minicnn.checking.subject import (
    FILLS,
    Arguments,
    Index,
    Results,
    Settings,
    Subject,
    UndefinedError,
    numbers,
)
from minicnn.checking.windows import gathered, scattered, window_of
from minicnn.layers import AveragePooling2D, MaxPooling2D
from minicnn.shapes import Array

CHOICES: dict[str, tuple[Any, ...]] = {
    "batch": (1, 2),
    "height": (1, 2, 3, 4, 5, 6, 7),
    "width": (1, 2, 3, 4, 5, 6, 7),
    "channels": (1, 2, 3),
    "pool_size": ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3)),
    "strides": (None, (1, 1), (2, 2), (2, 1), (3, 3)),
    "padding": ("valid", "same"),
    "fill": FILLS,
    "sign": (1, -1),
}


def _grid() -> Iterator[Settings]:
    usual = {"batch": 2, "height": 7, "width": 6, "channels": 3}
    for pool_size, strides, padding in product(((2, 2), (3, 3), (2, 3)), CHOICES["strides"], ("valid", "same")):
        yield usual | {"pool_size": pool_size, "strides": strides, "padding": padding, "fill": "random"}
    for pool_size, padding in product(((2, 2), (3, 3)), ("valid", "same")):
        yield usual | {"pool_size": pool_size, "padding": padding, "fill": "integers"}  # ties
        yield usual | {"pool_size": pool_size, "padding": padding, "fill": "counting", "sign": -1}  # all below 0
    yield {"height": 3, "width": 3, "pool_size": (2, 2), "strides": (1, 1), "fill": "integers"}
    yield {"height": 3, "width": 3, "channels": 3, "pool_size": (2, 2), "strides": (1, 1), "fill": "counting"}


def _arguments(settings: Settings, rng: np.random.Generator, backward: bool) -> Arguments:
    shape = tuple(settings[name] for name in ("batch", "height", "width", "channels"))
    options = {name: settings[name] for name in ("pool_size", "strides", "padding")}
    arguments = {"x": settings["sign"] * numbers(shape, settings["fill"], rng), **options}
    size = window_of(arguments).output_size(*shape[1:3])
    fill = "random" if settings["fill"] == "integers" else settings["fill"]
    return arguments | ({"dy": numbers((shape[0], *size, shape[3]), fill, rng)} if backward else {})


def _seen(a: Arguments, fill: float) -> tuple[Array, Array]:
    """What each window sees, (N, OH, OW, KH, KW, C), and which of it lies in the picture."""
    window = window_of(a)
    inside = gathered(np.ones_like(a["x"]), window) > 0
    return gathered(a["x"], window, a.get("fill", fill)), inside


def _max(a: Arguments) -> Results:
    seen, _ = _seen(a, -np.inf)
    return {"y": seen.mean(axis=(3, 4)) if a.get("take") == "mean" else seen.max(axis=(3, 4))}


def _mean(a: Arguments) -> Results:
    seen, inside = _seen(a, 0.0)
    if a.get("take", "mean") == "max":
        return {"y": np.where(inside, seen, -np.inf).max(axis=(3, 4))}
    return {"y": seen.sum(axis=(3, 4)) / _count(a, inside)}


def _count(a: Arguments, inside: Array) -> Array:
    """What each window is divided by: (N, OH, OW, C)."""
    taps = inside.shape[3] * inside.shape[4]
    counts: dict[str, Any] = {"inside": inside.sum(axis=(3, 4)), "all": taps, "none": 1}
    count: Array = counts[a.get("count", "inside")] * np.ones(inside.shape[:3] + inside.shape[5:])
    return count


def _max_backward(a: Arguments) -> Results:
    seen, _ = _seen(a, -np.inf)
    _require_same_windows(a, seen)
    flat = seen.reshape(*seen.shape[:3], -1, seen.shape[5])  # (N, OH, OW, KH, KW, C) -> (N, OH, OW, KH*KW, C)
    ties = flat == flat.max(axis=3, keepdims=True)
    first = np.zeros_like(flat)
    np.put_along_axis(first, flat.argmax(axis=3)[:, :, :, None], 1.0, axis=3)
    last = np.zeros_like(flat)
    np.put_along_axis(last, flat.shape[3] - 1 - flat[:, :, :, ::-1].argmax(axis=3)[:, :, :, None], 1.0, axis=3)
    share = a.get("share", "first")
    shares = {"first": first, "last": last, "all": ties, "split": ties / ties.sum(axis=3, keepdims=True)}
    shares["every"] = np.ones_like(flat) / flat.shape[3]
    values = (shares[share] * a["dy"][:, :, :, None]).reshape(seen.shape)
    return {"dx": scattered(values, a["x"].shape, window_of(a), overwrite=a.get("overwrite", ""))}


def _mean_backward(a: Arguments) -> Results:
    seen, inside = _seen(a, 0.0)
    _require_same_windows(a, seen)
    values = (a["dy"] / _count(a, inside))[:, :, :, None, None] * np.ones_like(seen)
    return {"dx": scattered(values, a["x"].shape, window_of(a), overwrite=a.get("overwrite", ""))}


def _require_same_windows(a: Arguments, seen: Array) -> None:
    if seen.shape[1:3] != a["dy"].shape[1:3]:
        raise UndefinedError


def _twin(a: Arguments, average: bool) -> MaxPooling2D | AveragePooling2D:
    kind = AveragePooling2D if average else MaxPooling2D
    layer = kind(a["pool_size"], a["strides"], a["padding"])
    layer.build(a["x"].shape[1:], np.random.default_rng(0))
    return layer


def _arithmetic(a: Arguments, name: str, index: Index, average: bool) -> str:
    if name == "dx":
        return ""
    seen, inside = _seen(a, 0.0)
    n, i, j, c = index
    values = seen[n, i, j, :, :, c][inside[n, i, j, :, :, c]]
    if values.size > MOST_TERMS:
        return ""
    shown = ", ".join(f"{value:g}" for value in values)
    what = f"the mean of the {values.size} pixels" if average else "the largest of the pixels"
    return f"{at('y', index)} is {what} that its window covers: {shown}"


POOLINGS = tuple(
    Subject(
        layer="AveragePooling2D" if average else "MaxPooling2D",
        direction="backward" if backward else "forward",
        results=("dx",) if backward else ("y",),
        choices=CHOICES,
        grid=_grid,
        arguments=partial(_arguments, backward=backward),
        formula=formula,
        twin=partial(_twin, average=average),
        mistakes=mistakes,
        defaults={"pool_size": (2, 2), "strides": None, "padding": "valid"},
        single={"stride": "strides", "size": "pool_size"},
        arithmetic=partial(_arithmetic, average=average),
    )
    for average, backward, formula, mistakes in (
        (False, False, _max, MAX_FORWARD),
        (False, True, _max_backward, MAX_BACKWARD),
        (True, False, _mean, MEAN_FORWARD),
        (True, True, _mean_backward, MEAN_BACKWARD),
    )
)
