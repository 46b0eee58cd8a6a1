"""The type that ``vectors.py`` teaches Numba, a vector held in a register, and what operators do with two of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import models, register_model


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
        super().__init__(manager, kind, llvm_type(kind))


def llvm_type(kind: Any) -> ir.VectorType:
    """LLVM's type for a ``Vector``; a truth value takes one bit."""
    floats = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.boolean: ir.IntType(1)}
    return ir.VectorType(floats.get(kind.dtype) or ir.IntType(kind.dtype.bitwidth), kind.lanes)


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


def _multiply(builder: Any, a: Any, b: Any) -> Any:
    return builder.mul(a, b) if isinstance(a.type.element, ir.IntType) else builder.fmul(a, b, flags=["contract"])


_operator(operator.add, _add)
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=["contract"]))
_operator(operator.mul, _multiply)
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
for _python in (operator.le, operator.lt, operator.eq, operator.ne):
    _symbol = {"le": "<=", "lt": "<", "eq": "==", "ne": "!="}[_python.__name__]

    def _compare(builder: Any, a: Any, b: Any, symbol: str = _symbol) -> Any:
        if isinstance(a.type.element, ir.IntType):
            return builder.icmp_unsigned(symbol, a, b)
        return builder.fcmp_unordered(symbol, a, b) if symbol == "!=" else builder.fcmp_ordered(symbol, a, b)

    _operator(_python, _compare, types.boolean)

_operator(operator.or_, lambda builder, a, b: builder.or_(a, b))  # of two comparisons
_operator(operator.and_, lambda builder, a, b: builder.and_(a, b))
_operator(operator.xor, lambda builder, a, b: builder.xor(a, b))
_operator(operator.rshift, lambda builder, a, b: builder.lshr(a, b))
