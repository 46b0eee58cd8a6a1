"""Sums over everything but the channels: (N, ..., C) -> (C,). The gradient of a bias, and half of a batch norm.

    sums[c]     = sum over rows of a[row, c]                      a read as (M, C), one row per pixel
    products[c] = sum over rows of a[row, c] * (b[row, c] - centre[c])

Hundreds of thousands of terms in one float32 sum would lose digits: everything is added up in float64. Rows are taken
in blocks of a fixed size, one block per turn, and the blocks' sums are added in order: the bits do not depend on the
number of threads. One pass over memory.

Few channels would leave vectors half empty, so several rows are read as one: sixteen rows of 2 channels are a row
of 32 columns, whose sums are folded at the end.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.jit import njit, prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, load_like, splat, store, widen
from minicnn.shapes import Array

COLUMNS = 32  # two vectors of float32 side by side: enough independent sums to hide an addition's latency
BLOCK = 1 << 14  # numbers per partial sum


def column_sums(a: Array) -> Array:
    """(..., C) -> (C,) in the dtype of ``a``, which must be float32 or float64."""
    return column_products(a)[0].astype(a.dtype)


def column_products(a: Array, b: Array | None = None, centre: Array | None = None) -> tuple[Array, Array | None]:
    """(sums, products), both (C,) in float64; ``products`` is None without ``b`` (of a's shape) and ``centre`` (C,)."""
    channels = a.shape[-1]
    together, rows, block_rows = folding(a.size // channels, channels)
    columns = together * channels
    partial = np.empty((-(-rows // block_rows), 1 if b is None else 2, columns))
    flat = np.ascontiguousarray(a).reshape(-1)
    if b is None or centre is None:
        _block_sums(a.nbytes, flat, rows, block_rows, partial)
    else:
        other = np.ascontiguousarray(b).reshape(-1)
        _block_products(
            2 * a.nbytes, flat, other, np.tile(centre.astype(np.float64), together), rows, block_rows, partial
        )
    totals = _folded(partial.sum(axis=0), channels)
    tail = flat[rows * columns :].reshape(-1, channels).astype(np.float64)
    totals[0] += tail.sum(axis=0)
    if b is None or centre is None:
        return totals[0], None
    totals[1] += (tail * (other[rows * columns :].reshape(-1, channels) - centre)).sum(axis=0)
    return totals[0], totals[1]


def folding(rows: int, channels: int) -> tuple[int, int, int]:
    """(how many rows are read as one, how many such long rows there are, how many of them make a block)."""
    together = max(1, COLUMNS // channels)
    return together, rows // together, max(1, BLOCK // (together * channels))


def _folded(sums: Array, channels: int) -> Array:
    folded: Array = sums.reshape(len(sums), -1, channels).sum(axis=1)  # (K, rows read as one * C) -> (K, C)
    return folded


@turns
def _block_sums(a: Array, rows: int, block_rows: int, partial: Array) -> None:
    """``partial`` (blocks, 1, columns): one block per turn."""
    for block in prange(len(partial)):
        _sum_block(a, rows, block_rows, partial, block)


@njit
def _sum_block(a: Array, rows: int, block_rows: int, partial: Array, block: int) -> None:
    columns = partial.shape[2]
    step = lanes(a)
    for c in range(0, columns, 2 * step):
        left, right = columns - c, columns - c - step
        zero = splat(0.0, widen(load(a, 0, 0)))
        total0, total1 = zero, zero
        for row in range(block * block_rows, min(rows, (block + 1) * block_rows)):
            total0 = total0 + widen(load(a, row * columns + c, left))
            total1 = total1 + widen(load(a, row * columns + c + step, right))
        store(partial, block * columns + c, total0, left)
        store(partial, block * columns + c + step, total1, right)


@turns
def _block_products(a: Array, b: Array, centre: Array, rows: int, block_rows: int, partial: Array) -> None:
    """``partial`` (blocks, 2, columns): one block per turn."""
    for block in prange(len(partial)):
        _product_block(a, b, centre, rows, block_rows, partial, block)


@njit
def _product_block(a: Array, b: Array, centre: Array, rows: int, block_rows: int, partial: Array, block: int) -> None:
    columns = partial.shape[2]
    step = lanes(a)
    at = 2 * block * columns
    for c in range(0, columns, 2 * step):
        left, right = columns - c, columns - c - step
        zero = splat(0.0, widen(load(a, 0, 0)))
        total0, total1, product0, product1 = zero, zero, zero, zero
        centre0, centre1 = load_like(centre, c, left, zero), load_like(centre, c + step, right, zero)
        for row in range(block * block_rows, min(rows, (block + 1) * block_rows)):
            here = row * columns + c
            a0, a1 = widen(load(a, here, left)), widen(load(a, here + step, right))
            total0, total1 = total0 + a0, total1 + a1
            product0 = a0 * (widen(load(b, here, left)) - centre0) + product0
            product1 = a1 * (widen(load(b, here + step, right)) - centre1) + product1
        store(partial, at + c, total0, left)
        store(partial, at + c + step, total1, right)
        store(partial, at + columns + c, product0, left)
        store(partial, at + columns + c + step, product1, right)
