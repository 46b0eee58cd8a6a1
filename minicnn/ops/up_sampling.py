"""Up-sampling: pictures SH times as high and SW times as wide. Each axis for itself, one after the other.

    nearest     y[i*S + p] = x[i]                                          S equal rows for every row
    bilinear    y[i*S + p] = (1 - f) * x[i + k] + f * x[i + k + 1]         a blend of the two rows closest to it

Row p of the S rows that stand for row i has its middle at i + (p + 1/2)/S - 1/2, in rows of x. k (-1 or 0) and f are
that number's whole and broken part without i; they depend on p alone, so a *phase* p takes two shifted pictures. Beyond
the border the outermost row goes on.

Both are linear: the gradient goes back along the same weights, and what was read several times gets the sum.
Cost: S*S outputs per input, two multiplications each when blended.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.shapes import Array, IntOrPair, Pair, Shape, pair

NEAREST, BILINEAR = "nearest", "bilinear"
ROWS, COLUMNS = 1, 2  # axes of (N, H, W, C)


class UpSampling2DCache(NamedTuple):
    """How pictures were enlarged. No array: a linear operation forgets its input."""

    x_shape: Shape
    size: Pair
    interpolation: str


def up_sampling2d(x: Array, size: IntOrPair = 2, interpolation: str = NEAREST) -> tuple[Array, UpSampling2DCache]:
    """(N, H, W, C) -> (N, H*SH, W*SW, C) and the cache. Raises ShapeError, DtypeError, OptionError."""
    x = check_pictures(x)
    factors = pair(size, "size")
    enlarge = _blend if check_interpolation(interpolation) == BILINEAR else np.repeat
    y = enlarge(enlarge(x, factors[0], ROWS), factors[1], COLUMNS)
    return y, UpSampling2DCache(x.shape, factors, interpolation)


def up_sampling2d_backward(dy: Array, cache: UpSampling2DCache) -> Array:
    """(N, H*SH, W*SW, C) -> dx (N, H, W, C). Raises ShapeError when ``dy`` is not shaped like y."""
    (N, H, W, C), (SH, SW), interpolation = cache
    dy = check_upstream(dy, (N, H * SH, W * SW, C))
    gather = _blend_backward if interpolation == BILINEAR else _repeat_backward
    return gather(gather(dy, SW, COLUMNS), SH, ROWS)


def check_interpolation(interpolation: str) -> str:
    """One of the two ways. Raises OptionError."""
    if interpolation not in (NEAREST, BILINEAR):
        raise OptionError(explain(f"interpolation '{NEAREST}' or '{BILINEAR}'", repr(interpolation)))
    return interpolation


def _repeat_backward(dy: Array, factor: int, axis: int) -> Array:
    # axis of n*S -> n, S; a block's sum is the gradient of what it repeats
    blocks = dy.reshape(*dy.shape[:axis], dy.shape[axis] // factor, factor, *dy.shape[axis + 1 :])
    total: Array = blocks.sum(axis=axis + 1)
    return total


def _blend(x: Array, factor: int, axis: int) -> Array:
    padded = np.concatenate([_part(x, axis, 0, 1), x, _part(x, axis, -1, None)], axis=axis)
    length = x.shape[axis]
    y = np.empty((*x.shape[:axis], length * factor, *x.shape[axis + 1 :]), x.dtype)
    for phase in range(factor):
        start, share = neighbours(phase, factor)
        first, second = _part(padded, axis, start, start + length), _part(padded, axis, start + 1, start + 1 + length)
        # as first + share * (second - first): equal neighbours give exactly themselves
        _part(y, axis, phase, None, factor)[...] = first + x.dtype.type(share) * (second - first)
    return y


def _blend_backward(dy: Array, factor: int, axis: int) -> Array:
    length = dy.shape[axis] // factor
    padded = np.zeros((*dy.shape[:axis], length + 2, *dy.shape[axis + 1 :]), dy.dtype)
    for phase in range(factor):
        start, share = neighbours(phase, factor)
        gradient = _part(dy, axis, phase, None, factor)
        to_second = dy.dtype.type(share) * gradient
        _part(padded, axis, start, start + length)[...] += gradient - to_second
        _part(padded, axis, start + 1, start + 1 + length)[...] += to_second
    dx = _part(padded, axis, 1, length + 1).copy()
    _part(dx, axis, 0, 1)[...] += _part(padded, axis, 0, 1)  # what was read beyond the border was the border
    _part(dx, axis, -1, None)[...] += _part(padded, axis, -1, None)
    return dx


def neighbours(phase: int, factor: int) -> tuple[int, float]:
    """(where the first of the two rows starts, in a picture with one row more on either side; the second's share)."""
    middle = (phase + 0.5) / factor - 0.5
    below = math.floor(middle)
    return below + 1, middle - below


def _part(x: Array, axis: int, start: int, stop: int | None, step: int = 1) -> Array:
    """``x[start:stop:step]`` along ``axis``: a view."""
    return x[(slice(None),) * axis + (slice(start, stop, step),)]
