"""Average pooling: every window passes on the mean of its numbers.

    y[n, oh, ow, c] = 1/M  * sum over kh, kw of  x[n, oh*SH + kh - top, ow*SW + kw - left, c]   inside the picture only
    dx[n, h, w, c]  = sum of dy[n, oh, ow, c] / M over the windows that lie over (h, w)

M is the number of the window's positions **inside the picture**: padding is not counted, so an average at the border
is the average of what is there, and a picture of ones stays a picture of ones.

The mean is linear in x, so backward needs no number from the forward pass: only the shape and the window.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.jit import njit_parallel, prange
from minicnn.ops.pooling import check_pooling
from minicnn.shapes import Array, Pair, Shape, Window


class AveragePool2DCache(NamedTuple):
    """Where the windows lay. No array: a linear operation forgets its input."""

    x_shape: Shape
    window: Window


def average_pool2d(x: Array, window: Window) -> tuple[Array, AveragePool2DCache]:
    """(N, H, W, C) -> (N, OH, OW, C) and the cache for ``average_pool2d_backward``. Costs KH*KW additions per output.

    Raises ShapeError when the window does not fit, OptionError for dilation or for paddings as wide as the window.
    """
    x = check_pictures(x)
    top_left = check_pooling(x.shape, window)
    y = np.zeros((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    _forward(x, window.size, window.strides, top_left, y)
    return y, AveragePool2DCache(x.shape, window)


def average_pool2d_backward(dy: Array, cache: AveragePool2DCache) -> Array:
    """(N, OH, OW, C) -> dx (N, H, W, C). Raises ShapeError when ``dy`` is not shaped like y."""
    (N, H, W, C), window = cache
    dy = check_upstream(dy, (N, *window.output_size(H, W), C))
    dx = np.zeros((N, H, W, C), dy.dtype)
    _backward(dy, window.size, window.strides, check_pooling(cache.x_shape, window), dx)
    return dx


@njit_parallel
def _forward(x: Array, size: Pair, strides: Pair, top_left: Pair, y: Array) -> None:
    """One output row per turn; channels innermost, where x and y are contiguous. ``y`` comes in as zeros."""
    N, H, W, C = x.shape
    _, OH, OW, _ = y.shape
    for row in prange(N * OH):
        n, oh = row // OH, row % OH
        h0 = oh * strides[0] - top_left[0]
        top, bottom = max(0, h0), min(H, h0 + size[0])  # the part of the window that lies inside the picture
        for ow in range(OW):
            w0 = ow * strides[1] - top_left[1]
            left, right = max(0, w0), min(W, w0 + size[1])
            for h in range(top, bottom):
                for w in range(left, right):
                    for c in range(C):
                        y[n, oh, ow, c] += x[n, h, w, c]
            count = (bottom - top) * (right - left)
            for c in range(C):
                y[n, oh, ow, c] /= count


@njit_parallel
def _backward(dy: Array, size: Pair, strides: Pair, top_left: Pair, dx: Array) -> None:
    """One input row per turn, collecting from every window that lies over it. ``dx`` comes in as zeros."""
    N, H, W, C = dx.shape
    _, OH, OW, _ = dy.shape
    KH, KW = size
    for row in prange(N * H):
        n, h = row // H, row % H
        for oh in range(max(0, (h + top_left[0] - KH) // strides[0] + 1), min(OH, (h + top_left[0]) // strides[0] + 1)):
            h0 = oh * strides[0] - top_left[0]
            rows = min(H, h0 + KH) - max(0, h0)
            for ow in range(OW):
                w0 = ow * strides[1] - top_left[1]
                left, right = max(0, w0), min(W, w0 + KW)
                count = rows * (right - left)
                for w in range(left, right):
                    for c in range(C):
                        dx[n, h, w, c] += dy[n, oh, ow, c] / count
