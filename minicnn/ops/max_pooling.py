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

from typing import Any, NamedTuple

import numpy as np

from minicnn.ops.calls import Into, Run
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.copying import clear
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.pooling import check_pooling, windows_over
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, load_like, select, splat, store
from minicnn.shapes import Array, Pair, Shape, Window

HALVING = Window((2, 2), (2, 2))  # windows side by side, none of them over padding: half as many rows and columns


class MaxPool2DCache(NamedTuple):
    """``winners`` (N, OH, OW, C): the tap that won, kh * KW + kw. ``uint8`` for windows of up to 256 taps."""

    winners: Array
    x_shape: Shape
    window: Window


def max_pool2d(x: Array, window: Window) -> tuple[Array, MaxPool2DCache]:
    """(N, H, W, C) -> (N, OH, OW, C) and the cache for ``max_pool2d_backward``. Costs KH*KW comparisons per output.

    Raises ShapeError when the window does not fit, OptionError for dilation or for paddings as wide as the window.
    """
    taps = window.size[0] * window.size[1]
    winners = empty(_output_shape(x, window), np.uint8 if taps <= 256 else np.int32)
    return _pooled(x, window, winners), MaxPool2DCache(winners, x.shape, window)


def max_pool2d_inference(x: Array, window: Window) -> Array:
    """``max_pool2d`` without a cache: who won is neither found out nor written down."""
    return _pooled(x, window, None)


def max_pool2d_of(x: Array, window: Window) -> Into:
    """The same for C-contiguous inputs like ``x``, without asking whether they are."""
    y_shape, top_left = _output_shape(x, window), check_pooling(x.shape, window)

    def bind(x: Array, y: Array) -> Run:
        return _bound(x, window, top_left, y, None)

    return Into(y_shape, x.dtype, bind)


def max_pool2d_backward(dy: Array, cache: MaxPool2DCache) -> Array:
    """(N, OH, OW, C) -> dx (N, H, W, C). Raises ShapeError when ``dy`` is not shaped like y."""
    winners, x_shape, window = cache
    dy = check_upstream(dy, winners.shape)
    top_left = check_pooling(x_shape, window)
    dx = empty(x_shape, dy.dtype)
    if _is_halving(window, x_shape, dy.shape):
        _halve_backward(dx.nbytes, dy, winners, dx)
    else:
        _backward(dx.nbytes, dy, winners, window.size, window.strides, top_left, dx)
    return dx


def _output_shape(x: Array, window: Window) -> Shape:
    check_pictures(x)
    return len(x), *window.output_size(*x.shape[1:3]), x.shape[3]


def _pooled(x: Array, window: Window, winners: Array | None) -> Array:
    x = check_pictures(x)
    top_left = check_pooling(x.shape, window)
    y = empty(_output_shape(x, window), x.dtype)
    _bound(x, window, top_left, y, winners)()
    return y


def _bound(x: Array, window: Window, top_left: Pair, y: Array, winners: Array | None) -> Run:
    if _is_halving(window, x.shape, y.shape):
        return halve.bound(x.nbytes, x, y, winners)
    return _forward.bound(x.nbytes, x, window.size, window.strides, top_left, y, winners)


def _is_halving(window: Window, x_shape: Shape, y_shape: Shape) -> bool:
    """2x2 windows side by side, none of them over padding."""
    (top, _), (left, _) = window.pads(*x_shape[1:3])
    inside = top == left == 0 and 2 * y_shape[1] <= x_shape[1] and 2 * y_shape[2] <= x_shape[2]
    return inside and window.size == window.strides == (2, 2)


@inline
def remains(best: Any, value: Any) -> Any:
    """Where the best so far remains the best: a NaN stays the first one, and no number replaces its equal."""
    return (value <= best) | (best != best)


@turns
def _forward(x: Array, size: Pair, strides: Pair, top_left: Pair, y: Array, winners: Array | None) -> None:
    """One output row per turn. A vector of channels sees its whole window before anything is written."""
    N, OH, _, _ = y.shape
    for row in prange(N * OH):
        _forward_row(x, size, strides, top_left, y, winners, row)


@njit
def _forward_row(
    x: Array, size: Pair, strides: Pair, top_left: Pair, y: Array, winners: Array | None, row: int
) -> None:
    _, H, W, C = x.shape
    _, OH, OW, _ = y.shape
    KH, KW = size
    n, oh = row // OH, row % OH
    h0 = oh * strides[0] - top_left[0]  # the picture's row under the window's first one; may be above the picture
    first_kh, end_kh = max(0, -h0), min(KH, H - h0)
    for ow in range(OW):
        w0 = ow * strides[1] - top_left[1]
        first_kw, end_kw = max(0, -w0), min(KW, W - w0)
        for c in range(0, C, lanes(x)):
            left = C - c
            best = load(x, ((n * H + h0 + first_kh) * W + w0 + first_kw) * C + c, left)
            if winners is not None:
                winner = splat(winners.dtype.type(first_kh * KW + first_kw), best)
            for kh in range(first_kh, end_kh):
                for kw in range(first_kw, end_kw):
                    value = load(x, ((n * H + h0 + kh) * W + w0 + kw) * C + c, left)
                    stays = remains(best, value)
                    best = select(stays, best, value)
                    if winners is not None:
                        winner = select(stays, winner, splat(winners.dtype.type(kh * KW + kw), best))
            store(y, (row * OW + ow) * C + c, best, left)
            if winners is not None:
                store(winners, (row * OW + ow) * C + c, winner, left)


