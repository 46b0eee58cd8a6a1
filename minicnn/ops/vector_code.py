"""The instructions behind ``vectors.py``, written out in LLVM's language: a type for Numba, and what is done with it.

Each intrinsic has the name and the arguments of a function in ``vectors.py``, which says what it does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.types.misc import unliteral
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from minicnn.ops import simd
from minicnn.ops.simd import VECTOR_BYTES, repeated


class Vector(types.Type):
    """Numba's type of a vector: so many numbers of one type."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        super().__init__(name=f"Vector({dtype}, {lanes})")
        self.dtype = dtype
        self.lanes = lanes


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """A vector is held in a register as it is."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _llvm(kind))


def _llvm(kind: Any) -> ir.VectorType:
    """LLVM's type for a ``Vector``; a truth value takes one bit."""
    floats = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.boolean: ir.IntType(1)}
    return ir.VectorType(floats.get(kind.dtype) or ir.IntType(kind.dtype.bitwidth), kind.lanes)


def _of(array: Any) -> Vector:
    """The vector of an array type."""
    return Vector(array.dtype, VECTOR_BYTES * 8 // array.dtype.bitwidth)


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


def _emit_load(context: Any, builder: Any, array_type: Any, array: Any, at: Any, count: Any, kind: Vector) -> Any:
    """A whole vector where ``count`` is not less than one (a branch that processors foresee), else a masked one."""
    pointer, llvm = _address(context, builder, array_type, array, at), _llvm(kind)
    slot = cgutils.alloca_once(builder, llvm)
    with builder.if_else(builder.icmp_signed(">=", count, count.type(kind.lanes))) as (whole, part):
        with whole:
            builder.store(simd.load(builder, pointer, llvm), slot)
        with part:
            builder.store(simd.load(builder, pointer, llvm, simd.lane_mask(builder, count, kind.lanes)), slot)
    return builder.load(slot)


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """See ``vectors._load``."""
    kind = _of(array)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, count = arguments
        return _emit_load(context, builder, sig.args[0], array_value, at, count, kind)

    return kind(array, types.intp, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def load_like(typing: Any, array: Any, at: Any, count: Any, like: Any) -> Any:
    """See ``vectors._load_like``."""
    kind = Vector(array.dtype, like.lanes)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, count, _ = arguments
        return _emit_load(context, builder, sig.args[0], array_value, at, count, kind)

    return kind(array, types.intp, types.intp, like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, array: Any, at: Any, vector: Any, count: Any) -> Any:
    """See ``vectors._store``."""
    kind = Vector(array.dtype, vector.lanes)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, value, count = arguments
        if vector.dtype == types.float64 and array.dtype == types.float32:
            value = builder.fptrunc(value, _llvm(kind))
        pointer = _address(context, builder, sig.args[0], array_value, at)
        with builder.if_else(builder.icmp_signed(">=", count, count.type(vector.lanes))) as (whole, part):
            with whole:
                simd.store(builder, value, pointer)
            with part:
                simd.store(builder, value, pointer, simd.lane_mask(builder, count, vector.lanes))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def stream(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """See ``vectors._stream``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, value = arguments
        simd.stream(builder, value, _address(context, builder, sig.args[0], array_value, at))
        return context.get_dummy_value()

    return types.void(array, types.intp, Vector(array.dtype, vector.lanes)), codegen


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, array: Any, at: Any) -> Any:
    """See ``vectors._prefetch``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        simd.prefetch(builder, _address(context, builder, sig.args[0], *arguments))
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def splat(typing: Any, number: Any, like: Any) -> Any:
    """See ``vectors._splat``."""
    number = unliteral(number)
    dtype = like.dtype if isinstance(number, types.Float) else number

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return repeated(builder, context.cast(builder, arguments[0], sig.args[0], dtype), _llvm(sig.return_type))

    return Vector(dtype, like.lanes)(number, like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def select(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """See ``vectors._select``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return a(mask, a, b), codegen


@intrinsic  # type: ignore[untyped-decorator]
def widen(typing: Any, vector: Any) -> Any:
    """See ``vectors._widen``."""
    wide = Vector(types.float64, vector.lanes)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return arguments[0] if vector == wide else builder.fpext(arguments[0], _llvm(wide))

    return wide(vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def add_up(typing: Any, vector: Any) -> Any:
    """See ``vectors._add_up``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,), half = arguments, vector.lanes // 2
        while half:
            kind = ir.VectorType(ir.IntType(32), half)
            nothing = ir.Constant(value.type, ir.Undefined)
            low, high = (ir.Constant(kind, list(range(start, start + half))) for start in (0, half))
            value = builder.fadd(
                builder.shuffle_vector(value, nothing, low), builder.shuffle_vector(value, nothing, high)
            )
            half //= 2
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return vector.dtype(vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def lanes(typing: Any, array: Any) -> Any:
    """See ``vectors._lanes``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, _of(array).lanes)

    return types.intp(array), codegen


def _operator(python: Callable[..., Any], emit: Callable[[Any, Any, Any], Any], result: Any = None) -> None:
    """Teach Numba what ``a <operator> b`` is for two vectors of one type."""

    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments: Any, keywords: Any) -> Any:
            a, b = arguments
            if isinstance(a, Vector) and a == b:
                return signature(Vector(result, a.lanes) if result else a, a, b)
            return None

    infer_global(python)(Template)
    lower_builtin(python, Vector, Vector)(lambda context, builder, sig, arguments: emit(builder, *arguments))


def _add(builder: Any, a: Any, b: Any) -> Any:
    return builder.add(a, b) if isinstance(a.type.element, ir.IntType) else builder.fadd(a, b, flags=["contract"])


_operator(operator.add, _add)
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=["contract"]))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=["contract"]))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
for _python in (operator.le, operator.lt, operator.eq, operator.ne):
    _symbol = {"le": "<=", "lt": "<", "eq": "==", "ne": "!="}[_python.__name__]

    def _compare(builder: Any, a: Any, b: Any, symbol: str = _symbol) -> Any:
        if isinstance(a.type.element, ir.IntType):
            return builder.icmp_unsigned(symbol, a, b)
        return builder.fcmp_unordered(symbol, a, b) if symbol == "!=" else builder.fcmp_ordered(symbol, a, b)

    _operator(_python, _compare, types.boolean)

_operator(operator.or_, lambda builder, a, b: builder.or_(a, b))  # of two comparisons
_operator(operator.xor, lambda builder, a, b: builder.xor(a, b))
_operator(operator.rshift, lambda builder, a, b: builder.lshr(a, b))
