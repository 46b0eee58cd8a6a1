"""The loops behind ``up_sampling``: both axes at once, every number read and written in one pass. One row per turn.

Between the middles of two neighbouring rows of x, or at one of them, lie S rows of y that are a blend of the two. They
are the *gap* of the upper one, and begin S // 2 rows after the first row that stands for it. So do the gaps of
columns. Before the first middle and behind the last one there is half a gap, where both neighbours are the border.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.copying import passes_cache
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, splat, store, stream, widen
from minicnn.shapes import Array, Pair

LARGE_BYTES = 16 * 2**20  # where writing past the caches pays: of 6 MB it doubled the time, of 26 MB it saved a quarter

WHOLE_LINES = VECTOR_BYTES >= LINE_BYTES  # half a line at a time, past the cache, is slower than through it


@inline
def _put(y: Array, at: int, vector: Any, left: int, past: bool) -> None:
    if past:
        stream(y, at, vector)
    else:
        store(y, at, vector, left)


@turns
def repeat(x: Array, size: Pair, y: Array) -> None:
    """Each pixel becomes a block of ``size``."""
    past = WHOLE_LINES and passes_cache(y, x.shape[3], LARGE_BYTES)
    for row in prange(len(x) * x.shape[1]):
        _repeat_row(x, size, y, past, row)


@njit
def _repeat_row(x: Array, size: Pair, y: Array, past: bool, row: int) -> None:
    _, _, W, C = x.shape
    SH, SW = size
    for w in range(W):
        for c in range(0, C, lanes(x)):
            value = load(x, (row * W + w) * C + c, C - c)
            for sh in range(SH):
                for sw in range(SW):
                    _put(y, (((row * SH + sh) * W + w) * SW + sw) * C + c, value, C - c, past)


@turns
def add_blocks(dy: Array, size: Pair, dx: Array) -> None:
    """Each pixel's gradient is the sum over its block, taken in float64."""
    for row in prange(len(dx) * dx.shape[1]):
        _add_blocks_row(dy, size, dx, row)


@njit
def _add_blocks_row(dy: Array, size: Pair, dx: Array, row: int) -> None:
    _, _, W, C = dx.shape
    SH, SW = size
    for w in range(W):
        for c in range(0, C, lanes(dx)):
            total = splat(0.0, widen(load(dx, 0, 0)))
            for sh in range(SH):
                for sw in range(SW):
                    total = total + widen(load(dy, (((row * SH + sh) * W + w) * SW + sw) * C + c, C - c))
            store(dx, (row * W + w) * C + c, total, C - c)


@turns
def blend(x: Array, size: Pair, down: Array, across: Array, y: Array) -> None:
    """``down`` (SH,) and ``across`` (SW,): the second neighbour's share in each row, or column, of a gap."""
    past = WHOLE_LINES and passes_cache(y, x.shape[3], LARGE_BYTES)
    for row in prange(len(y) * y.shape[1]):
        _blend_row(x, size, down, across, y, past, row)


@njit
def _blend_row(x: Array, size: Pair, down: Array, across: Array, y: Array, past: bool, row: int) -> None:
    """First one row out of two, which the cache then holds, then its columns."""
    _, H, W, C = x.shape
    SH, SW = size
    n, oh = row // (H * SH), row % (H * SH) - SH // 2
    h = oh // SH  # the gap; -1 before the first middle
    upper, lower = (n * H + max(h, 0)) * W * C, (n * H + min(h + 1, H - 1)) * W * C
    blended = np.empty(W * C, x.dtype)
    for i in range(0, W * C, lanes(x)):
        left = W * C - i
        store(blended, i, _between(load(x, upper + i, left), load(x, lower + i, left), down[oh - h * SH]), left)
    for w in range(-1, W):
        start = w * SW + SW // 2
        for c in range(0, C, lanes(x)):
            left = C - c
            first, second = load(blended, max(w, 0) * C + c, left), load(blended, min(w + 1, W - 1) * C + c, left)
            for ow in range(max(0, start), min(W * SW, start + SW)):
                _put(y, (row * W * SW + ow) * C + c, _between(first, second, across[ow - start]), left, past)


@inline
def _between(first: Any, second: Any, share: Any) -> Any:
    """A blend. Written like this, equal neighbours give exactly themselves."""
    return first + splat(share, first) * (second - first)


@turns
def blend_backward(dy: Array, size: Pair, down: Array, across: Array, dx: Array) -> None:
    """``down`` (H, 2*SH) and ``across`` (W, 2*SW): each one's share in the gap before it, then in its own."""
    for row in prange(len(dx) * dx.shape[1]):
        _blend_backward_row(dy, size, down, across, dx, row)


@njit
def _blend_backward_row(dy: Array, size: Pair, down: Array, across: Array, dx: Array, row: int) -> None:
    _, H, W, C = dx.shape
    SH, SW = size
    n, h = row // H, row % H
    width = W * SW * C
    start = (h - 1) * SH + SH // 2  # of the gap before it
    gathered, step = np.empty(width, dx.dtype), lanes(dx)
    for i in range(0, width, 2 * step):
        left, right = width - i, width - i - step
        total0 = total1 = splat(0.0, load(dx, 0, 0))
        for oh in range(max(0, start), min(H * SH, start + 2 * SH)):
            at, share = (n * H * SH + oh) * width + i, splat(down[h, oh - start], total0)
            total0, total1 = share * load(dy, at, left) + total0, share * load(dy, at + step, right) + total1
        store(gathered, i, total0, left)
        store(gathered, i + step, total1, right)
    for w in range(W):
        start = (w - 1) * SW + SW // 2
        for c in range(0, C, lanes(dx)):
            total = splat(0.0, load(dx, 0, 0))
            for ow in range(max(0, start), min(W * SW, start + 2 * SW)):
                total = splat(across[w, ow - start], total) * load(gathered, ow * C + c, C - c) + total
            store(dx, (row * W + w) * C + c, total, C - c)
