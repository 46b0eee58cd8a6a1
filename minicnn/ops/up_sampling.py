"""Up-sampling: pictures SH times as high and SW times as wide.

    nearest     y[i*S + p] = x[i]                                          S equal rows for every row; columns likewise
    bilinear    y[i*S + p] = (1 - f) * x[i + k] + f * x[i + k + 1]         a blend of the two rows closest to it

Row p of the S rows that stand for row i has its middle at i + (p + 1/2)/S - 1/2, in rows of x. k (-1 or 0) and f are
that number's whole and broken part without i; they depend on the *phase* p alone. Beyond the border the outermost row
goes on.

Both are linear: the gradient goes back along the same weights, and what was read several times gets the sum.
Cost: S*S outputs per input, up to two multiplications each when blended; one pass for both axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.memory import empty
from minicnn.ops.up_sampling_loops import add_blocks, blend, blend_backward, repeat
from minicnn.shapes import Array, IntOrPair, Pair, Shape, pair

NEAREST, BILINEAR = "nearest", "bilinear"


class UpSampling2DCache(NamedTuple):
    """How pictures were enlarged. No array: a linear operation forgets its input."""

    x_shape: Shape
    size: Pair
    interpolation: str


def up_sampling2d(x: Array, size: IntOrPair = 2, interpolation: str = NEAREST) -> tuple[Array, UpSampling2DCache]:
    """(N, H, W, C) -> (N, H*SH, W*SW, C) and the cache. Raises ShapeError, DtypeError, OptionError."""
    x = check_pictures(x)
    factors = pair(size, "size")
    check_interpolation(interpolation)
    y = empty(_enlarged(x.shape, factors), x.dtype)
    if interpolation == BILINEAR:
        blend(2 * y.nbytes, x, factors, *(_shares(factor, x.dtype) for factor in factors), y)
    else:
        repeat(y.nbytes, x, factors, y)
    return y, UpSampling2DCache(x.shape, factors, interpolation)


def up_sampling2d_backward(dy: Array, cache: UpSampling2DCache) -> Array:
    """(N, H*SH, W*SW, C) -> dx (N, H, W, C). Raises ShapeError when ``dy`` is not shaped like y."""
    x_shape, factors, interpolation = cache
    dy = check_upstream(dy, _enlarged(x_shape, factors))
    dx = empty(x_shape, dy.dtype)
    if interpolation == BILINEAR:
        blend_backward(2 * dy.nbytes, dy, factors, *_both_shares(x_shape, factors, dy.dtype), dx)
    else:
        add_blocks(dy.nbytes, dy, factors, dx)
    return dx


def check_interpolation(interpolation: str) -> str:
    """One of the two ways. Raises OptionError."""
    if interpolation not in (NEAREST, BILINEAR):
        raise OptionError(explain(f"interpolation '{NEAREST}' or '{BILINEAR}'", repr(interpolation)))
    return interpolation


def neighbours(phase: int, factor: int) -> tuple[int, float]:
    """(where the first of the two rows starts, in a picture with one row more on either side; the second's share)."""
    middle = (phase + 0.5) / factor - 0.5
    below = math.floor(middle)
    return below + 1, middle - below


def _shares(factor: int, dtype: Any) -> Array:
    """The second neighbour's share in each row of a gap: see ``up_sampling_loops``."""
    phases = range(factor // 2, factor // 2 + factor)
    return np.array([neighbours(phase % factor, factor)[1] for phase in phases], dtype)


def _both_shares(x_shape: Shape, factors: Pair, dtype: Any) -> Iterator[Array]:
    """For rows and for columns, (size, 2*S): each one's share in the gap before it, then in its own."""
    for size, factor in zip(x_shape[1:3], factors, strict=True):
        second = _shares(factor, dtype)
        shares = np.tile(np.concatenate([second, 1 - second]), (size, 1))
        shares[0, :factor] = shares[-1, factor:] = 1  # what was read beyond the border was the border
        yield shares


def _enlarged(shape: Shape, size: Pair) -> Shape:
    (N, H, W, C), (SH, SW) = shape, size
    return N, H * SH, W * SW, C
