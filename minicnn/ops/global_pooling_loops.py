"""The loops behind ``global_pooling``: one pass over memory, shared by pictures and, of large ones, by blocks of rows.

Few channels would leave vectors half empty, so several pixels are read as one *row*: ten pixels of 3 channels are a row
of 30 columns. What a block finds in each column is written down, and gathered in a fixed order when all are done: the
bits do not depend on the number of threads. Pixels that fill no row are taken in one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.copying import copy
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, load_like, select, splat, store, widen
from minicnn.shapes import Array, Pair, Shape

COLUMNS = 64  # four vectors of float32 side by side: enough independent sums to hide an addition's latency
SHORT = 8  # terms of a sum in float32
BLOCK = 1 << 16  # numbers per turn, if these are more than SHORT rows


def columns_of(x_shape: Shape) -> int:
    """How many numbers make a row of a picture."""
    _, H, W, C = x_shape
    return C * max(1, min(COLUMNS // C, H * W))


def blocks_of(x_shape: Shape) -> Shape:
    """(pictures, blocks of each, columns): the shape of what is written down."""
    N, H, W, C = x_shape
    columns = columns_of(x_shape)
    rows = H * W * C // columns
    blocks = max(1, -(-rows * columns // BLOCK))
    return N, -(-rows // (-(-rows // (SHORT * blocks)) * SHORT)), columns


@njit
def _rows_of(block: int, blocks: int, x: Array, columns: int) -> Pair:
    """Which rows of its picture a block has: a half-open range, never empty.

    In eights, and but for the last one as many as the others: two cores that share 3136 rows shall not have 2048 and
    1088 of them.
    """
    rows = x.size // len(x) // columns
    per_block = -(-rows // (SHORT * blocks)) * SHORT
    return block * per_block, min((block + 1) * per_block, rows)


@turns
def sum_blocks(x: Array, sums: Array) -> None:
    """``sums`` (pictures, blocks, columns), in float64."""
    for turn in prange(sums.shape[0] * sums.shape[1]):
        _sum_block(x, sums, turn)


@njit
def _sum_block(x: Array, sums: Array, turn: int) -> None:
    """Eight rows are added up as they are, then in float64: widening every number takes longer than reading it."""
    _, blocks, columns = sums.shape
    step, picture = lanes(x), turn // blocks * (x.size // len(x))
    first, end = _rows_of(turn % blocks, blocks, x, columns)
    at = picture + first * columns
    for c in range(0, columns, 4 * step):
        if columns - c >= 4 * step:  # known to be whole vectors when it is compiled
            _sum_columns(x, at + c, end - first, columns, 4 * step, sums, turn * columns + c)
        else:
            _sum_columns(x, at + c, end - first, columns, columns - c, sums, turn * columns + c)


@inline
def _sum_columns(x: Array, at: int, rows: int, columns: int, left: int, sums: Array, to: int) -> None:
    """Of up to four vectors, ``left`` columns."""
    step = lanes(x)
    total0 = total1 = total2 = total3 = splat(0.0, widen(load(x, 0, 0)))
    for start in range(0, rows, SHORT):
        sum0, sum1, sum2, sum3 = _load4(x, at + start * columns, left)
        for row in range(start + 1, min(start + SHORT, rows)):
            x0, x1, x2, x3 = _load4(x, at + row * columns, left)
            sum0, sum1, sum2, sum3 = sum0 + x0, sum1 + x1, sum2 + x2, sum3 + x3
        total0, total1 = total0 + widen(sum0), total1 + widen(sum1)
        total2, total3 = total2 + widen(sum2), total3 + widen(sum3)
    store(sums, to, total0, left)
    store(sums, to + step, total1, left - step)
    store(sums, to + 2 * step, total2, left - 2 * step)
    store(sums, to + 3 * step, total3, left - 3 * step)


@inline
def _load4(x: Array, at: int, left: int) -> Any:
    step = lanes(x)
    first, second = load(x, at, left), load(x, at + step, left - step)
    return first, second, load(x, at + 2 * step, left - 2 * step), load(x, at + 3 * step, left - 3 * step)


@njit
def gather_means(x: Array, sums: Array, y: Array) -> None:
    """``x`` (N, H*W, C), ``y`` (N, C)."""
    N, pixels, C = x.shape
    _, blocks, columns = sums.shape
    for n in range(N):
        for c in range(0, C, lanes(sums)):
            total, left = splat(0.0, load(sums, 0, 0)), C - c
            for i in range(blocks * columns // C):
                total = total + load(sums, n * blocks * columns + i * C + c, left)
            for pixel in range(pixels - pixels % (columns // C), pixels):
                total = total + widen(load_like(x, (n * pixels + pixel) * C + c, left, total))
            store(y, n * C + c, total / splat(float(pixels), total), left)


@turns
def find_maxima(x: Array, maxima: Array, ties: Array, places: Array) -> None:
    """Each (pictures, blocks, columns): the largest number, how often it occurs, and the pixel where its row begins."""
    for turn in prange(maxima.shape[0] * maxima.shape[1]):
        _find_maxima_of_block(x, maxima, ties, places, turn)


@njit
def _find_maxima_of_block(x: Array, maxima: Array, ties: Array, places: Array, turn: int) -> None:
    _, blocks, columns = maxima.shape
    step, picture, together = lanes(x), turn // blocks * (x.size // len(x)), columns // x.shape[3]
    first, end = _rows_of(turn % blocks, blocks, x, columns)
    for c in range(0, columns, 2 * step):
        left, right = columns - c, columns - c - step
        at, to = picture + first * columns + c, turn * columns + c
        best0, best1 = load(x, at, left), load(x, at + step, right)
        count0 = count1 = one = splat(np.int32(1), best0)
        place0 = place1 = splat(np.int32(first * together), best0)
        for row in range(first + 1, end):
            at, here = picture + row * columns + c, splat(np.int32(row * together), best0)
            best0, count0, place0 = _larger(best0, count0, place0, load(x, at, left), one, here)
            best1, count1, place1 = _larger(best1, count1, place1, load(x, at + step, right), one, here)
        store(maxima, to, best0, left)
        store(maxima, to + step, best1, right)
        store(ties, to, count0, left)
        store(ties, to + step, count1, right)
        store(places, to, place0, left)
        store(places, to + step, place1, right)


@inline
def _larger(best: Any, count: Any, place: Any, value: Any, times: Any, where: Any) -> Any:
    """Of two numbers the larger, how often it occurs, and where. NaN is larger than all."""
    stays = (value <= best) | (best != best)
    count = select(value == best, count + times, select(stays, count, times))
    return select(stays, best, value), count, select(stays, place, where)


@njit
def gather_maxima(
    x: Array, maxima: Array, found_ties: Array, found_places: Array, y: Array, ties: Array, places: Array
) -> None:
    """``x`` (N, H*W, C). (N, C): the maximum, how often it occurs (never, if it is NaN), a pixel that has it."""
    N, pixels, C = x.shape
    _, blocks, columns = maxima.shape
    together = columns // C
    for n in range(N):
        for c in range(0, C, lanes(x)):
            left, start = C - c, n * blocks * columns + c
            best = load(maxima, start, left)
            count, place = splat(np.int32(0), best), load_like(found_places, start, left, best)
            for i in range(blocks * together):
                at = start + i * C
                times, where = load_like(found_ties, at, left, best), load_like(found_places, at, left, best)
                where = where + splat(np.int32(i % together), best)
                best, count, place = _larger(best, count, place, load(maxima, at, left), times, where)
            for pixel in range(pixels - pixels % together, pixels):
                value = load(x, (n * pixels + pixel) * C + c, left)
                one, where = splat(np.int32(1), best), splat(np.int32(pixel), best)
                best, count, place = _larger(best, count, place, value, one, where)
            store(y, n * C + c, best, left)
            store(ties, n * C + c, select(best == best, count, splat(np.int32(0), best)), left)
            store(places, n * C + c, place, left)


@turns
def spread(values: Array, blocks: int, dx: Array) -> None:
    """``values`` (N, columns): every row of a picture gets the same."""
    for turn in prange(len(dx) * blocks):
        _spread_block(values, blocks, dx, turn)


@njit
def _spread_block(values: Array, blocks: int, dx: Array, turn: int) -> None:
    columns, n = values.shape[1], turn // blocks
    start, stop = _numbers_of(turn, blocks, dx, columns)
    for at in range(start, stop, columns):
        copy(values, n * columns, min(columns, stop - at), dx, at)


@njit
def _numbers_of(turn: int, blocks: int, x: Array, columns: int) -> Pair:
    """Where a block of x begins and ends. The last one of a picture has the pixels too that fill no row."""
    first, end = _rows_of(turn % blocks, blocks, x, columns)
    numbers = x.size // len(x)
    picture = turn // blocks * numbers
    return picture + first * columns, picture + (numbers if turn % blocks == blocks - 1 else end * columns)


@turns
def spread_to_maxima(x: Array, maxima: Array, shares: Array, others: Array, blocks: int, dx: Array) -> None:
    """Where x is the maximum, dx is the share, elsewhere the number of ``others``: all three (N, columns)."""
    for turn in prange(len(dx) * blocks):
        _spread_block_to_maxima(x, maxima, shares, others, blocks, dx, turn)


@njit
def _spread_block_to_maxima(
    x: Array, maxima: Array, shares: Array, others: Array, blocks: int, dx: Array, turn: int
) -> None:
    columns, n = maxima.shape[1], turn // blocks
    start, stop = _numbers_of(turn, blocks, dx, columns)
    for at in range(start, stop, columns):
        count = min(columns, stop - at)
        for c in range(0, count, lanes(dx)):
            left, beside = count - c, n * columns + c
            other = load(others, beside, left)
            maximum, value = load_like(maxima, beside, left, other), load_like(x, at + c, left, other)
            store(dx, at + c, select(value == maximum, load(shares, beside, left), other), left)


@njit
def put_shares(shares: Array, ties: Array, places: Array, dx: Array) -> None:
    """``dx`` (N, H*W, C) gets the share where the only maximum is."""
    N, C = ties.shape
    for n in range(N):
        for c in range(C):
            if ties[n, c] == 1:
                dx[n, places[n, c], c] = shares[n, c]
