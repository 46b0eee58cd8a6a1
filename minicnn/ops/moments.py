"""Mean and variance of every channel, reading the picture from memory once: (N, ..., C) -> (C,), (C,).

    mean[c]     = 1/M * sum over rows of x[row, c]                           x read as (M, C), one row per pixel
    variance[c] = 1/M * sum over rows of (x[row, c] - mean[c])**2

The variance needs the mean first: two passes. The shorter formula E[x^2] - E[x]^2 does with one and is no formula at
all: where the mean is large, it subtracts two large numbers that are nearly equal. So the rows are cut into blocks that
fit into the cache. Each block takes two passes over itself, of which only the first waits for memory, and the blocks
are put together by

    M * variance = sum over blocks of  (block's squares about its own mean) + rows * (block's mean - mean)**2

All sums are float64; blocks have a fixed size and are added in order: the bits do not depend on the number of threads.
Source: Chan, Golub and LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances".
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.column_sums import folding
from minicnn.ops.jit import njit, prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, load_like, splat, store, widen
from minicnn.shapes import Array


def channel_moments(x: Array) -> tuple[Array, Array]:
    """(mean, variance), both (C,) in float64, of a C-contiguous ``x`` in float32 or float64."""
    channels = x.shape[-1]
    together, rows, block_rows = folding(x.size // channels, channels)
    partial = np.empty((-(-rows // block_rows), 2, together * channels))
    flat = x.reshape(-1)
    _block_moments(x.nbytes, flat, rows, block_rows, partial)
    mean, variance = np.empty(channels), np.empty(channels)
    _put_together(partial, rows, block_rows, flat, mean, variance)
    return mean, variance


@turns
def _block_moments(x: Array, rows: int, block_rows: int, partial: Array) -> None:
    """``partial`` (blocks, 2, columns): each block's mean, and its squares about that. One block per turn."""
    for block in prange(len(partial)):
        _moments_of_block(x, rows, block_rows, partial, block)


@njit
def _moments_of_block(x: Array, rows: int, block_rows: int, partial: Array, block: int) -> None:
    columns = partial.shape[2]
    step = lanes(x)
    first, end = block * block_rows, min(rows, (block + 1) * block_rows)
    for c in range(0, columns, 2 * step):
        left, right = columns - c, columns - c - step
        zero = splat(0.0, widen(load(x, 0, 0)))
        total0, total1 = zero, zero
        for row in range(first, end):
            total0 = total0 + widen(load(x, row * columns + c, left))
            total1 = total1 + widen(load(x, row * columns + c + step, right))
        share = splat(1 / (end - first), zero)
        store(partial, 2 * block * columns + c, total0 * share, left)
        store(partial, 2 * block * columns + c + step, total1 * share, right)
    for c in range(0, columns, 2 * step):
        left, right = columns - c, columns - c - step
        square0 = splat(0.0, widen(load(x, 0, 0)))
        square1 = square0
        mean0 = load_like(partial, 2 * block * columns + c, left, square0)
        mean1 = load_like(partial, 2 * block * columns + c + step, right, square0)
        for row in range(first, end):
            distance0 = widen(load(x, row * columns + c, left)) - mean0
            distance1 = widen(load(x, row * columns + c + step, right)) - mean1
            square0 = distance0 * distance0 + square0
            square1 = distance1 * distance1 + square1
        store(partial, (2 * block + 1) * columns + c, square0, left)
        store(partial, (2 * block + 1) * columns + c + step, square1, right)


@njit
def _put_together(partial: Array, rows: int, block_rows: int, x: Array, mean: Array, variance: Array) -> None:
    """Blocks, and the few rows that are left when several are read as one, become the moments of all."""
    blocks, _, columns = partial.shape
    channels = len(mean)
    tail = rows * columns  # from here on, pixels that filled no long row
    count = x.size // channels
    mean[:] = 0
    for block in range(blocks):
        size = min(rows, (block + 1) * block_rows) - block * block_rows
        for column in range(columns):
            mean[column % channels] += partial[block, 0, column] * size
    for i in range(tail, x.size):
        mean[(i - tail) % channels] += x[i]
    for c in range(channels):
        mean[c] /= count
        variance[c] = 0
    for block in range(blocks):
        size = min(rows, (block + 1) * block_rows) - block * block_rows
        for column in range(columns):
            c = column % channels
            distance = partial[block, 0, column] - mean[c]
            variance[c] += partial[block, 1, column] + size * distance * distance
    for i in range(tail, x.size):
        c = (i - tail) % channels
        variance[c] += (x[i] - mean[c]) * (x[i] - mean[c])
    for c in range(channels):
        variance[c] /= count
