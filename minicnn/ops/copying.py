"""Copying and clearing numbers that lie side by side, a vector at a time, in compiled functions.

``a[i:j] = b[k:l]`` would do in NumPy. Compiled by Numba it is a loop over single numbers, because neither the arrays'
axes nor that they are different ones is known: for the pixels of one tile that took longer than transforming them
(``benchmarks/NOTES.md``). Positions count from the beginning of a C-contiguous array, whatever its axes; nothing checks
them. Source and target must not overlap.
"""

from __future__ import annotations

from minicnn.ops.jit import njit
from minicnn.ops.vectors import lanes, load, splat, store
from minicnn.shapes import Array


@njit
def copy(source: Array, at: int, count: int, target: Array, to: int) -> None:
    """target[to : to + count] = source[at : at + count]"""
    for i in range(0, count, lanes(source)):
        store(target, to + i, load(source, at + i, count - i), count - i)


@njit
def clear(target: Array, to: int, count: int) -> None:
    """target[to : to + count] = 0"""
    zero = splat(0.0, load(target, 0, 0))
    for i in range(0, count, lanes(target)):
        store(target, to + i, zero, count - i)
