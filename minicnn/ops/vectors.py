"""Vectors as values: what a processor's vector unit does in one instruction, written like arithmetic on numbers.

    for i in range(0, x.size, lanes(x)):
        v = load(x, i, x.size - i)                                    # 16 float32 or 8 float64 with AVX-512
        store(y, i, select(v <= splat(0.0, v), splat(0.0, v), v), x.size - i)

A compiler turns a loop over single numbers into this by itself only if it can prove that no array overlaps another,
and with arrays of several axes it often gives up without a word (``benchmarks/NOTES.md``). These functions leave
nothing to prove. They work inside compiled functions; every one is an instruction or two of LLVM's language.

A vector is as wide as the processor's registers: 64 bytes of an array's numbers with AVX-512, 32 with AVX2, else 16.
Where fewer numbers are left, ``count`` says how many: the others are neither read (they are 0) nor written. Positions
count from the beginning of a C-contiguous array, whatever its axes, and nothing checks them. ``+ - * /`` and ``<= < ==
!=`` work lane by lane; comparisons with NaN are False, but for ``!=``; ``|`` joins two comparisons, ``^`` and ``>>``
are for unsigned integers. ``a * b + c`` may be rounded once (``ops/jit.py``).

Under NUMBA_DISABLE_JIT=1 vectors are small NumPy arrays and everything below runs as plain Python.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.types.misc import unliteral
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from minicnn.ops.simd import VECTOR_BYTES
from minicnn.shapes import Array

# -- plain Python: the definitions -------------------------------------------------------------------------------------


def _lanes(array: Array) -> int:
    """How many of the array's numbers make a vector."""
    return VECTOR_BYTES // array.itemsize


def _load_like(array: Array, at: int, count: int, like: Array) -> Array:
    """As many numbers as ``like`` has, of the array's own type; 0 for all but the first ``count``."""
    found = array.reshape(-1)[at : at + max(0, min(len(like), count))]
    return np.concatenate([found, np.zeros(len(like) - len(found), array.dtype)])


def _load(array: Array, at: int, count: int) -> Array:
    """The vector that begins ``at``; 0 for all but the first ``count`` numbers."""
    return _load_like(array, at, count, np.empty(_lanes(array)))


def _store(array: Array, at: int, vector: Array, count: int) -> None:
    """Write the first ``count`` numbers, or all if there are no more; float64 is rounded to an array of float32."""
    count = max(0, min(len(vector), count))
    array.reshape(-1)[at : at + count] = vector[:count]


def _splat(number: Any, like: Array) -> Array:
    """The same number in every lane: a float in the type of ``like``, an integer in its own."""
    kind = like.dtype if isinstance(number, (float, np.floating)) else np.asarray(number).dtype
    return np.full(len(like), number, kind)


def _select(mask: Array, a: Array, b: Array) -> Array:
    """a where the mask holds, else b."""
    return np.where(mask, a, b)


def _widen(vector: Array) -> Array:
    """The same numbers as float64."""
    return vector.astype(np.float64)


def _add_up(vector: Array) -> Any:
    """The sum of all lanes: one half to the other, until one number is left."""
    while len(vector) > 1:
        vector = vector[: len(vector) // 2] + vector[len(vector) // 2 :]
    return vector[0]


# -- compiled ----------------------------------------------------------------------------------------------------------


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


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any, kind: Vector) -> Any:
    start = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [at]), _llvm(kind).as_pointer())


def _mask(builder: Any, count: Any, lanes: int) -> Any:
    """A bit for every lane: is its number less than ``count``?"""
    wide = ir.VectorType(count.type, lanes)
    return builder.icmp_signed("<", ir.Constant(wide, list(range(lanes))), _all(builder, count, lanes))


