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


def lift(behind: int) -> float:
    """By which exponents are raised before a power of two is made of them; see ``vectors._scaled_down``."""
    return 40.0 if behind < 32 else 100.0


def _emit_power(builder: Any, exponent: Any, above: float = 0.0) -> Any:
    """2^(exponent + above)."""
    kind, behind = exponent.type, _digits_behind(exponent)
    whole = ir.VectorType(ir.IntType(8 * simd.number_bytes(kind.element)), kind.count)
    moved = builder.fadd(exponent, ir.Constant(kind, [exponent_to_bits(behind) + above] * kind.count))
    bits = builder.shl(builder.bitcast(moved, whole), ir.Constant(whole, [behind] * kind.count))
    return builder.bitcast(bits, kind)


@intrinsic  # type: ignore[untyped-decorator]
def scaled(typing: Any, vector: Any, exponent: Any) -> Any:
    """See ``vectors._scaled``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, exponent = arguments
        if _has_instruction(value.type):
            return _emit_instruction(builder, value, exponent)
        kind = value.type
        far = ir.Constant(kind, [1.5 * 2.0 ** _digits_behind(value)] * kind.count)  # no digits after the point there
        half = builder.fmul(exponent, ir.Constant(kind, [0.5] * kind.count))
        half = builder.fsub(builder.fadd(half, far), far)
        product = builder.fmul(value, _emit_power(builder, half))
        return builder.fmul(product, _emit_power(builder, builder.fsub(exponent, half)))

    return vector(vector, vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def scaled_down(typing: Any, vector: Any, exponent: Any) -> Any:
    """See ``vectors._scaled_down``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, exponent = arguments
        if _has_instruction(value.type):
            return _emit_instruction(builder, value, exponent)
        above = lift(_digits_behind(value))
        product = builder.fmul(value, _emit_power(builder, exponent, above))
        return builder.fmul(product, ir.Constant(value.type, [2.0**-above] * value.type.count))

    return vector(vector, vector), codegen


def _has_instruction(kind: Any) -> bool:
    """AVX-512 scales vectors of its own width."""
    return bool(kind.count * simd.number_bytes(kind.element) == simd.VECTOR_BYTES == 64)


def _emit_instruction(builder: Any, value: Any, exponent: Any) -> Any:
    kind = value.type
    name = f"llvm.x86.avx512.mask.scalef.p{'s' if simd.number_bytes(kind.element) == 4 else 'd'}.512"
    mask, nearest = ir.IntType(kind.count), ir.IntType(32)
    function = ir.FunctionType(kind, [kind, kind, kind, mask, nearest])
    called = cgutils.get_or_insert_function(builder.module, function, name)
    return builder.call(called, [value, exponent, value, mask(-1), nearest(4)])


def _digits_behind(value: Any) -> int:
    """Binary digits behind the point that are kept of the number in every lane; one is before it, and is not."""
    return 23 if isinstance(value.type.element, ir.FloatType) else 52
