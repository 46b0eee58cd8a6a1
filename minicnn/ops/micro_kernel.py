"""The innermost loop of every matrix product and convolution here: one tile of results, held in registers.

    c[r, v] = max(floor, addend[r, v] + sum over s, k of  a[r, s, k] * b[s, k, v])

for up to ``ROWS`` rows r and ``VECTORS`` vectors v of neighbouring columns. Why a tile? A product needs two numbers to
be loaded for one multiplication; a processor can multiply as fast as it can load, so a plain loop runs at half speed or
worse. But a tile of R x V sums, kept in registers, needs only R + V loads for R * V multiplications: with 14 rows and
2 vectors that is 16 loads for 28 fused multiply-adds of 16 numbers each, and the multipliers never wait.

Why these sizes: AVX-512 has 32 vector registers: 28 hold sums, 2 the current vectors of b, 1 a number of a, repeated.
AVX2 and older have 16 registers: 6 x 2 sums. What ``a`` is does not matter, as long as its rows are equally far apart:
each step reads one number per row. So nothing of ``a`` need be copied or transposed: a row can be a row of a matrix, a
column of it, or the window of a convolution in the picture where it lies. A window is not contiguous, though: it
consists of *segments*, one for each row of the kernel. Where each begins, and how long it is, stands in a small table.

The instructions are spelled out in LLVM's language (``tile_code.py``). All sizes but the tile's are known only at run
time, so one compiled function serves every layer. It is generated once for each number of rows and vectors, and a jump
leads to the right one.

Paper: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import types
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.ops.jit import njit
from minicnn.ops.tile_code import ROWS, VECTORS, TileCode
from minicnn.ops.tile_definition import panel_width, tile_in_parts_in_python, tile_in_python
from minicnn.shapes import Array

__all__ = ["ROWS", "VECTORS", "divide", "panel_width", "parts", "tile", "tile_in_parts"]


def _compiled(a: Any, in_parts: bool = False) -> Any:
    """Signature and code of ``tile`` or ``tile_in_parts``."""
    n, number = types.intp, ir.FloatType() if a.dtype == types.float32 else ir.DoubleType()
    cut_off = () if in_parts else (a.dtype,)
    signature = types.void(n, n, n, a, n, n, a, CPointer(n), n, a, n, a, n, *cut_off)

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        tiles, rows, vectors, a, a_row, a_step, *others = arguments  # b, table, ...: as below
        which = builder.add(builder.mul(rows, rows.type(VECTORS)), vectors)
        done = builder.append_basic_block("done")
        switch = builder.switch(which, done)
        for r in range(1, ROWS + 1):
            for v in range(1, VECTORS + 1):
                block = builder.append_basic_block(f"tile_{r}x{v}")
                switch.add_case(which.type(r * VECTORS + v), block)
                builder.position_at_end(block)
                emit = TileCode(builder, number, r, v)
                emit.begin(a_row, a_step)
                (emit.in_parts if in_parts else emit.in_one)(tiles, a, *others)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic  # type: ignore[untyped-decorator]
def _tile(
    typing: Any,
    tiles: Any,
    rows: Any,
    vectors: Any,
    a: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    table: Any,
    segments: Any,
    addend: Any,
    addend_row: Any,
    c: Any,
    c_row: Any,
    floor: Any,
) -> Any:
    """See ``tile``."""
    return _compiled(a)


@intrinsic  # type: ignore[untyped-decorator]
def _tile_in_parts(
    typing: Any,
    tiles: Any,
    rows: Any,
    vectors: Any,
    a: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    table: Any,
    segments: Any,
    addend: Any,
    addend_row: Any,
    c: Any,
    c_row: Any,
) -> Any:
    """See ``tile_in_parts``."""
    return _compiled(a, in_parts=True)


@njit
def _compiled_tile(
    tiles: int,
    rows: int,
    vectors: int,
    a: Any,
    a_row: int,
    a_step: int,
    b: Any,
    table: Any,
    segments: int,
    addend: Any,
    addend_row: int,
    c: Any,
    c_row: int,
    floor: float,
) -> None:
    _tile(tiles, rows, vectors, a, a_row, a_step, b, table, segments, addend, addend_row, c, c_row, floor)


@njit
def _compiled_tile_in_parts(
    tiles: int,
    rows: int,
    vectors: int,
    a: Any,
    a_row: int,
    a_step: int,
    b: Any,
    table: Any,
    segments: int,
    addend: Any,
    addend_row: int,
    c: Any,
    c_row: int,
) -> None:
    _tile_in_parts(tiles, rows, vectors, a, a_row, a_step, b, table, segments, addend, addend_row, c, c_row)


#: ``tile(tiles, rows, vectors, a, a_row, a_step, b, table, segments, addend, addend_row, c, c_row, floor)``:
#: the formula above for so many ``tiles``, one below the other, of ``rows`` (1 to ROWS) times ``vectors`` (1 to
#: VECTORS) each: what a call costs is noticed where sums are short (``benchmarks/NOTES.md``). Arrays are given as
#: ``pointer(array, index)``; a distance counts numbers, not bytes. Number k of segment s stands, for row r of all the
#: tiles, at ``a[table[3*s] + r*a_row + k*a_step]``, and its factors at ``b[table[3*s+1] + k*W ...]``: b is a panel,
#: whose rows lie W = ``panel_width`` apart. There are ``table[3*s+2]`` of them: at least 1, as of segments.
#: ``addend_row`` 0 adds the same row everywhere (a bias); ``floor`` is 0 for ReLU and minus infinity for none.
tile: Any = tile_in_python if config.DISABLE_JIT else _compiled_tile

#: The same without a floor, and each segment is added up for itself, from zero, and then to c: a sum of short sums
#: rounds less than one long sum, because most of it is added to small numbers.
tile_in_parts: Any = tile_in_parts_in_python if config.DISABLE_JIT else _compiled_tile_in_parts


@njit
def parts(count: int, longest: int, a_step: int, b_step: int) -> Array:
    """The table of a sum of ``count`` numbers, at least 1, ``longest`` at a time; what is left is the last part.

    ``a_step`` and ``b_step``: how far apart two of the numbers lie in a, and their factors in b.
    """
    table = np.empty(3 * ((count + longest - 1) // longest), np.intp)
    divide(count, longest, a_step, b_step, table)
    return table


@njit
def divide(count: int, longest: int, a_step: int, b_step: int, table: Array) -> int:
    """Write such a table; returns how many parts it has."""
    pieces = (count + longest - 1) // longest
    for s in range(pieces):
        begin = s * longest
        table[3 * s], table[3 * s + 1], table[3 * s + 2] = begin * a_step, begin * b_step, min(longest, count - begin)
    return pieces
