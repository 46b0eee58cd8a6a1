"""Average pooling: every window passes on the mean of its numbers.

    y[n, oh, ow, c] = 1/M  * sum over kh, kw of  x[n, oh*SH + kh - top, ow*SW + kw - left, c]   inside the picture only
    dx[n, h, w, c]  = sum of dy[n, oh, ow, c] / M over the windows that lie over (h, w)

M is the number of the window's positions **inside the picture**: padding is not counted, so an average at the border
is the average of what is there, and a picture of ones stays a picture of ones.

Sums are taken in float64: reading the numbers takes longer than adding them up, so exact sums cost nothing.
The mean is linear in x, so backward needs no number from the forward pass: only the shape and the window.
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.ops.calls import Into, Run
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.copying import copy
from minicnn.ops.jit import njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.pooling import check_pooling, windows_over
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, splat, store, widen
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
    y = empty((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    _forward(x.nbytes, x, window.size, window.strides, top_left, y)
    return y, AveragePool2DCache(x.shape, window)


def average_pool2d_of(x: Array, window: Window) -> Into:
    """The same for C-contiguous inputs like ``x``, without asking whether they are; and no cache."""
    top_left = check_pooling(x.shape, window)

    def bind(x: Array, y: Array) -> Run:
        return _forward.bound(x.nbytes, x, window.size, window.strides, top_left, y)

    return Into((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype, bind)


def average_pool2d_backward(dy: Array, cache: AveragePool2DCache) -> Array:
    """(N, OH, OW, C) -> dx (N, H, W, C). Raises ShapeError when ``dy`` is not shaped like y."""
    (N, H, W, C), window = cache
    dy = check_upstream(dy, (N, *window.output_size(H, W), C))
    dx, shares = empty((N, H, W, C), dy.dtype), empty(dy.shape, dy.dtype)
    top_left = check_pooling(cache.x_shape, window)
    _share_out(2 * dy.nbytes, dy, (H, W), window.size, window.strides, top_left, shares)
    _backward(dx.nbytes, shares, window.size, window.strides, top_left, dx)
    return dx


@turns
def _forward(x: Array, size: Pair, strides: Pair, top_left: Pair, y: Array) -> None:
    """One output row per turn. A vector of channels sees its whole window before anything is written."""
    for row in prange(len(y) * y.shape[1]):
        _forward_row(x, size, strides, top_left, y, row)


@njit
def _forward_row(x: Array, size: Pair, strides: Pair, top_left: Pair, y: Array, row: int) -> None:
    _, H, W, C = x.shape
    _, OH, OW, _ = y.shape
    n, oh = row // OH, row % OH
    h0 = oh * strides[0] - top_left[0]
    top, bottom = max(0, h0), min(H, h0 + size[0])  # the part of the window that lies inside the picture
    for ow in range(OW):
        w0 = ow * strides[1] - top_left[1]
        left, right = max(0, w0), min(W, w0 + size[1])
        at, to, M = ((n * H + top) * W + left) * C, (row * OW + ow) * C, (bottom - top) * (right - left)
        if bottom - top == right - left == 2:
            _mean_of_four(x, at, W * C, C, y, to)
            continue
        for c in range(0, C, lanes(x)):
            total = splat(0.0, widen(load(x, 0, 0)))
            for h in range(bottom - top):
                for w in range(right - left):
                    total = total + widen(load(x, at + (h * W + w) * C + c, C - c))
            store(y, to + c, total / splat(float(M), total), C - c)


@njit
def _mean_of_four(x: Array, at: int, row: int, C: int, y: Array, to: int) -> None:
    """The mean of 2x2 pixels with C channels: the first begins ``at``, the one below it a ``row`` further on."""
    for c in range(0, C, lanes(x)):
        first, left = at + c, C - c
        total = widen(load(x, first, left)) + widen(load(x, first + C, left))
        total = total + widen(load(x, first + row, left)) + widen(load(x, first + row + C, left))
        store(y, to + c, total * splat(0.25, total), left)


@turns
def _share_out(dy: Array, picture: Pair, size: Pair, strides: Pair, top_left: Pair, shares: Array) -> None:
    """shares = dy / M: what each pixel of a window gets. Divided once, and not for every pixel."""
    N, OH, OW, C = dy.shape
    for row in prange(N * OH):
        h0 = row % OH * strides[0] - top_left[0]
        rows = min(picture[0], h0 + size[0]) - max(0, h0)
        for ow in range(OW):
            w0 = ow * strides[1] - top_left[1]
            M = float(rows * (min(picture[1], w0 + size[1]) - max(0, w0)))
            for c in range(0, C, lanes(dy)):
                at = (row * OW + ow) * C + c
                gradient = load(dy, at, C - c)
                store(shares, at, gradient / splat(M, gradient), C - c)


@turns
def _backward(shares: Array, size: Pair, strides: Pair, top_left: Pair, dx: Array) -> None:
    """One input row per turn, collecting from every window that lies over it; each number is written once."""
    for row in prange(len(dx) * dx.shape[1]):
        _backward_row(shares, size, strides, top_left, dx, row)


@njit
def _backward_row(shares: Array, size: Pair, strides: Pair, top_left: Pair, dx: Array, row: int) -> None:
    _, H, W, C = dx.shape
    _, OH, OW, _ = shares.shape
    n, h = row // H, row % H
    first_oh, end_oh = windows_over(h + top_left[0], size[0], strides[0], OH)
    for w in range(W):
        first_ow, end_ow = windows_over(w + top_left[1], size[1], strides[1], OW)
        to = (row * W + w) * C
        if end_oh - first_oh == end_ow - first_ow == 1:
            copy(shares, ((n * OH + first_oh) * OW + first_ow) * C, C, dx, to)
            continue
        for c in range(0, C, lanes(dx)):
            total = splat(0.0, load(dx, 0, 0))
            for oh in range(first_oh, end_oh):
                for ow in range(first_ow, end_ow):
                    total = total + load(shares, ((n * OH + oh) * OW + ow) * C + c, C - c)
            store(dx, to + c, total, C - c)
