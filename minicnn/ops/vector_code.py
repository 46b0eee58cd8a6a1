"""The instructions behind ``vectors.py``, written out in LLVM's language.

Each intrinsic has the name and the arguments of a function in ``vectors.py``, which says what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.misc import unliteral
from numba.extending import intrinsic

from minicnn.ops import simd
from minicnn.ops.simd import VECTOR_BYTES, repeated
from minicnn.ops.vector_type import Vector, llvm_type


def _of(array: Any) -> Vector:
    """The vector of an array type."""
    return Vector(array.dtype, VECTOR_BYTES * 8 // array.dtype.bitwidth)


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


def _emit_load(context: Any, builder: Any, array_type: Any, array: Any, at: Any, count: Any, kind: Vector) -> Any:
    """A whole vector where ``count`` is not less than one (a branch that processors foresee), else a masked one."""
    pointer, llvm = _address(context, builder, array_type, array, at), llvm_type(kind)
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
            value = builder.fptrunc(value, llvm_type(kind))
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
        return repeated(builder, context.cast(builder, arguments[0], sig.args[0], dtype), llvm_type(sig.return_type))

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
        return arguments[0] if vector == wide else builder.fpext(arguments[0], llvm_type(wide))

    return wide(vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def within(typing: Any, count: Any, like: Any) -> Any:
    """See ``vectors._within``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return simd.lane_mask(builder, arguments[0], like.lanes)

    return Vector(types.boolean, like.lanes)(types.intp, like), codegen


def _halved(builder: Any, value: Any, join: Callable[[Any, Any], Any]) -> Any:
    """One half of a vector is joined to the other, until one number is left."""
    half = value.type.count // 2
    while half:
        kind = ir.VectorType(ir.IntType(32), half)
        nothing = ir.Constant(value.type, ir.Undefined)
        low, high = (ir.Constant(kind, list(range(start, start + half))) for start in (0, half))
        value = join(builder.shuffle_vector(value, nothing, low), builder.shuffle_vector(value, nothing, high))
        half //= 2
    return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


@intrinsic  # type: ignore[untyped-decorator]
def largest(typing: Any, vector: Any) -> Any:
    """See ``vectors._largest``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _halved(builder, arguments[0], lambda a, b: builder.select(builder.fcmp_ordered("<", a, b), b, a))

    return vector.dtype(vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def add_up(typing: Any, vector: Any) -> Any:
    """See ``vectors._add_up``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _halved(builder, arguments[0], builder.fadd)

    return vector.dtype(vector), codegen


def _digits(vector: Vector) -> int:
    return 24 if vector.dtype == types.float32 else 53


@intrinsic  # type: ignore[untyped-decorator]
def digits(typing: Any, like: Any) -> Any:
    """See ``vectors._digits``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, _digits(like))

    return types.intp(like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def lanes(typing: Any, array: Any) -> Any:
    """See ``vectors._lanes``."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, _of(array).lanes)

    return types.intp(array), codegen
