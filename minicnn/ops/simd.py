"""One loop that compilers get wrong: a small constant matrix times a wide array, written in LLVM's own code.

    result[i, c] = sum over k of  matrix[i, k] * source[k, c]              c = 0 .. width - 1

Winograd's transforms are nothing but this product, with matrices of at most 6x6. Written as plain loops it was computed
one number at a time: a compiler may take eight or sixteen c at once only if it can prove that ``source`` and ``result``
do not overlap, and it gave up (``benchmarks/NOTES.md``). So here the instructions are spelled out: load a vector
of every row, multiply and add, store, for as long as whole vectors fit; then the same one number at a time.

A vector is 64 bytes, the width of AVX-512; where the processor has narrower ones, LLVM takes two or four of those.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic

from minicnn.shapes import Array

VECTOR_BYTES = 64


def encode(matrix: Array) -> str:
    """A matrix as text. Numba keeps compiled code on disk under what it was compiled for; a text can be such a key."""
    return ";".join(" ".join(repr(float(value)) for value in row) for row in matrix)


def decode(text: str) -> list[list[float]]:
    """``encode``, back again."""
    return [[float(value) for value in row.split()] for row in text.split(";")]


def left_multiply_loops(
    matrix: str, source: Array, source_at: int, source_step: int, result: Array, at: int, step: int, width: int
) -> None:
    """The definition, in plain Python; what runs under NUMBA_DISABLE_JIT=1."""
    read, write = source.reshape(-1), result.reshape(-1)
    for i, row in enumerate(decode(matrix)):
        for c in range(width):
            total = sum(factor * float(read[source_at + k * source_step + c]) for k, factor in enumerate(row) if factor)
            write[at + i * step + c] = total


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _left_multiply(
    typing: Any, matrix: Any, source: Any, source_at: Any, source_step: Any, result: Any, at: Any, step: Any, width: Any
) -> Any:
    """``left_multiply(matrix, source, source_at, source_step, result, at, step, width)``, in compiled code only.

    ``matrix`` is a text of ``encode`` known when compiling. Row k of the source starts ``source_at + k * source_step``
    numbers after the beginning of the contiguous array ``source``; row i of the result ``at + i * step`` numbers
    after that of ``result``. Nothing checks that these lie inside.
    """
    if not isinstance(matrix, types.Literal):
        return None
    rows = decode(matrix.literal_value)
    number = ir.FloatType() if source.dtype == types.float32 else ir.DoubleType()
    lanes = VECTOR_BYTES * 8 // source.dtype.bitwidth
    signature = types.void(matrix, source, types.intp, types.intp, result, types.intp, types.intp, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, source_array, source_at, source_step, result_array, at, step, width = arguments
        read = context.make_array(signature.args[1])(context, builder, source_array).data
        write = context.make_array(signature.args[4])(context, builder, result_array).data

        def columns(c: ir.Value, kind: ir.Type) -> None:
            """The product for the columns from c on, as many as ``kind`` holds."""

            def address(base: ir.Value, start: ir.Value, row: int, distance: ir.Value) -> ir.Value:
                offset = builder.add(builder.add(start, c), builder.mul(distance, distance.type(row)))
                return builder.bitcast(builder.gep(base, [offset]), kind.as_pointer())

            def constant(value: float) -> ir.Constant:
                return ir.Constant(kind, [value] * lanes if isinstance(kind, ir.VectorType) else value)

            size = source.dtype.bitwidth // 8
            loaded = [builder.load(address(read, source_at, k, source_step), align=size) for k in range(len(rows[0]))]
            for i, row in enumerate(rows):
                total = constant(0.0)
                for factor, numbers in zip(row, loaded, strict=True):
                    if factor:
                        product = builder.fmul(constant(factor), numbers, flags=["contract"])
                        total = builder.fadd(product, total, flags=["contract"])
                builder.store(total, address(write, at, i, step), align=size)

        whole = builder.sub(width, builder.srem(width, width.type(lanes)))
        with cgutils.for_range_slice(builder, width.type(0), whole, width.type(lanes), inc=True) as (c, _):
            columns(c, ir.VectorType(number, lanes))
        with cgutils.for_range_slice(builder, whole, width, width.type(1), inc=True) as (c, _):
            columns(c, number)
        return context.get_dummy_value()

    return signature, codegen


left_multiply: Any = left_multiply_loops if config.DISABLE_JIT else _left_multiply
