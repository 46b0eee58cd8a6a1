"""Global pooling: one number per channel and picture, whatever the picture's size.

    average:  y[n, c] = 1/(H*W) * sum over h, w of x[n, h, w, c]        dx[n, h, w, c] = dy[n, c] / (H*W)
    max:      y[n, c] = max over h, w of x[n, h, w, c]                  dx = dy where x is the maximum, else 0

Where the maximum occurs k times, each of them gets dy / k. (Max pooling with a window gives it all to the first. Both
are what TensorFlow does: one is its pooling operation, the other its general maximum.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.calls import Into, Run
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.global_pooling_loops import (
    blocks_of,
    find_maxima,
    gather_maxima,
    gather_means,
    put_shares,
    spread,
    spread_to_maxima,
    sum_blocks,
)
from minicnn.ops.memory import empty
from minicnn.shapes import Array, Shape


class GlobalAveragePool2DCache(NamedTuple):
    """The shape over which the gradient is spread."""

    x_shape: Shape
    keepdims: bool


class GlobalMaxPool2DCache(NamedTuple):
    """``ties`` and ``places`` (N, C): how often the maximum occurs, and one pixel, h*W + w, where it does.

    ``x`` is remembered only where some maximum occurs several times.
    """

    ties: Array
    places: Array
    x: Array | None
    x_shape: Shape
    keepdims: bool


def global_average_pool2d(x: Array, *, keepdims: bool = False) -> tuple[Array, GlobalAveragePool2DCache]:
    """(N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``. One pass over x. Raises ShapeError, DtypeError.

    Eight numbers at a time are added up in the dtype of x, their sums in float64.
    """
    x = check_pictures(x)
    N, _, _, C = x.shape
    sums, y = np.empty(blocks_of(x.shape)), np.empty((N, C), x.dtype)
    sum_blocks(x.nbytes, x, sums)
    gather_means(x.reshape(N, -1, C), sums, y)  # (N, H, W, C) -> (N, H*W, C)
    return _shaped(y, keepdims), GlobalAveragePool2DCache(x.shape, keepdims)


def global_average_pool2d_of(x: Array, *, keepdims: bool = False) -> Into:
    """The same for C-contiguous inputs like ``x``, without asking whether they are; and no cache."""
    N, _, _, C = x.shape
    found = blocks_of(x.shape)

    def bind(x: Array, y: Array) -> Run:
        sums, pixels, means = np.empty(found), x.reshape(N, -1, C), y.reshape(N, C)
        add_up = sum_blocks.bound(x.nbytes, x, sums)

        def run() -> None:
            add_up()
            gather_means(pixels, sums, means)

        return run

    return Into((N, 1, 1, C) if keepdims else (N, C), x.dtype, bind, keeps=8 * math.prod(found))


def global_average_pool2d_backward(dy: Array, cache: GlobalAveragePool2DCache) -> Array:
    """(N, C) or (N, 1, 1, C) -> dx (N, H, W, C): every pixel had the same share. Raises ShapeError."""
    _, H, W, _ = cache.x_shape
    dy = _flat(dy, cache.x_shape, cache.keepdims)
    dx = empty(cache.x_shape, dy.dtype)
    _, blocks, columns = blocks_of(cache.x_shape)
    spread(dx.nbytes, _in_columns(dy / dy.dtype.type(H * W), columns), blocks, dx)
    return dx


def global_max_pool2d(x: Array, *, keepdims: bool = False) -> tuple[Array, GlobalMaxPool2DCache]:
    """(N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``. One pass over x. Raises ShapeError, DtypeError.

    Where a maximum occurs several times, the cache remembers x itself: it must not change before the backward pass.
    """
    x = check_pictures(x)
    N, H, W, C = x.shape
    check_countable(H, W)
    found = blocks_of(x.shape)
    maxima, (found_ties, found_places) = np.empty(found, x.dtype), np.empty((2, *found), np.int32)
    find_maxima(x.nbytes, x, maxima, found_ties, found_places)
    y, (ties, places) = np.empty((N, C), x.dtype), np.empty((2, N, C), np.int32)
    pixels = x.reshape(N, -1, C)  # (N, H, W, C) -> (N, H*W, C)
    gather_maxima(pixels, maxima, found_ties, found_places, y, ties, places)
    remembered = x if ties.max() > 1 else None
    return _shaped(y, keepdims), GlobalMaxPool2DCache(ties, places, remembered, x.shape, keepdims)


def global_max_pool2d_backward(dy: Array, cache: GlobalMaxPool2DCache) -> Array:
    """(N, C) or (N, 1, 1, C) -> dx (N, H, W, C). Where the maximum is NaN, dx is NaN, as in TensorFlow."""
    ties, places, x, x_shape, keepdims = cache
    dy = _flat(dy, x_shape, keepdims)
    dx = empty(x_shape, dy.dtype)
    _, blocks, columns = blocks_of(x_shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = dy / ties.astype(dy.dtype)  # no ties where the maximum is NaN, which equals nothing
        others = 0 * shares  # so NaN there, and where dy is not finite
    pixels = len(dx), -1, x_shape[3]  # (N, H, W, C) -> (N, H*W, C)
    if x is None:
        spread(dx.nbytes, _in_columns(others, columns), blocks, dx)
        put_shares(shares, ties, places, dx.reshape(pixels))
    else:
        maxima = np.take_along_axis(x.reshape(pixels), places[:, None], axis=1)[:, 0]  # (N, H*W, C) -> (N, C)
        numbers = (_in_columns(each, columns) for each in (maxima, shares, others))
        spread_to_maxima(2 * dx.nbytes, x, *numbers, blocks, dx)
    return dx


def check_countable(rows: int, columns: int) -> None:
    """Pixels are counted in 32 bits. Raises ShapeError for a picture of more than that."""
    if rows * columns > np.iinfo(np.int32).max:
        raise ShapeError(explain("pictures of less than 2^31 pixels", f"{rows}x{columns}", "Pool parts of it first."))


def _shaped(y: Array, keepdims: bool) -> Array:
    return y[:, None, None] if keepdims else y


def _flat(dy: Array, x_shape: Shape, keepdims: bool) -> Array:
    """``dy`` as (N, C). Raises ShapeError when it is not shaped like y."""
    N, _, _, C = x_shape
    return check_upstream(dy, (N, 1, 1, C) if keepdims else (N, C)).reshape(N, C)


def _in_columns(values: Array, columns: int) -> Array:
    """(N, C) -> (N, columns): the same for each of the pixels that make a row."""
    together = columns // values.shape[1]
    return np.tile(values, (1, together)) if together > 1 else values