def _all(builder: Any, number: Any, lanes: int) -> Any:
    """One number in every lane."""
    kind = ir.VectorType(number.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def _call(builder: Any, what: str, kind: Vector, result: Any, arguments: list[Any]) -> Any:
    """LLVM's masked load or store."""
    letter = "f" if isinstance(kind.dtype, types.Float) else "i"
    name = f"llvm.masked.{what}.v{kind.lanes}{letter}{kind.dtype.bitwidth}.p0"
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def _emit_load(context: Any, builder: Any, array_type: Any, array: Any, at: Any, count: Any, kind: Vector) -> Any:
    """A whole vector where ``count`` is not less than one (a branch that processors foresee), else a masked one."""
    pointer, llvm = _address(context, builder, array_type, array, at, kind), _llvm(kind)
    size = ir.Constant(ir.IntType(32), kind.dtype.bitwidth // 8)
    slot = cgutils.alloca_once(builder, llvm)
    with builder.if_else(builder.icmp_signed(">=", count, count.type(kind.lanes))) as (whole, part):
        with whole:
            builder.store(builder.load(pointer, align=size.constant), slot)
        with part:
            mask = _mask(builder, count, kind.lanes)
            arguments = [pointer, size, mask, ir.Constant(llvm, None)]
            builder.store(_call(builder, "load", kind, llvm, arguments), slot)
    return builder.load(slot)


@intrinsic  # type: ignore[untyped-decorator]
def _load_intrinsic(typing: Any, array: Any, at: Any, count: Any) -> Any:
    kind = _of(array)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, count = arguments
        return _emit_load(context, builder, sig.args[0], array_value, at, count, kind)

    return kind(array, types.intp, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _load_like_intrinsic(typing: Any, array: Any, at: Any, count: Any, like: Any) -> Any:
    kind = Vector(array.dtype, like.lanes)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, count, _ = arguments
        return _emit_load(context, builder, sig.args[0], array_value, at, count, kind)

    return kind(array, types.intp, types.intp, like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _store_intrinsic(typing: Any, array: Any, at: Any, vector: Any, count: Any) -> Any:
    kind = Vector(array.dtype, vector.lanes)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, at, value, count = arguments
        if vector.dtype == types.float64 and array.dtype == types.float32:
            value = builder.fptrunc(value, _llvm(kind))
        pointer = _address(context, builder, sig.args[0], array_value, at, kind)
        size = ir.Constant(ir.IntType(32), kind.dtype.bitwidth // 8)
        with builder.if_else(builder.icmp_signed(">=", count, count.type(vector.lanes))) as (whole, part):
            with whole:
                builder.store(value, pointer, align=size.constant)
            with part:
                operands = [value, pointer, size, _mask(builder, count, vector.lanes)]
                _call(builder, "store", kind, ir.VoidType(), operands)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _splat_intrinsic(typing: Any, number: Any, like: Any) -> Any:
    number = unliteral(number)
    dtype = like.dtype if isinstance(number, types.Float) else number

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _all(builder, context.cast(builder, arguments[0], sig.args[0], dtype), like.lanes)

    return Vector(dtype, like.lanes)(number, like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _select_intrinsic(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return a(mask, a, b), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _widen_intrinsic(typing: Any, vector: Any) -> Any:
    wide = Vector(types.float64, vector.lanes)

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return arguments[0] if vector == wide else builder.fpext(arguments[0], _llvm(wide))

    return wide(vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _add_up_intrinsic(typing: Any, vector: Any) -> Any:
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
def _lanes_intrinsic(typing: Any, array: Any) -> Any:
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

_PLAIN = bool(config.DISABLE_JIT)
lanes: Any = _lanes if _PLAIN else _lanes_intrinsic
load: Any = _load if _PLAIN else _load_intrinsic
load_like: Any = _load_like if _PLAIN else _load_like_intrinsic
store: Any = _store if _PLAIN else _store_intrinsic
splat: Any = _splat if _PLAIN else _splat_intrinsic
select: Any = _select if _PLAIN else _select_intrinsic
widen: Any = _widen if _PLAIN else _widen_intrinsic
add_up: Any = _add_up if _PLAIN else _add_up_intrinsic
