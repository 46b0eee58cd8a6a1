"""What kernels written in LLVM's own language share: the width of vectors, pointers into arrays, loads and stores of
whole vectors and of parts, multiply-adds, requests for memory.

``constant_product.py``, ``tile_code.py`` and ``depthwise_walk.py`` spell out their instructions, because compilers do
not find them. They take arrays as pointers: numbers lie where an address says, and nothing checks it. In plain Python a
pointer is a view.

A vector has the width of the processor's registers: of wider ones LLVM makes two or four, which is wanted in
``depthwise_walk.py``, and elsewhere drives sums out of the registers. The processor is the one that Numba compiles for.
What it is told by NUMBA_CPU_NAME, NUMBA_CPU_FEATURES or NUMBA_ENABLE_AVX may be less than the machine's own, and
instructions that it was not told of are none that it can emit.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.shapes import Array


def _vector_bytes() -> int:
    """The width of the vector registers that Numba compiles for; the same question as in its ``codegen``."""
    features = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    there = {feature[1:]: feature[0] == "+" for feature in features.replace(" ", "").split(",") if feature}
    return 64 if there.get("avx512f") else 32 if there.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()
LINE_BYTES = 64  # of memory, that a cache holds together


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


def repeated(builder: ir.IRBuilder, value: ir.Value, kind: ir.Type) -> ir.Value:
    """A vector of one number; the number itself where ``kind`` is no vector."""
    if not isinstance(kind, ir.VectorType):
        return value
    undefined, mask = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
    one = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(mask, [0] * kind.count))


def lane_mask(builder: ir.IRBuilder, count: ir.Value, lanes: int) -> ir.Value:
    """A bit for every lane: is its number less than ``count``?"""
    wide = ir.VectorType(count.type, lanes)
    return builder.icmp_signed("<", ir.Constant(wide, list(range(lanes))), repeated(builder, count, wide))


def load(builder: ir.IRBuilder, pointer: ir.Value, kind: ir.VectorType, mask: ir.Value | None = None) -> ir.Value:
    """The vector at ``pointer``, which need not be aligned; 0 where the mask has no bit, and nothing is read there."""
    size, at = number_bytes(kind.element), _as_vectors(builder, pointer, kind)
    if mask is None:
        return builder.load(at, align=size)
    return _masked(builder, "load", kind, kind, [at, ir.IntType(32)(size), mask, ir.Constant(kind, None)])


def store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
    """Write the vector, or what the mask has a bit for."""
    size, at = number_bytes(value.type.element), _as_vectors(builder, pointer, value.type)
    if mask is None:
        builder.store(value, at, align=size)
    else:
        _masked(builder, "store", value.type, ir.VoidType(), [value, at, ir.IntType(32)(size), mask])


def stream(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    """Write the vector past the caches, to an address that is a multiple of VECTOR_BYTES."""
    stored = builder.store(value, _as_vectors(builder, pointer, value.type), VECTOR_BYTES)
    stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


def _as_vectors(builder: ir.IRBuilder, pointer: ir.Value, kind: ir.VectorType) -> ir.Value:
    """The same address, where vectors of ``kind`` lie. Raises TypeError where other numbers do."""
    if pointer.type.pointee != kind.element:
        raise TypeError(f"Expected a pointer to numbers of {kind}. Received: {pointer.type}.")
    return builder.bitcast(pointer, kind.as_pointer())


def number_bytes(number: ir.Type) -> int:
    """The size of a number in memory."""
    if isinstance(number, ir.IntType):
        return int(number.width) // 8
    return 4 if isinstance(number, ir.FloatType) else 8


def _masked(builder: ir.IRBuilder, what: str, kind: ir.VectorType, result: ir.Type, arguments: list[ir.Value]) -> Any:
    letter = "i" if isinstance(kind.element, ir.IntType) else "f"
    name = f"llvm.masked.{what}.v{kind.count}{letter}{8 * number_bytes(kind.element)}.p0"
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, total: ir.Value) -> ir.Value:
    """a * b + total: one instruction, rounded once, where the processor has it."""
    return builder.fadd(builder.fmul(a, b, flags=["contract"]), total, flags=["contract"])


def as_it_stands(body: ir.Block) -> None:
    """The loop that goes round from the end of ``body`` is neither vectorised nor unrolled: LLVM need not even try."""
    module = body.function.module
    unwanted = (["llvm.loop.vectorize.enable", ir.Constant(ir.IntType(1), 0)], ["llvm.loop.unroll.disable"])
    loop = module.add_metadata([module.add_metadata(wish) for wish in unwanted])
    if loop.operands[0] is not loop:  # the same for every loop of a module; its name begins with itself
        loop.operands = (loop, *loop.operands)
    body.terminator.set_metadata("llvm.loop", loop)


offset: Any = offset_in_python if config.DISABLE_JIT else _offset
keep_alive: Any = keep_alive_in_python if config.DISABLE_JIT else _keep_alive
pointer: Any = pointer_in_python if config.DISABLE_JIT else _pointer
