"""The loops behind ``merging``: one pass over memory, a vector of numbers at a time, on as many cores as it is worth.

Formulas are in ``merging``. Arrays are C-contiguous and of one type, in sums and products flat and of one size.
"""

from __future__ import annotations

from minicnn.ops.copying import copy
from minicnn.ops.jit import prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, select, splat, store
from minicnn.shapes import Array

BLOCK = 1 << 14  # numbers per turn


@turns
def add_flat(a: Array, b: Array, floor: float, y: Array) -> None:
    """y = max(floor, a + b)"""
    for block in prange(-(-a.size // BLOCK)):
        for i in range(block * BLOCK, min(a.size, (block + 1) * BLOCK), lanes(a)):
            left = a.size - i
            total = load(a, i, left) + load(b, i, left)
            least = splat(floor, total)
            store(y, i, select(total <= least, least, total), left)  # NaN is not below, and stays


@turns
def multiply_flat(a: Array, b: Array, y: Array) -> None:
    """y = a * b"""
    for block in prange(-(-a.size // BLOCK)):
        for i in range(block * BLOCK, min(a.size, (block + 1) * BLOCK), lanes(a)):
            left = a.size - i
            store(y, i, load(a, i, left) * load(b, i, left), left)


@turns
def multiply_flat_backward(dy: Array, a: Array, b: Array, da: Array, db: Array) -> None:
    """da = dy * b and db = dy * a"""
    for block in prange(-(-a.size // BLOCK)):
        for i in range(block * BLOCK, min(a.size, (block + 1) * BLOCK), lanes(a)):
            left = a.size - i
            gradient = load(dy, i, left)
            store(da, i, gradient * load(b, i, left), left)
            store(db, i, gradient * load(a, i, left), left)


@turns
def copy_columns(source: Array, at: int, target: Array, to: int, count: int) -> None:
    """target[:, to : to + count] = source[:, at : at + count]. A turn is some short rows or a block of a long one."""
    height, width, into_width = len(source), source.shape[1], target.shape[1]
    rows, blocks = max(1, BLOCK // count), -(-count // BLOCK)
    for turn in prange(-(-height // rows) * blocks):
        first, done = turn // blocks * rows, turn % blocks * BLOCK
        for row in range(first, min(height, first + rows)):
            copy(source, row * width + at + done, min(BLOCK, count - done), target, row * into_width + to + done)
