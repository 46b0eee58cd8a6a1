"""The innermost loop of every matrix product and convolution here: one tile of results, held in registers.

    c[r, v] = max(floor, addend[r, v] + sum over s, k of  a[r, s, k] * b[s, k, v])

for up to ``ROWS`` rows r and ``VECTORS`` vectors v of neighbouring columns. Why a tile? A product needs two numbers to
be loaded for one multiplication; a processor can multiply as fast as it can load, so a plain loop runs at half speed or
worse. But a tile of R x V sums, kept in registers, needs only R + V loads for R * V multiplications: with 14 rows and
2 vectors that is 16 loads for 28 fused multiply-adds of 16 numbers each, and the multipliers never wait.

Why these sizes: AVX-512 has 32 vector registers: 28 hold sums, 2 the current vectors of b, 1 a number of a, repeated.
AVX2 and older have 16 registers: 6 x 2 sums. What ``a`` is does not matter, as long as its rows are equally far apart:
each step reads one number per row. So nothing of ``a`` is ever copied or transposed: a row can be a row of a matrix, a
column of it, or the window of a convolution in the picture where it lies. A window is not contiguous, though: it
consists of *segments*, one for each row of the kernel. Where each begins stands in a small table of offsets.

The instructions are spelled out in LLVM's language; compilers do not find this shape of their own accord. All sizes but
the tile's are known only at run time, so one compiled function serves every layer. It is generated once for each number
of rows and vectors, and a jump leads to the right one.

Paper: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config
from numba.core import cgutils, types
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.ops.jit import njit
from minicnn.ops.simd import repeated
from minicnn.shapes import Array


def _vector_bytes() -> int:
    """The width of this processor's vector registers."""
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()
VECTORS = 2  # of columns in a tile
NEAR, FAR = 16, 64  # steps ahead of its use, a row of b is asked into the nearest cache, and into the next one
ROWS = 14 if VECTOR_BYTES == 64 else 6  # in a tile: ROWS * VECTORS sums, and what they are made of, fit the registers


def panel_width(dtype: Any) -> int:
    """Columns of a full tile: 32 for float32 with AVX-512."""
    return VECTORS * VECTOR_BYTES // int(np.dtype(dtype).itemsize)


