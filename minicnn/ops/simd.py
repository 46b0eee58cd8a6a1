"""One loop that compilers get wrong: a small constant matrix times a wide array, written in LLVM's own code.

    result[i, c] = sum over k of  matrix[i, k] * source[k, c]              c = 0 .. width - 1

Winograd's transforms are nothing but this product, with matrices of at most 6x6. Written as plain loops it was computed
one number at a time: a compiler may take eight or sixteen c at once only if it can prove that ``source`` and ``result``
do not overlap, and it gave up (``benchmarks/NOTES.md``). So here the instructions are spelled out: load a vector
of every row, multiply and add, store, for as long as whole vectors fit; then the same one number at a time.

A vector has the width of the processor's registers, not more: of wider ones LLVM makes two or four, and sums that
should stay in registers no longer do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config
from numba.core import cgutils, types
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.shapes import Array


def _vector_bytes() -> int:
    """The width of this processor's vector registers."""
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()
LINE_BYTES = 64  # of memory, that a cache holds together


def encode(matrix: Array) -> str:
    """A matrix as text. Numba keeps compiled code on disk under what it was compiled for; a text can be such a key."""
    return ";".join(" ".join(repr(float(value)) for value in row) for row in matrix)


def decode(text: str) -> list[list[float]]:
    """``encode``, back again."""
    return [[float(value) for value in row.split()] for row in text.split(";")]


def pointer_in_python(array: Array, at: int) -> Array:
    """The numbers of a contiguous array from the ``at``-th on: what stands for a pointer in plain Python."""
    return array.reshape(-1)[at:]


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typing: Any, array: Any, at: Any) -> Any:
    """``pointer(array, at)``: the address of the ``at``-th number of a contiguous array. Nothing checks that there is
    one, and nothing keeps the array alive."""
    signature = CPointer(array.dtype)(array, types.intp)

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.gep(data, [arguments[1]])

    return signature, codegen


def keep_alive_in_python(array: Array) -> None:
    """Nothing: in Python, the pointer is a view, and that keeps the array alive."""


@intrinsic  # type: ignore[untyped-decorator]
def _keep_alive(typing: Any, array: Any) -> Any:
    """``keep_alive(array)`` does nothing, after the last use of a pointer into an array that was made in the function.

    Numba frees an array after the last line that mentions it, and a pointer does not count.
    """
    return types.void(array), lambda context, builder, signature, arguments: context.get_dummy_value()


def offset_in_python(start: Array, by: int) -> Array:
    """A pointer ``by`` numbers further on."""
    return start[by:]


@intrinsic  # type: ignore[untyped-decorator]
def _offset(typing: Any, start: Any, by: Any) -> Any:
    """``offset(start, by)``: a pointer ``by`` numbers further on."""
    signature = start(start, types.intp)
    return signature, lambda context, builder, signature, arguments: builder.gep(arguments[0], [arguments[1]])


def prefetch(builder: ir.IRBuilder, address: ir.Value, write: bool = False, cache: int = 1) -> None:
    """Emit the instruction that asks for the line at ``address`` before it is needed."""
    byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(address, byte), whole(int(write)), whole(4 - cache), whole(1)])


def left_multiply_in_python(
    matrix: str,
    source: Array,
    source_step: int,
    result: Array,
    step: int,
    width: int,
    addend: Array | None = None,
    floor: float = -np.inf,
) -> None:
    """The definition, in plain Python; what runs under NUMBA_DISABLE_JIT=1."""
    for i, row in enumerate(decode(matrix)):
        for c in range(width):
            total = sum(factor * float(source[k * source_step + c]) for k, factor in enumerate(row) if factor)
            total += 0.0 if addend is None else float(addend[c])
            result[i * step + c] = floor if total <= floor else total


