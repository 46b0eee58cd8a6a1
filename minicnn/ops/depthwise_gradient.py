"""The kernel's gradient of a depthwise convolution: for every tap, a sum over all pixels of all pictures.

    dkernel[kh, kw, c] = sum over n, oh, ow of  x[n, oh*SH + kh*DH - top, ow*SW + kw*DW - left, c] * dy[n, oh, ow, c]

Rows of dy meet, a few at a time, the rows of x that they saw (``depthwise_row_gradient.py``). That gives short sums, in
the dtype of x; they join long ones in float64, one block of rows per turn. The number of blocks follows from the shape
alone, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.depthwise_row_gradient import add_gradient
from minicnn.ops.depthwise_taps import (
    BETWEEN,
    END,
    FIRST,
    KERNEL_ROWS,
    PIECE_FIELDS,
    ROWS,
    START,
    TAPS,
    WEIGHT,
    rows_of_taps,
    runs_of_taps,
)
from minicnn.ops.jit import njit, prange
from minicnn.ops.simd import pointer
from minicnn.ops.turns import turns
from minicnn.shapes import Array, Pair, Window

# How many blocks: a multiple of 4, which two and four cores share evenly; at most 16, and no more threads can help. If
# there are more than 4, each has RESULTS or more, beside which its own sums cost little.
MULTIPLE, MOST, RESULTS = 4, 16, 1024
SHORT = 128  # results whose products are added up in the dtype of x


def kernel_gradient(dy: Array, x: Array, window: Window) -> Array:
    """(N, OH, OW, C), (N, H, W, C) -> (KH, KW, C)"""
    (N, H, W, C), (_, OH, OW, _), ((top, _), (left, _)) = x.shape, dy.shape, window.pads(*x.shape[1:3])
    (KH, KW), (SH, SW), (DH, DW) = window.size, window.strides, window.dilation
    rows = rows_of_taps(OH, H, KH, SH, DH, top, False)
    runs, step = runs_of_taps(OW, W, KW, SW, DW, left, False)
    blocks = min(max(N * OH * OW // (MULTIPLE * RESULTS), 1) * MULTIPLE, MOST, N * OH)
    partial = np.zeros((blocks, KH, KW, C))
    flat = (np.ascontiguousarray(array).reshape(-1) for array in (dy, x))
    _kernel_gradient(x.nbytes + dy.nbytes, *flat, rows, runs, step, SH, (H, W), (OH, OW), N, partial)
    total: Array = partial.sum(axis=0).astype(x.dtype)
    return total


@turns
def _kernel_gradient(
    dy: Array,
    x: Array,
    rows: Array,
    runs: Array,
    step: int,
    row_step: int,
    x_size: Pair,
    dy_size: Pair,
    N: int,
    partial: Array,
) -> None:
    """``partial`` (blocks, KH, KW, C) comes in as zeros; one block of rows per turn."""
    for block in prange(len(partial)):
        _gradient_of_block(dy, x, rows, runs, step, row_step, x_size, dy_size, N, partial, block)


@njit
def _gradient_of_block(
    dy: Array,
    x: Array,
    rows: Array,
    runs: Array,
    step: int,
    row_step: int,
    x_size: Pair,
    dy_size: Pair,
    N: int,
    partial: Array,
    block: int,
) -> None:
    blocks, KH, KW, C = partial.shape
    (height, width), (OH, OW), phases = x_size, dy_size, len(runs)
    row, end = N * OH * block // blocks, N * OH * (block + 1) // blocks
    while row < end:
        n, oh = row // OH, row % OH
        dy_rows = _alike(rows, oh, min(end - row, OH - oh, max(1, SHORT // OW)))
        for piece in range(rows.shape[1]):
            for phase in range(phases):
                for i in range(runs.shape[1]):
                    height_of_piece, run = rows[oh, piece, ROWS], runs[phase, i]
                    if height_of_piece == 0 or run[TAPS] == 0:
                        continue
                    for first in range(run[FIRST], run[END], SHORT):
                        add_gradient(
                            height_of_piece,
                            run[TAPS],
                            pointer(rows, (oh * rows.shape[1] + piece) * PIECE_FIELDS),
                            pointer(x, (n * height * width + run[START] + (first - run[FIRST]) * step) * C),
                            width * C,
                            step * C,
                            first,
                            min(run[END], first + SHORT),
                            pointer(dy, (row * OW + phase) * C),
                            OW * C,
                            phases * C,
                            (OW - 1 - phase) // phases + 1,
                            dy_rows,
                            row_step,
                            pointer(partial, block * KH * KW * C),
                            KW * C,
                            run[WEIGHT] * C,
                            run[BETWEEN] * C,
                            C,
                        )
        row += dy_rows


@njit
def _alike(rows: Array, oh: int, most: int) -> int:
    """How many rows from oh on, but not more than ``most``, meet the same rows of the kernel."""
    alike = 1
    while (
        alike < most
        and (rows[oh, :, KERNEL_ROWS:] == rows[oh + alike, :, KERNEL_ROWS:]).all()
        and (rows[oh, :, ROWS] == rows[oh + alike, :, ROWS]).all()
    ):
        alike += 1
    return alike
