"""Max pooling: every window passes on its largest number, and the gradient goes back to where that number came from.

    y[n, oh, ow, c] = max over kh, kw of  x[n, oh*SH + kh - top, ow*SW + kw - left, c]          inside the picture only
    dx[n, h, w, c]  = sum of dy[n, oh, ow, c] over the windows whose maximum came from (h, w)

Padding counts as minus infinity, so it never wins. Where several numbers of a window are the largest, the **first**
in reading order (row by row) gets the whole gradient, as in TensorFlow.

The cache is not x but a map of positions: one byte per output says which tap of its window won. For 2x2 windows that
is a sixteenth of the memory of a float32 input.

NaN is larger than everything here: a window that contains one answers NaN. TensorFlow on a CPU drops NaN instead, and
answers the lowest finite float for a window of nothing but NaN or minus infinity: a network that has diverged then
looks healthy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.jit import njit_parallel, prange
from minicnn.ops.pooling import check_pooling
from minicnn.shapes import Array, Pair, Shape, Window


class MaxPool2DCache(NamedTuple):
    """``winners`` (N, OH, OW, C): the tap that won, kh * KW + kw. ``uint8`` for windows of up to 256 taps."""

    winners: Array
    x_shape: Shape
    window: Window


def max_pool2d(x: Array, window: Window) -> tuple[Array, MaxPool2DCache]:
    """(N, H, W, C) -> (N, OH, OW, C) and the cache for ``max_pool2d_backward``. Costs KH*KW comparisons per output.

    Raises ShapeError when the window does not fit, OptionError for dilation or for paddings as wide as the window.
    """
    x = check_pictures(x)
    top_left = check_pooling(x.shape, window)
    taps = window.size[0] * window.size[1]
    y = np.empty((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    winners = np.empty(y.shape, np.uint8 if taps <= 256 else np.int32)
    _forward(x, window.size, window.strides, top_left, y, winners)
    return y, MaxPool2DCache(winners, x.shape, window)


def max_pool2d_backward(dy: Array, cache: MaxPool2DCache) -> Array:
    """(N, OH, OW, C) -> dx (N, H, W, C). Raises ShapeError when ``dy`` is not shaped like y."""
    winners, x_shape, window = cache
    dy = check_upstream(dy, winners.shape)
    dx = np.zeros(x_shape, dy.dtype)
    _backward(dy, winners, window.size, window.strides, check_pooling(x_shape, window), dx)
    return dx


@njit_parallel
def _forward(x: Array, size: Pair, strides: Pair, top_left: Pair, y: Array, winners: Array) -> None:
    """One output row per turn; channels innermost, where x, y and winners are contiguous."""
    N, H, W, C = x.shape
    _, OH, OW, _ = y.shape
    KH, KW = size
    for row in prange(N * OH):
        n, oh = row // OH, row % OH
        h0 = oh * strides[0] - top_left[0]  # the picture's row under the window's first one; may be above the picture
        first_kh, end_kh = max(0, -h0), min(KH, H - h0)
        for ow in range(OW):
            w0 = ow * strides[1] - top_left[1]
            first_kw, end_kw = max(0, -w0), min(KW, W - w0)
            for c in range(C):
                y[n, oh, ow, c] = x[n, h0 + first_kh, w0 + first_kw, c]
                winners[n, oh, ow, c] = first_kh * KW + first_kw
            for kh in range(first_kh, end_kh):
                for kw in range(first_kw, end_kw):
                    tap = kh * KW + kw
                    for c in range(C):
                        value, best = x[n, h0 + kh, w0 + kw, c], y[n, oh, ow, c]
                        # "not <=" is "larger, or one of them is NaN"; a best that is NaN already stays the first one.
                        wins = (not value <= best) and best == best
                        y[n, oh, ow, c] = value if wins else best
                        winners[n, oh, ow, c] = tap if wins else winners[n, oh, ow, c]


@njit_parallel
def _backward(dy: Array, winners: Array, size: Pair, strides: Pair, top_left: Pair, dx: Array) -> None:
    """One input row per turn, collecting from every window that lies over it: no two turns write to one number."""
    N, H, W, C = dx.shape
    _, OH, OW, _ = dy.shape
    KH, KW = size
    for row in prange(N * H):
        n, h = row // H, row % H
        for oh in range(max(0, (h + top_left[0] - KH) // strides[0] + 1), min(OH, (h + top_left[0]) // strides[0] + 1)):
            kh = h + top_left[0] - oh * strides[0]
            for ow in range(OW):
                w0 = ow * strides[1] - top_left[1]
                for kw in range(max(0, -w0), min(KW, W - w0)):
                    tap = kh * KW + kw
                    for c in range(C):
                        gradient = dy[n, oh, ow, c] if winners[n, oh, ow, c] == tap else 0.0
                        dx[n, h, w0 + kw, c] += gradient
