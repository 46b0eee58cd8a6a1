"""The kernel's gradient of a depthwise convolution: for every tap, a sum over all pixels of all pictures.

    dkernel[kh, kw, c] = sum over n, oh, ow of  x[n, oh*SH + kh*DH - top, ow*SW + kw*DW - left, c] * dy[n, oh, ow, c]

One output row at a time: the gradients of that row meet the three input rows (of a 3x3 window) that it saw. Three taps
of a kernel row are added up together. At stride 1 they are met by three neighbouring pixels, of which the next result
needs two again: they stay in registers, and three products cost two loads.

A row gives short sums, in the dtype of x; they join long ones in float64, one block of rows per turn. The number of
blocks follows from the shape alone, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.depthwise_taps import meeting_places
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, load_like, splat, store, widen
from minicnn.shapes import Array, Pair, Window

BLOCKS = 16  # partial sums; at most as many threads can help
PIECE = 128  # results of a row whose products are added up in the dtype of x
TAPS = 3  # added up together


def kernel_gradient(dy: Array, x: Array, window: Window) -> Array:
    """(N, OH, OW, C), (N, H, W, C) -> (KH, KW, C)"""
    (N, H, W, C), (_, OH, OW, _), (KH, KW) = x.shape, dy.shape, window.size
    (top, _), (left, _) = window.pads(H, W)
    rows = meeting_places(OH, H, KH, window.strides[0], window.dilation[0], top, False)
    # a group of fewer than three taps is filled up; what those find is dropped
    places = meeting_places(OW, W, -(-KW // TAPS) * TAPS, window.strides[1], window.dilation[1], left, False)
    steps = window.strides[1] * C, window.dilation[1] * C
    partial = np.zeros((min(BLOCKS, N * OH), KH, places.shape[1], C))
    flat = np.ascontiguousarray(dy).reshape(-1), np.ascontiguousarray(x).reshape(-1)
    _kernel_gradient(x.nbytes + dy.nbytes, *flat, N, (H, W), rows, places, left, steps, partial)
    total: Array = partial.sum(axis=0)[:, :KW].astype(x.dtype)
    return total


@turns
def _kernel_gradient(
    dy: Array,
    x: Array,
    N: int,
    x_size: Pair,
    rows: Array,
    places: Array,
    left: int,
    steps: Pair,
    partial: Array,
) -> None:
    """``partial`` (blocks, KH, KW, C) comes in as zeros; one block of output rows per turn."""
    for block in prange(len(partial)):
        _gradient_of_block(dy, x, N, x_size, rows, places, left, steps, partial, block)


@njit
def _gradient_of_block(
    dy: Array,
    x: Array,
    N: int,
    x_size: Pair,
    rows: Array,
    places: Array,
    left: int,
    steps: Pair,
    partial: Array,
    block: int,
) -> None:
    blocks, KH, KW, C = partial.shape
    OH, OW = len(rows), len(places)
    for row in range(N * OH * block // blocks, N * OH * (block + 1) // blocks):
        n, oh = row // OH, row % OH
        for piece in range(0, OW, PIECE):
            until = min(OW, piece + PIECE)
            for kw in range(0, KW, TAPS):
                first, end = piece, until  # where all three taps have a part
                while first < end and min(places[first, kw], places[first, kw + 1], places[first, kw + 2]) < 0:
                    first += 1
                while end > first and min(places[end - 1, kw], places[end - 1, kw + 1], places[end - 1, kw + 2]) < 0:
                    end -= 1
                for kh in range(KH):
                    if rows[oh, kh] >= 0:
                        # where tap kw would meet result 0, which may lie left of the picture
                        start = ((n * x_size[0] + rows[oh, kh]) * x_size[1] - left) * C + kw * steps[1]
                        into = ((block * KH + kh) * KW + kw) * C
                        _three(dy, row * OW * C, x, start, steps, places, kw, piece, first, end, until, partial, into)


@inline
def _three(
    dy: Array,
    upstream: int,
    x: Array,
    start: int,
    steps: Pair,
    places: Array,
    kw: int,
    low: int,
    first: int,
    end: int,
    high: int,
    partial: Array,
    into: int,
) -> None:
    """Three taps kw.. of one kernel row, over the results low..high of one output row; first..end meet all of them."""
    step, between = steps
    C = partial.shape[3]
    even = first + (end - first) // 2 * 2
    for c in range(0, C, lanes(x)):
        left, up, at = C - c, upstream + c, start + c
        sum0 = splat(0.0, load(dy, up, left))
        sum1 = sum2 = odd0 = odd1 = odd2 = sum0
        if between == step and first < even:
            x0, x1 = load(x, at + first * step, left), load(x, at + (first + 1) * step, left)
            for i in range(first, even, 2):
                here = at + (i + 2) * step
                gradient, x2 = load(dy, up + i * C, left), load(x, here, left)
                sum0, sum1, sum2 = x0 * gradient + sum0, x1 * gradient + sum1, x2 * gradient + sum2
                gradient, x3 = load(dy, up + i * C + C, left), load(x, here + step, left)
                odd0, odd1, odd2 = x1 * gradient + odd0, x2 * gradient + odd1, x3 * gradient + odd2
                x0, x1 = x2, x3
        else:
            for i in range(first, even, 2):
                here = at + i * step
                gradient = load(dy, up + i * C, left)
                sum0 = load(x, here, left) * gradient + sum0
                sum1 = load(x, here + between, left) * gradient + sum1
                sum2 = load(x, here + 2 * between, left) * gradient + sum2
                gradient, here = load(dy, up + i * C + C, left), here + step
                odd0 = load(x, here, left) * gradient + odd0
                odd1 = load(x, here + between, left) * gradient + odd1
                odd2 = load(x, here + 2 * between, left) * gradient + odd2
        for i in range(low, high - (even - first)):  # the results before first, then those from even on
            result = i if i < first else i + even - first
            gradient, here = load(dy, up + result * C, left), at + result * step
            if places[result, kw] >= 0:
                sum0 = load(x, here, left) * gradient + sum0
            if places[result, kw + 1] >= 0:
                sum1 = load(x, here + between, left) * gradient + sum1
            if places[result, kw + 2] >= 0:
                sum2 = load(x, here + 2 * between, left) * gradient + sum2
        # the row's short sums join the long ones
        wide0, wide1, wide2 = widen(sum0 + odd0), widen(sum1 + odd1), widen(sum2 + odd2)
        store(partial, into + c, load_like(partial, into + c, left, wide0) + wide0, left)
        store(partial, into + C + c, load_like(partial, into + C + c, left, wide1) + wide1, left)
        store(partial, into + 2 * C + c, load_like(partial, into + 2 * C + c, left, wide2) + wide2, left)
