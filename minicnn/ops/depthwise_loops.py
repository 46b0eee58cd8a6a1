"""Depthwise convolution with one filter per channel: forward and dx, as walks along rows of pixels.

Both directions are the same sum, and differ only in which place of the source a tap meets:

    forward     result r, tap k:  place  r*S + k*D - padding  of x
    dx          result r, tap k:  place (r + padding - k*D) / S  of dy, where that is a whole number

Two small tables say which rows and columns meet (``depthwise_taps.py``); the sums are ``depthwise_row.py``'s. With a
stride, the columns of dx are taken in S turns: results S pixels apart share their taps, and meet neighbours in dy. So
are those of a convolution with dilation D, in D turns. Kernels of more than 3 x 3 taps are cut into pieces: every piece
but the first begins with what the one before has left. Nothing is copied, padded or zeroed first. Large results that
are written only once are written past the cache.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.copying import copy, passes_cache
from minicnn.ops.depthwise_row import add_row
from minicnn.ops.depthwise_taps import (
    BETWEEN,
    END,
    FIRST,
    PIECE_FIELDS,
    ROWS,
    START,
    TAPS,
    WEIGHT,
    rows_of_taps,
    runs_of_taps,
)
from minicnn.ops.depthwise_walk import TOGETHER
from minicnn.ops.jit import njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES, pointer
from minicnn.ops.turns import turns
from minicnn.shapes import Array, Pair, Shape, Window

TURN = 4  # rows of the result
#: Of a result that is written past the cache. There is so little to compute that writing to memory would take longer:
#: so only if the result and a source of its size leave no room in the cache that the cores share.
LARGE_BYTES = 16 * 2**20
WHOLE_LINES = TOGETHER * VECTOR_BYTES >= LINE_BYTES


def forward(x: Array, kernel: Array, bias: Array | None, window: Window) -> Array:
    """(N, H, W, C), (KH, KW, C), (C,) -> (N, OH, OW, C)"""
    y = empty((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    start = np.zeros(x.shape[3], x.dtype) if bias is None else np.ascontiguousarray(bias)
    _run(x, kernel, start, window, window.pads(*x.shape[1:3]), y, backward=False)
    return y


def input_gradient(dy: Array, kernel: Array, x_shape: Shape, window: Window) -> Array:
    """(N, OH, OW, C), (KH, KW, C) -> (N, H, W, C)"""
    dx = empty(x_shape, dy.dtype)
    _run(dy, kernel, np.zeros(x_shape[3], dy.dtype), window, window.pads(*x_shape[1:3]), dx, backward=True)
    return dx


def _run(
    source: Array, kernel: Array, start: Array, window: Window, pads: tuple[Pair, Pair], result: Array, backward: bool
) -> None:
    (_, H, W, _), (_, OH, OW, _), ((top, _), (left, _)) = source.shape, result.shape, pads
    (KH, KW), (SH, SW), (DH, DW) = window.size, window.strides, window.dilation
    rows = rows_of_taps(OH, H, KH, SH, DH, top, backward)
    runs, step = runs_of_taps(OW, W, KW, SW, DW, left, backward)
    flat = (np.ascontiguousarray(array).reshape(-1) for array in (source, kernel))
    work = source.nbytes + result.nbytes
    _correlate(work, *flat, start, rows, runs, step, (H, W), (OH, OW), KW, result.reshape(-1))


@turns
def _correlate(
    source: Array,
    kernel: Array,
    start: Array,
    rows: Array,
    runs: Array,
    step: int,
    source_size: Pair,
    result_size: Pair,
    kernel_width: int,
    result: Array,
) -> None:
    """Some rows of the result per turn."""
    total = result.size // (result_size[1] * len(start))
    for turn in prange(-(-total // TURN)):
        first, end = turn * TURN, min(total, (turn + 1) * TURN)
        _some_rows(source, kernel, start, rows, runs, step, source_size, result_size, kernel_width, result, first, end)


@njit
def _some_rows(
    source: Array,
    kernel: Array,
    start: Array,
    rows: Array,
    runs: Array,
    step: int,
    source_size: Pair,
    result_size: Pair,
    kernel_width: int,
    result: Array,
    first_row: int,
    end_row: int,
) -> None:
    C, (height, width), (result_height, result_width), phases = len(start), source_size, result_size, len(runs)
    # only what is written once, and line by line
    past = WHOLE_LINES and phases * rows.shape[1] * runs.shape[1] == 1 and passes_cache(result, C, LARGE_BYTES)
    for row in range(first_row, end_row):
        n, r = row // result_height, row % result_height
        for phase in range(phases):
            at, results = (row * result_width + phase) * C, (result_width - 1 - phase) // phases + 1
            begin, begin_step = pointer(start, 0), 0 * C  # 0 alone is a type of its own: twice as much to compile
            for piece in range(rows.shape[1]):
                for i in range(runs.shape[1]):
                    height_of_piece, run = rows[r, piece, ROWS], runs[phase, i]
                    if height_of_piece == 0 or run[TAPS] == 0:
                        continue
                    add_row(
                        height_of_piece,
                        run[TAPS],
                        pointer(rows, (r * rows.shape[1] + piece) * PIECE_FIELDS),
                        pointer(source, (n * height * width + run[START]) * C),
                        width * C,
                        step * C,
                        run[FIRST],
                        run[END],
                        pointer(kernel, 0),
                        kernel_width * C,
                        run[WEIGHT] * C,
                        run[BETWEEN] * C,
                        begin,
                        begin_step,
                        pointer(result, at),
                        phases * C,
                        results,
                        C,
                        past,
                    )
                    begin, begin_step = pointer(result, at), phases * C
            if begin_step == 0:  # nothing but padding
                for i in range(results):
                    copy(start, 0, C, result, at + i * phases * C)