class _Tile:
    """Emits the code of one tile of ``rows`` x ``vectors`` sums."""

    def __init__(self, builder: ir.IRBuilder, number: ir.Type, rows: int, vectors: int) -> None:
        self.builder, self.number, self.rows, self.vectors = builder, number, rows, vectors
        self.size = 4 if isinstance(number, ir.FloatType) else 8
        self.lanes = VECTOR_BYTES // self.size
        self.kind = ir.VectorType(number, self.lanes)

    def load(self, base: ir.Value, offset: ir.Value, v: int) -> ir.Value:
        at = self.builder.gep(base, [self.builder.add(offset, offset.type(v * self.lanes))])
        return self.builder.load(self.builder.bitcast(at, self.kind.as_pointer()), align=self.size)

    def store(self, value: ir.Value, base: ir.Value, offset: ir.Value, v: int) -> None:
        at = self.builder.gep(base, [self.builder.add(offset, offset.type(v * self.lanes))])
        self.builder.store(value, self.builder.bitcast(at, self.kind.as_pointer()), align=self.size)

    def prefetch(self, base: ir.Value, offset: ir.Value, v: int, write: bool = False, cache: int = 1) -> None:
        """Ask for a line of memory before it is needed."""
        at = self.builder.gep(base, [self.builder.add(offset, offset.type(v * self.lanes))])
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), whole, whole, whole])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        at = self.builder.bitcast(at, ir.IntType(8).as_pointer())
        self.builder.call(function, [at, whole(int(write)), whole(4 - cache), whole(1)])

    def multiply_add(self, a: ir.Value, b: ir.Value, total: ir.Value) -> ir.Value:
        """a * b + total: one instruction, rounded once, where the processor has it."""
        product = self.builder.fmul(a, b, flags=["contract"])
        return self.builder.fadd(product, total, flags=["contract"])

    def sums(self, a: Any, a_row: Any, a_step: Any, b: Any, b_step: Any, offsets: Any, segments: Any, run: Any) -> Any:
        """The loops over segments and over the numbers in one, with the sums as loop variables."""
        builder, zero, one = self.builder, run.type(0), run.type(1)
        near, far = (builder.mul(b_step, b_step.type(steps)) for steps in (NEAR, FAR))
        rows_at = [builder.mul(a_row, a_row.type(r)) for r in range(self.rows)]
        before = builder.block
        outer, inner = builder.append_basic_block("segment"), builder.append_basic_block("product")
        after_inner, after = builder.append_basic_block("next_segment"), builder.append_basic_block("sums_done")
        count = self.rows * self.vectors
        nothing = ir.Constant(self.kind, [0.0] * self.lanes)
        builder.branch(outer)

        builder.position_at_end(outer)
        s = builder.phi(run.type)
        outer_sums = [builder.phi(self.kind) for _ in range(count)]
        pair = builder.mul(s, s.type(2))
        a_at = builder.gep(a, [builder.load(builder.gep(offsets, [pair]))])
        b_at = builder.gep(b, [builder.load(builder.gep(offsets, [builder.add(pair, one)]))])
        builder.branch(inner)

        builder.position_at_end(inner)
        k, a_now, b_now = builder.phi(run.type), builder.phi(a.type), builder.phi(b.type)
        totals = [builder.phi(self.kind) for _ in range(count)]
        columns = [self.load(b_now, zero, v) for v in range(self.vectors)]
        for v in range(self.vectors):
            self.prefetch(b_now, near, v)
            self.prefetch(b_now, far, v, cache=2)
        new = []
        for r in range(self.rows):
            factor = repeated(builder, builder.load(builder.gep(a_now, [rows_at[r]])), self.kind)
            for v in range(self.vectors):
                new.append(self.multiply_add(factor, columns[v], totals[r * self.vectors + v]))
        k_next = builder.add(k, one)
        a_next, b_next = builder.gep(a_now, [a_step]), builder.gep(b_now, [b_step])
        builder.cbranch(builder.icmp_signed("<", k_next, run), inner, after_inner)

        builder.position_at_end(after_inner)
        s_next = builder.add(s, one)
        builder.cbranch(builder.icmp_signed("<", s_next, segments), outer, after)

        for phi, start, again in [(k, zero, k_next), (a_now, a_at, a_next), (b_now, b_at, b_next)]:
            phi.add_incoming(start, outer)
            phi.add_incoming(again, inner)
        s.add_incoming(zero, before)
        s.add_incoming(s_next, after_inner)
        for phi, start, again in zip(totals, outer_sums, new, strict=True):
            phi.add_incoming(start, outer)
            phi.add_incoming(again, inner)
        for phi, total in zip(outer_sums, new, strict=True):
            phi.add_incoming(nothing, before)
            phi.add_incoming(total, after_inner)
        builder.position_at_end(after)
        return new

    def ask_for(self, c: Any, c_row: Any) -> None:
        """The results' places, which are written when the sums are done."""
        for r in range(self.rows):
            for v in range(self.vectors):
                self.prefetch(c, self.builder.mul(c_row, c_row.type(r)), v, write=True)

    def finish(self, sums: Any, addend: Any, addend_row: Any, c: Any, c_row: Any, floor: Any) -> None:
        """Add, cut off below, store."""
        builder, least = self.builder, repeated(self.builder, floor, self.kind)
        for r in range(self.rows):
            addend_at, c_at = (builder.mul(step, step.type(r)) for step in (addend_row, c_row))
            for v in range(self.vectors):
                total = builder.fadd(sums[r * self.vectors + v], self.load(addend, addend_at, v))
                below = builder.fcmp_ordered("<=", total, least)  # false for NaN, which so survives; true for -0.0
                self.store(builder.select(below, least, total), c, c_at, v)


