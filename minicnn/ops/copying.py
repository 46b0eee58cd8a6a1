"""Copying and clearing numbers that lie side by side, a vector at a time, in compiled functions.

``a[i:j] = b[k:l]`` would do in NumPy. Compiled by Numba it is a loop over single numbers, because neither the arrays'
axes nor that they are different ones is known: for the pixels of one tile that took longer than transforming them
(``benchmarks/NOTES.md``). Positions count from the beginning of a C-contiguous array, whatever its axes; nothing checks
them. Source and target must not overlap.
"""

from __future__ import annotations

from minicnn.ops.jit import njit
from minicnn.ops.simd import LINE_BYTES
from minicnn.ops.vectors import lanes, load, splat, store, stream
from minicnn.shapes import Array

LARGE_BYTES = 4 * 2**20  # more than the cores that work together usually have of their own


@njit
def copy(source: Array, at: int, count: int, target: Array, to: int) -> None:
    """target[to : to + count] = source[at : at + count]"""
    for i in range(0, count, lanes(source)):
        store(target, to + i, load(source, at + i, count - i), count - i)


@njit
def copy_past_cache(source: Array, at: int, count: int, target: Array, to: int) -> None:
    """The same for whole lines of the cache, which ``target`` gets without being read: see ``passes_cache``."""
    for i in range(0, count, lanes(source)):
        stream(target, to + i, load(source, at + i, count - i))


@njit
def passes_cache(target: Array, width: int, large: int = LARGE_BYTES) -> bool:
    """Whether to write an array in pieces of ``width`` numbers, of which it is made, past the caches.

    A line of memory is otherwise read before it is written, and drives another one out of the cache. That is worth it
    if somebody reads the line while it is there: not in an array as large as the cache, of ``large`` bytes.
    """
    size = target.itemsize
    whole_lines = width * size % LINE_BYTES == 0 and target.ctypes.data % LINE_BYTES == 0
    return whole_lines and target.size * size >= large


@njit
def clear(target: Array, to: int, count: int) -> None:
    """target[to : to + count] = 0"""
    zero = splat(0.0, load(target, 0, 0))
    for i in range(0, count, lanes(target)):
        store(target, to + i, zero, count - i)
