"""The loops behind ``merging``: one pass over memory, a vector of numbers at a time, on as many cores as it is worth.

Formulas are in ``merging``. Arrays are C-contiguous and of one type, in sums and products flat and of one size.
"""

from __future__ import annotations

from minicnn.ops.copying import copy
from minicnn.ops.jit import prange
from minicnn.ops.turns import BLOCK, turns
from minicnn.ops.vectors import lanes, load, select, splat, store
from minicnn.shapes import Array


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
def join(a: Array, b: Array, y: Array, to: int) -> None:
    """Rows of a, then b, into the columns of y from ``to`` on: by two in one pass, which writes y in its order.

    A turn is some short rows or, of long ones, a block of each: there may be only one row.
    """
    height, first, second = len(a), a.shape[1], b.shape[1]
    rows, blocks = max(1, BLOCK // max(first, second)), -(-max(first, second) // BLOCK)
    for turn in prange(-(-height // rows) * blocks):
        top, done = turn // blocks * rows, turn % blocks * BLOCK
        for row in range(top, min(height, top + rows)):
            into = row * y.shape[1] + to + done
            copy(a, row * first + done, min(BLOCK, first - done), y, into)
            copy(b, row * second + done, min(BLOCK, second - done), y, into + first)


@turns
def part(y: Array, at: int, a: Array, b: Array) -> None:
    """The way back: the columns of y from ``at`` on into a, then b."""
    height, first, second = len(a), a.shape[1], b.shape[1]
    rows, blocks = max(1, BLOCK // max(first, second)), -(-max(first, second) // BLOCK)
    for turn in prange(-(-height // rows) * blocks):
        top, done = turn // blocks * rows, turn % blocks * BLOCK
        for row in range(top, min(height, top + rows)):
            found = row * y.shape[1] + at + done
            copy(y, found, min(BLOCK, first - done), a, row * first + done)
            copy(y, found + first, min(BLOCK, second - done), b, row * second + done)
