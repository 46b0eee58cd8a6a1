"""One loop that compilers get wrong: a small constant matrix times a wide array, written in LLVM's own code.

    result[i, c] = sum over k of  matrix[i, k] * source[k, c]              c = 0 .. width - 1

Winograd's transforms are nothing but such products, one or two in a row, with matrices of a few rows, most of whose
entries are 0. Written as plain loops they were computed one number at a time: a compiler may take eight or sixteen c at
once only if it can prove that ``source`` and ``result`` do not overlap, and it gave up (``benchmarks/NOTES.md``). So
here the instructions are spelled out: load a vector of every row, multiply and add, store, for as long as whole vectors
fit; then the same one number at a time.

The matrices are compiled into the instructions, so that they cannot be arguments; a table of them is one text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic

from minicnn.ops.simd import VECTOR_BYTES, as_it_stands, repeated
from minicnn.shapes import Array


class Product(NamedTuple):
    """What ``left_multiply`` computes: result = steps[-1] @ ... @ steps[0] @ source.

    Row k of the source lies ``reads[k]`` distances from its beginning, row i of the result ``writes[i]`` of its own.
    """

    steps: Sequence[Array]
    reads: Sequence[int]
    writes: Sequence[int]


def product(*steps: Array, reads: Sequence[int] | None = None, writes: Sequence[int] | None = None) -> Product:
    """Matrices to be applied one after the other, by default from rows at equal distances to such rows."""
    return Product(
        steps,
        range(steps[0].shape[1]) if reads is None else reads,
        range(steps[-1].shape[0]) if writes is None else writes,
    )


def encode(*table: Product | None) -> str:
    """Products as text, one a line. Compiled code is kept on disk under what it was compiled for; a text can be such a
    key."""
    return "\n".join("" if one is None else _encode(one) for one in table)


def _encode(one: Product) -> str:
    """``reads | step | step | writes``; the rows of a step are divided by ";", an entry is ``column:factor``."""

    def row(entries: list[float]) -> str:
        return " ".join(f"{k}:{factor!r}" for k, factor in enumerate(entries) if factor)

    steps = (";".join(map(row, step.tolist())) for step in one.steps)
    return "|".join([" ".join(map(str, one.reads)), *steps, " ".join(map(str, one.writes))])


Rows = list[list[tuple[int, float]]]  # of a matrix: the entries that are not 0, with their columns


def decode(table: str) -> list[tuple[list[int], list[Rows], list[int]] | None]:
    """``encode``, back again: reads, steps and writes of every product."""

    def entries(row: str) -> list[tuple[int, float]]:
        return [(int(column), float(factor)) for column, factor in (entry.split(":") for entry in row.split())]

    def one(line: str) -> tuple[list[int], list[Rows], list[int]]:
        reads, *steps, writes = line.split("|")
        rows = [[entries(row) for row in step.split(";")] for step in steps]
        return [int(place) for place in reads.split()], rows, [int(place) for place in writes.split()]

    return [one(line) if line else None for line in table.split("\n")]


def left_multiply_in_python(
    table: str,
    which: int,
    source: Array,
    source_step: int,
    result: Array,
    step: int,
    width: int,
    addend: Array | None = None,
    floor: float = -np.inf,
) -> None:
    """The definition, in plain Python; what runs under NUMBA_DISABLE_JIT=1."""
    chosen = decode(table)[which]
    if chosen is None:
        return
    reads, steps, writes = chosen
    for c in range(width):
        numbers = [float(source[place * source_step + c]) for place in reads]
        for rows in steps:
            numbers = [sum(factor * numbers[k] for k, factor in row) for row in rows]
        for place, number in zip(writes, numbers, strict=True):
            total = number + (0.0 if addend is None else float(addend[c]))
            result[place * step + c] = floor if total <= floor else total


def _compiled(table: Any, source: Any, result: Any, finishing: bool) -> Any:
    """Signature and code of ``left_multiply``, or with ``finishing`` of ``left_multiply_add``."""
    if not isinstance(table, types.Literal):
        return None
    wide = max(source.dtype.bitwidth, result.dtype.bitwidth)
    number = ir.FloatType() if wide == 32 else ir.DoubleType()
    lanes, n = VECTOR_BYTES * 8 // wide, types.intp
    signature = types.void(table, n, source, n, result, n, n, *((result, result.dtype) if finishing else ()))

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        numbers = arguments[1:]
        kind = ir.FunctionType(ir.VoidType(), [number.type for number in numbers])
        key = hashlib.sha256(f"{kind} {table.literal_value}".encode()).hexdigest()
        function = cgutils.get_or_insert_function(builder.module, kind, f"left_multiply_{key[:16]}")
        if function.is_declaration:
            function.linkage = "internal"
            function.attributes.add("noinline")
            _emit(function, decode(table.literal_value), number, lanes)
        builder.call(function, numbers)
        return context.get_dummy_value()

    return signature, codegen


def _emit(function: ir.Function, products: Any, number: ir.Type, lanes: int) -> None:
    """The body of ``left_multiply``: a loop over vectors of columns, and one over what is left, for every product.

    A function of its own, never put into its callers: there, LLVM would make a copy of the loops around it for each of
    the products, since which one is wanted does not change within them.
    """
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    which, *places, width = function.args[:6]
    vectors, singles = (_Columns(builder, number, n, places, function.args[6:]) for n in (lanes, 1))
    whole = builder.sub(width, builder.srem(width, width.type(lanes)))
    done = builder.append_basic_block("done")
    switch = builder.switch(which, done)
    for at, chosen in enumerate(products):
        if chosen is None:
            continue
        block = builder.append_basic_block(f"product_{at}")
        switch.add_case(which.type(at), block)
        builder.position_at_end(block)
        with cgutils.for_range_slice(builder, width.type(0), whole, width.type(lanes), inc=True) as (c, _):
            vectors.multiply(chosen, c)
        with cgutils.for_range_slice(builder, whole, width, width.type(1), inc=True) as (c, _):
            singles.multiply(chosen, c)
            rest = builder.block
        as_it_stands(rest)  # fewer than a vector are left: what compiling it otherwise costs is in ``NOTES.md``
        builder.branch(done)
    builder.position_at_end(done)
    builder.ret_void()


class _Columns:
    """Emits the instructions of a product for ``lanes`` neighbouring columns: numbers alone if that is 1."""

    def __init__(self, builder: ir.IRBuilder, number: ir.Type, lanes: int, places: Any, finish: Any) -> None:
        self.builder, self.number, self.lanes = builder, number, lanes
        self.read, self.source_step, self.write, self.step = places
        self.finish = finish  # nothing, or addend and floor
        self.kind = self.several(number)

    def several(self, own: ir.Type) -> ir.Type:
        return own if self.lanes == 1 else ir.VectorType(own, self.lanes)

    def multiply(self, chosen: Any, c: ir.Value) -> None:
        """One of the products, for the columns from c on."""
        reads, steps, writes = chosen
        numbers = [self.load(self.address(self.read, c, place, self.source_step)) for place in reads]
        for rows in steps:
            numbers = [self.combined(row, numbers) for row in rows]
        if self.finish:
            addend, floor = self.finish
            added = self.load(self.address(addend, c, 0, self.step))
            least = repeated(self.builder, floor, self.kind)
        for place, total in zip(writes, numbers, strict=True):
            if self.finish:
                total = self.builder.fadd(total, added)
                total = self.builder.select(self.builder.fcmp_ordered("<=", total, least), least, total)
            self.store(total, self.address(self.write, c, place, self.step))

    def address(self, base: ir.Value, c: ir.Value, place: int, distance: ir.Value) -> ir.Value:
        row = self.builder.mul(distance, distance.type(place))
        return self.builder.gep(base, [self.builder.add(c, row)])

    def at(self, address: ir.Value) -> tuple[ir.Value, int]:
        """The same address, of as many numbers; and what it can be divided by, in bytes."""
        own = address.type.pointee
        there = self.builder.bitcast(address, self.several(own).as_pointer())
        return there, 4 if own == ir.FloatType() else 8

    def load(self, address: ir.Value) -> ir.Value:
        there, align = self.at(address)
        numbers = self.builder.load(there, align=align)
        return numbers if numbers.type == self.kind else self.builder.fpext(numbers, self.kind)

    def store(self, numbers: ir.Value, address: ir.Value) -> None:
        there, align = self.at(address)
        own = there.type.pointee
        self.builder.store(numbers if own == self.kind else self.builder.fptrunc(numbers, own), there, align=align)

    def combined(self, row: list[tuple[int, float]], numbers: list[ir.Value]) -> ir.Value:
        """The sum of a row's factors times the numbers that they are for."""
        total = None
        for k, factor in row:
            term = self.builder.fmul(self.constant(factor), numbers[k], flags=["contract"])
            total = term if total is None else self.builder.fadd(total, term, flags=["contract"])
        return self.constant(0.0) if total is None else total

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(self.kind, value if self.lanes == 1 else [value] * self.lanes)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _left_multiply(
    typing: Any, table: Any, which: Any, source: Any, source_step: Any, result: Any, step: Any, width: Any
) -> Any:
    """``left_multiply(table, which, source, source_step, result, step, width)``, in compiled code only.

    ``table`` is a text of ``encode`` known when compiling, and ``which`` of its products is wanted, at run time;
    ``source`` and ``result`` come from ``pointer``. A distance is ``source_step`` or ``step`` numbers. If one of source
    and result is float64, all is computed so, and rounded once, when it is stored.
    """
    return _compiled(table, source, result, finishing=False)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _left_multiply_add(
    typing: Any,
    table: Any,
    which: Any,
    source: Any,
    source_step: Any,
    result: Any,
    step: Any,
    width: Any,
    addend: Any,
    floor: Any,
) -> Any:
    """The same, but ``addend[c]`` is added to every row, and what is below ``floor`` becomes it (NaN stays)."""
    return _compiled(table, source, result, finishing=True)


left_multiply: Any = left_multiply_in_python if config.DISABLE_JIT else _left_multiply
left_multiply_add: Any = left_multiply_in_python if config.DISABLE_JIT else _left_multiply_add
