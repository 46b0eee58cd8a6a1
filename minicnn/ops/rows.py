"""Arrays read as rows: what is computed along some axes is computed along the rows of a matrix.

    rows = as_rows(x, axes)              (N, ...) -> (M, K), K numbers along the axes, M places in all others
    y = from_rows(rows, x.shape, axes)   and back

Where the axes are the last ones, as they nearly always are, a row lies in memory as it is, and nothing is copied.

A row, or some short ones, mostly fit into the nearest cache. So a formula may pass over each row as often as it likes
(for the largest number, a sum, the results), and the array still comes from memory once. A turn of a loop over rows
takes about BLOCK numbers, whatever the number of threads. Within a turn, a few rows take each step together: folding
the sum of one row takes many instructions of which each waits for the one before, and meanwhile the processor begins
the next row.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.ops.jit import njit
from minicnn.shapes import Array, Shape

TOGETHER = 8  # rows that take each step together
BLOCK = 1 << 14  # numbers per turn: a turn has sums and buffers of its own


def as_rows(x: Array, axes: tuple[int, ...]) -> Array:
    """(N, ...) -> (M, K), C-contiguous; a view of a C-contiguous ``x`` if ``axes``, which ascend, are its last ones."""
    columns = math.prod([x.shape[axis] for axis in axes])
    if _are_last(axes, x.ndim):
        return np.ascontiguousarray(x).reshape(-1, columns)
    return np.ascontiguousarray(_to_the_end(x, axes)).reshape(-1, columns)


def from_rows(rows: Array, shape: Shape, axes: tuple[int, ...]) -> Array:
    """(M, K), C-contiguous -> ``shape``, C-contiguous: what ``as_rows`` does, undone."""
    if _are_last(axes, len(shape)):
        return rows.reshape(shape)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    moved = rows.reshape([shape[axis] for axis in (*others, *axes)])
    return np.ascontiguousarray(np.transpose(moved, np.argsort([*others, *axes])))


def _are_last(axes: tuple[int, ...], rank: int) -> bool:
    return axes == tuple(range(rank - len(axes), rank))


def _to_the_end(x: Array, axes: tuple[int, ...]) -> Array:
    return np.transpose(x, [axis for axis in range(x.ndim) if axis not in axes] + list(axes))


@njit
def rows_per_turn(columns: int) -> int:
    """How many rows of so many numbers make a block."""
    return max(1, BLOCK // columns)