@intrinsic  # type: ignore[untyped-decorator]
def _tile(
    typing: Any,
    rows: Any,
    vectors: Any,
    a: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    b_step: Any,
    offsets: Any,
    segments: Any,
    run: Any,
    addend: Any,
    addend_row: Any,
    c: Any,
    c_row: Any,
    floor: Any,
) -> Any:
    """See ``tile``; here with pointers."""
    n = types.intp
    number = ir.FloatType() if a.dtype == types.float32 else ir.DoubleType()
    signature = types.void(n, n, a, n, n, a, n, CPointer(n), n, n, a, n, a, n, a.dtype)

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        rows, vectors, a, a_row, a_step, b, b_step, offsets, segments, run, addend, addend_row, c, c_row, floor = (
            arguments
        )
        which = builder.add(builder.mul(rows, rows.type(VECTORS)), vectors)
        done = builder.append_basic_block("done")
        switch = builder.switch(which, done)
        for r in range(1, ROWS + 1):
            for v in range(1, VECTORS + 1):
                block = builder.append_basic_block(f"tile_{r}x{v}")
                switch.add_case(which.type(r * VECTORS + v), block)
                builder.position_at_end(block)
                emit = _Tile(builder, number, r, v)
                emit.ask_for(c, c_row)
                sums = emit.sums(a, a_row, a_step, b, b_step, offsets, segments, run)
                emit.finish(sums, addend, addend_row, c, c_row, floor)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def tile_in_python(
    rows: int,
    vectors: int,
    a: Array,
    a_row: int,
    a_step: int,
    b: Array,
    b_step: int,
    offsets: Array,
    segments: int,
    run: int,
    addend: Array,
    addend_row: int,
    c: Array,
    c_row: int,
    floor: float,
) -> None:
    """The definition, in plain Python; what runs under NUMBA_DISABLE_JIT=1."""
    columns = np.arange(vectors * panel_width(c.dtype) // VECTORS)
    for r in range(rows):
        total = np.zeros(len(columns), c.dtype)
        for s in range(segments):
            for k in range(run):
                row = b[int(offsets[2 * s + 1]) + k * b_step + columns]
                total += a[int(offsets[2 * s]) + r * a_row + k * a_step] * row
        total += addend[r * addend_row + columns]
        c[r * c_row + columns] = np.where(total <= floor, floor, total)


@njit
def _compiled_tile(
    rows: int,
    vectors: int,
    a: Any,
    a_row: int,
    a_step: int,
    b: Any,
    b_step: int,
    offsets: Any,
    segments: int,
    run: int,
    addend: Any,
    addend_row: int,
    c: Any,
    c_row: int,
    floor: float,
) -> None:
    _tile(rows, vectors, a, a_row, a_step, b, b_step, offsets, segments, run, addend, addend_row, c, c_row, floor)


#: ``tile(rows, vectors, a, a_row, a_step, b, b_step, offsets, segments, run, addend, addend_row, c, c_row, floor)``:
#: the formula above for one tile of ``rows`` (1 to ROWS) times ``vectors`` (1 to VECTORS). Arrays are given as
#: ``pointer(array, index)``; a distance counts numbers, not bytes. Number k of segment s stands, for row r of the tile,
#: at ``a[offsets[2*s] + r*a_row + k*a_step]``, and its factors at ``b[offsets[2*s+1] + k*b_step ...]``. ``run`` numbers
#: in each segment, at least 1. ``addend_row`` 0 adds the same row everywhere (a bias); ``floor`` is 0 for ReLU and
#: minus infinity for none.
tile: Any = tile_in_python if config.DISABLE_JIT else _compiled_tile
