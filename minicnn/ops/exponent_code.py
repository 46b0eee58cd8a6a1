"""The instructions behind ``vectors.py`` that work on exponents; ``vector_code.py`` has the others."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.ops import simd


def exponent_to_bits(behind: int) -> float:
    """What moves whole numbers to where the last bit counts ones, and the bias of exponents; see ``power_of_two``."""
    return 1.5 * 2.0**behind + (127 if behind < 32 else 1023)


@intrinsic  # type: ignore[untyped-decorator]
def power_of_two(typing: Any, exponent: Any) -> Any:
    """See ``vectors._power_of_two``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _emit_power(builder, arguments[0])

    return exponent(exponent), codegen


def _emit_power(builder: Any, exponent: Any) -> Any:
    kind, behind = exponent.type, _digits_behind(exponent)
    whole = ir.VectorType(ir.IntType(8 * simd.number_bytes(kind.element)), kind.count)
    moved = builder.fadd(exponent, ir.Constant(kind, [exponent_to_bits(behind)] * kind.count))
    bits = builder.shl(builder.bitcast(moved, whole), ir.Constant(whole, [behind] * kind.count))
    return builder.bitcast(bits, kind)


@intrinsic  # type: ignore[untyped-decorator]
def scaled(typing: Any, vector: Any, exponent: Any) -> Any:
    """See ``vectors._scaled``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, exponent = arguments
        kind, size = value.type, simd.number_bytes(value.type.element)
        if kind.count * size == simd.VECTOR_BYTES == 64:  # AVX-512
            name = f"llvm.x86.avx512.mask.scalef.p{'s' if size == 4 else 'd'}.512"
            mask, nearest = ir.IntType(kind.count), ir.IntType(32)
            function = ir.FunctionType(kind, [kind, kind, kind, mask, nearest])
            called = cgutils.get_or_insert_function(builder.module, function, name)
            return builder.call(called, [value, exponent, value, mask(-1), nearest(4)])
        far = ir.Constant(kind, [1.5 * 2.0 ** _digits_behind(value)] * kind.count)  # no digits after the point there
        half = builder.fmul(exponent, ir.Constant(kind, [0.5] * kind.count))
        half = builder.fsub(builder.fadd(half, far), far)
        product = builder.fmul(value, _emit_power(builder, half))
        return builder.fmul(product, _emit_power(builder, builder.fsub(exponent, half)))

    return vector(vector, vector), codegen


def _digits_behind(value: Any) -> int:
    """Binary digits behind the point that are kept of the number in every lane; one is before it, and is not."""
    return 23 if isinstance(value.type.element, ir.FloatType) else 52