@turns
def halve(x: Array, y: Array, winners: Array | None) -> None:
    """``_forward`` for 2x2 windows side by side: no window to cut at an edge, no loop over its taps."""
    N, OH, _, _ = y.shape
    for row in prange(N * OH):
        _halve_row(x, y, winners, row)


@njit
def _halve_row(x: Array, y: Array, winners: Array | None, row: int) -> None:
    _, H, W, C = x.shape
    _, OH, OW, _ = y.shape
    n, oh = row // OH, row % OH
    for ow in range(OW):
        halve_window(x, ((n * H + 2 * oh) * W + 2 * ow) * C, W * C, C, y, (row * OW + ow) * C, winners)


@njit
def halve_window(x: Array, at: int, row: int, C: int, y: Array, to: int, winners: Array | None) -> None:
    """One window of 2x2 pixels with C channels: the first begins ``at``, the one below it a ``row`` further on."""
    for c in range(0, C, lanes(x)):
        left = C - c
        best = load(x, at + c, left)
        value1, value2, value3 = (
            load(x, at + C + c, left),
            load(x, at + row + c, left),
            load(x, at + row + C + c, left),
        )
        stays1 = remains(best, value1)
        best = select(stays1, best, value1)
        stays2 = remains(best, value2)
        best = select(stays2, best, value2)
        stays3 = remains(best, value3)
        best = select(stays3, best, value3)
        store(y, to + c, best, left)
        if winners is not None:
            winner = select(stays1, splat(np.uint8(0), best), splat(np.uint8(1), best))
            winner = select(stays2, winner, splat(np.uint8(2), best))
            winner = select(stays3, winner, splat(np.uint8(3), best))
            store(winners, to + c, winner, left)


@turns
def _backward(dy: Array, winners: Array, size: Pair, strides: Pair, top_left: Pair, dx: Array) -> None:
    """One input row per turn, collecting from every window that lies over it: no two turns write to one number."""
    N, H, _, _ = dx.shape
    for row in prange(N * H):
        _backward_row(dy, winners, size, strides, top_left, dx, row)


@njit
def _backward_row(dy: Array, winners: Array, size: Pair, strides: Pair, top_left: Pair, dx: Array, row: int) -> None:
    _, H, W, C = dx.shape
    _, OH, OW, _ = dy.shape
    n, h = row // H, row % H
    first_oh, end_oh = windows_over(h + top_left[0], size[0], strides[0], OH)
    # of a pixel's windows: where each begins in dy, and which of its taps the pixel is; a window may be far larger than
    # the picture, and then there are fewer windows than taps
    windows = np.empty((min(size[0], OH) * min(size[1], OW), 2), np.intp)
    for w in range(W):
        first_ow, end_ow = windows_over(w + top_left[1], size[1], strides[1], OW)
        count = 0
        for oh in range(first_oh, end_oh):
            for ow in range(first_ow, end_ow):
                windows[count, 0] = ((n * OH + oh) * OW + ow) * C
                windows[count, 1] = (h + top_left[0] - oh * strides[0]) * size[1] + w + top_left[1] - ow * strides[1]
                count += 1
        for c in range(0, C, lanes(dx)):
            zero = splat(0.0, load(dx, 0, 0))
            total = zero
            for k in range(count):
                at, tap = windows[k, 0] + c, splat(winners.dtype.type(windows[k, 1]), zero)
                came_from_here = load_like(winners, at, C - c, zero) == tap
                total = total + select(came_from_here, load(dy, at, C - c), zero)
            store(dx, (row * W + w) * C + c, total, C - c)


@turns
def _halve_backward(dy: Array, winners: Array, dx: Array) -> None:
    """``_backward`` for 2x2 windows side by side: two input rows per turn, each number written once."""
    N, H, _, _ = dx.shape
    for pair in prange(N * ((H + 1) // 2)):
        _halve_backward_rows(dy, winners, dx, pair)


@njit
def _halve_backward_rows(dy: Array, winners: Array, dx: Array, pair: int) -> None:
    _, H, W, C = dx.shape
    _, OH, OW, _ = dy.shape
    n, oh = pair // ((H + 1) // 2), pair % ((H + 1) // 2)
    upper = (n * H + 2 * oh) * W * C
    lower = upper + W * C
    if oh == OH:  # the last row of a picture of odd height: no window sees it
        clear(dx, upper, W * C)
        return
    for ow in range(OW):
        for c in range(0, C, lanes(dx)):
            left = C - c
            at = ((n * OH + oh) * OW + ow) * C + c
            gradient, winner = load(dy, at, left), load_like(winners, at, left, load(dy, at, left))
            zero = splat(0.0, gradient)
            into = 2 * ow * C + c
            store(dx, upper + into, select(winner == splat(np.uint8(0), zero), gradient, zero), left)
            store(dx, upper + into + C, select(winner == splat(np.uint8(1), zero), gradient, zero), left)
            store(dx, lower + into, select(winner == splat(np.uint8(2), zero), gradient, zero), left)
            store(dx, lower + into + C, select(winner == splat(np.uint8(3), zero), gradient, zero), left)
    width = 2 * OW * C
    clear(dx, upper + width, W * C - width)  # the last column of an odd width
    clear(dx, lower + width, W * C - width)