def _compiled(matrix: Any, source: Any, result: Any, finishing: bool) -> Any:
    """Signature and code of ``left_multiply``, or with ``finishing`` of ``left_multiply_add``."""
    if not isinstance(matrix, types.Literal):
        return None
    rows = decode(matrix.literal_value)
    wide = max(source.dtype.bitwidth, result.dtype.bitwidth)
    number = ir.FloatType() if wide == 32 else ir.DoubleType()
    lanes, n = VECTOR_BYTES * 8 // wide, types.intp
    signature = types.void(matrix, source, n, result, n, n, *((result, result.dtype) if finishing else ()))

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, read, source_step, write, step, width, *finish = arguments

        def columns(c: ir.Value, kind: ir.Type) -> None:
            """The product for the columns from c on, as many as ``kind`` holds."""

            def address(base: ir.Value, row: int, distance: ir.Value) -> ir.Value:
                return builder.gep(base, [builder.add(c, builder.mul(distance, distance.type(row)))])

            def load(at: ir.Value) -> ir.Value:
                own = at.type.pointee
                there = ir.VectorType(own, lanes) if isinstance(kind, ir.VectorType) else own
                numbers = builder.load(builder.bitcast(at, there.as_pointer()), align=4 if own == ir.FloatType() else 8)
                return numbers if own == number else builder.fpext(numbers, kind)

            def store(numbers: ir.Value, at: ir.Value) -> None:
                own = at.type.pointee
                there = ir.VectorType(own, lanes) if isinstance(kind, ir.VectorType) else own
                numbers = numbers if own == number else builder.fptrunc(numbers, there)
                builder.store(numbers, builder.bitcast(at, there.as_pointer()), align=4 if own == ir.FloatType() else 8)

            def constant(value: float) -> ir.Constant:
                return ir.Constant(kind, [value] * lanes if isinstance(kind, ir.VectorType) else value)

            loaded = [load(address(read, k, source_step)) for k in range(len(rows[0]))]
            if finishing:
                added = load(address(finish[0], 0, step))
                least = repeated(builder, finish[1], kind)
            for i, row in enumerate(rows):
                total = constant(0.0)
                for factor, numbers in zip(row, loaded, strict=True):
                    if factor:
                        product = builder.fmul(constant(factor), numbers, flags=["contract"])
                        total = builder.fadd(product, total, flags=["contract"])
                if finishing:
                    total = builder.fadd(total, added)
                    total = builder.select(builder.fcmp_ordered("<=", total, least), least, total)
                store(total, address(write, i, step))

        whole = builder.sub(width, builder.srem(width, width.type(lanes)))
        with cgutils.for_range_slice(builder, width.type(0), whole, width.type(lanes), inc=True) as (c, _):
            columns(c, ir.VectorType(number, lanes))
        with cgutils.for_range_slice(builder, whole, width, width.type(1), inc=True) as (c, _):
            columns(c, number)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _left_multiply(typing: Any, matrix: Any, source: Any, source_step: Any, result: Any, step: Any, width: Any) -> Any:
    """``left_multiply(matrix, source, source_step, result, step, width)``, in compiled code only.

    ``matrix`` is a text of ``encode`` known when compiling; ``source`` and ``result`` come from ``pointer``. Row k of
    the source starts ``k * source_step`` numbers after its first, row i of the result ``i * step`` after its. If one of
    them is float64, all is computed so, and rounded once, when it is stored.
    """
    return _compiled(matrix, source, result, finishing=False)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _left_multiply_add(
    typing: Any,
    matrix: Any,
    source: Any,
    source_step: Any,
    result: Any,
    step: Any,
    width: Any,
    addend: Any,
    floor: Any,
) -> Any:
    """The same, but ``addend[c]`` is added to every row, and what is below ``floor`` becomes it (NaN stays)."""
    return _compiled(matrix, source, result, finishing=True)


def repeated(builder: ir.IRBuilder, value: ir.Value, kind: ir.Type) -> ir.Value:
    """A vector of one number; the number itself where ``kind`` is no vector."""
    if not isinstance(kind, ir.VectorType):
        return value
    undefined, mask = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
    one = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(mask, [0] * kind.count))


offset: Any = offset_in_python if config.DISABLE_JIT else _offset
keep_alive: Any = keep_alive_in_python if config.DISABLE_JIT else _keep_alive
pointer: Any = pointer_in_python if config.DISABLE_JIT else _pointer
left_multiply: Any = left_multiply_in_python if config.DISABLE_JIT else _left_multiply
left_multiply_add: Any = left_multiply_in_python if config.DISABLE_JIT else _left_multiply_add
