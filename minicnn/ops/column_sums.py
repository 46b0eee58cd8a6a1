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
    together, rows, block_rows = folding(a.size // a.shape[-1], a.shape[-1])
    flat = np.ascontiguousarray(a).reshape(-1)
    partial = np.empty((-(-rows // block_rows), together * a.shape[-1]))
    _block_sums(a.nbytes, flat, rows, block_rows, partial)
    return _total(partial, _rest(flat, rows, partial), a.shape[-1]).astype(a.dtype)


def column_products(a: Array, b: Array, centre: Array) -> tuple[Array, Array]:
    """(sums, products), both (C,) in float64, for ``a`` and ``b`` of one shape (..., C) and ``centre`` (C,)."""
    channels = a.shape[-1]
    together, rows, block_rows = folding(a.size // channels, channels)
    flat, other = np.ascontiguousarray(a).reshape(-1), np.ascontiguousarray(b).reshape(-1)
    sums, products = np.empty((2, -(-rows // block_rows), together * channels))
    centres = np.tile(centre.astype(np.float64), together)
    _block_products(2 * a.nbytes, flat, other, centres, rows, block_rows, sums, products)
    rest, other_rest = _rest(flat, rows, sums), _rest(other, rows, sums)
    distances = (other_rest.reshape(-1, channels) - centre).reshape(-1)
    return _total(sums, rest, channels), _total(products, rest * distances, channels)


def folding(rows: int, channels: int) -> tuple[int, int, int]:
    """(how many rows are read as one, how many such long rows there are, how many of them make a block)."""
    together = max(1, COLUMNS // channels)
    return together, rows // together, max(1, BLOCK // (together * channels))


def _rest(flat: Array, rows: int, partial: Array) -> Array:
    """What filled no long row."""
    return flat[rows * partial.shape[1] :].astype(np.float64)


def _total(partial: Array, rest: Array, channels: int) -> Array:
    """(blocks, rows read as one * C) and what was left over -> (C,)"""
    total = np.empty(channels)
    _add_up(partial, rest, total)
    return total


@njit
def _add_up(partial: Array, rest: Array, total: Array) -> None:
    """total[c] = the sum of all numbers of ``partial`` and ``rest`` that belong to channel c.

    Compiled, because for so few numbers NumPy's reductions take longer than reading the array took."""
    (blocks, columns), channels = partial.shape, len(total)
    whole = np.zeros(columns)
    for block in range(blocks):
        for c in range(columns):
            whole[c] += partial[block, c]
    total[:] = 0
    for k in range(columns):
        total[k % channels] += whole[k]
    for k in range(len(rest)):
        total[k % channels] += rest[k]


@turns
def _block_sums(a: Array, rows: int, block_rows: int, partial: Array) -> None:
    """``partial`` (blocks, columns): one block per turn."""
    for block in prange(len(partial)):
        _sum_block(a, rows, block_rows, partial, block)


@njit
def _sum_block(a: Array, rows: int, block_rows: int, partial: Array, block: int) -> None:
    columns = partial.shape[1]
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
def _block_products(
    a: Array, b: Array, centre: Array, rows: int, block_rows: int, sums: Array, products: Array
) -> None:
    """``sums`` and ``products`` (blocks, columns): one block per turn."""
    for block in prange(len(sums)):
        _product_block(a, b, centre, rows, block_rows, sums, products, block)


@njit
def _product_block(
    a: Array, b: Array, centre: Array, rows: int, block_rows: int, sums: Array, products: Array, block: int
) -> None:
    columns = sums.shape[1]
    step = lanes(a)
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
        at = block * columns + c
        store(sums, at, total0, left)
        store(sums, at + step, total1, right)
        store(products, at, product0, left)
        store(products, at + step, product1, right)
