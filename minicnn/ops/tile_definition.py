"""What the tiles of ``micro_kernel`` compute, in plain Python: the definition, which runs under NUMBA_DISABLE_JIT=1.

Pointers are views here (``ops/simd.py``): ``a`` is everything from the address on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.simd import VECTOR_BYTES
from minicnn.ops.tile_code import VECTORS
from minicnn.shapes import Array


def panel_width(dtype: Any) -> int:
    """Columns of a full tile: 32 for float32 with AVX-512."""
    return VECTORS * VECTOR_BYTES // int(np.dtype(dtype).itemsize)


def tile_in_python(
    tiles: int,
    rows: int,
    vectors: int,
    a: Array,
    a_row: int,
    a_step: int,
    b: Array,
    table: Array,
    segments: int,
    addend: Array,
    addend_row: int,
    c: Array,
    c_row: int,
    floor: float,
) -> None:
    """c[r, v] = max(floor, addend[r, v] + sum over s, k of a[r, s, k] * b[s, k, v]), for the rows of all tiles.

    Where c is float32, a product and the sum that it is added to are rounded together, as processors with FMA do:
    float64 holds the product of two float32.
    """
    width = panel_width(c.dtype)
    columns = np.arange(vectors * width // VECTORS)
    for r in range(tiles * rows):
        total = np.zeros(len(columns), c.dtype)
        for s in range(segments):
            a_from, b_from, run = (int(number) for number in table[3 * s : 3 * s + 3])
            for k in range(run):
                row = b[b_from + k * width + columns]
                total = (total + np.float64(a[a_from + r * a_row + k * a_step]) * row).astype(c.dtype)
        total += addend[r * addend_row + columns]
        c[r * c_row + columns] = np.where(total <= floor, floor, total)


def tile_in_parts_in_python(
    tiles: int,
    rows: int,
    vectors: int,
    a: Array,
    a_row: int,
    a_step: int,
    b: Array,
    table: Array,
    segments: int,
    addend: Array,
    addend_row: int,
    c: Array,
    c_row: int,
) -> None:
    """``tile_in_python``, one segment after the other."""
    before, before_row = addend, addend_row
    for s in range(segments):
        own = table[3 * s :]
        tile_in_python(tiles, rows, vectors, a, a_row, a_step, b, own, 1, before, before_row, c, c_row, -np.inf)
        before, before_row = c, c_row
