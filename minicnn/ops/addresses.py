"""Arrays found by their address: how one compiled loop goes through any number of them.

A compiled function is made for a fixed number of arrays. Given a table of addresses and sizes instead, one function
serves a list of any length. Nothing checks that the numbers are there, or keeps them alive: whoever holds the table
must hold the arrays.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, config
from numba.core import types
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.ops.jit import njit
from minicnn.shapes import Array


def _place(address: Any, number: Any, bits: int) -> Any:
    """An address, which is a number, as a pointer to numbers of so many bits."""
    pointer = ir.IntType(bits).as_pointer()
    signature = CPointer(number)(types.int64)
    return signature, lambda context, builder, signature, arguments: builder.inttoptr(arguments[0], pointer)


@intrinsic  # type: ignore[untyped-decorator]
def _place_of_words(typing: Any, address: Any) -> Any:
    return _place(address, types.uint64, 64)


@intrinsic  # type: ignore[untyped-decorator]
def _place_of_bytes(typing: Any, address: Any) -> Any:
    return _place(address, types.uint8, 8)


@njit
def _words_at(address: int, count: int) -> Any:
    return carray(_place_of_words(address), (count,))


@njit
def _bytes_at(address: int, count: int) -> Any:
    return carray(_place_of_bytes(address), (count,))


def bytes_at_in_python(address: int, count: int) -> Array:
    """The ``count`` bytes from ``address`` on."""
    found: Any = (ctypes.c_char * int(count)).from_address(int(address))
    return np.frombuffer(found, np.uint8)


def words_at_in_python(address: int, count: int) -> Array:
    """The ``count`` 64-bit words from ``address`` on."""
    return bytes_at_in_python(address, 8 * int(count)).view(np.uint64)


words_at: Any = words_at_in_python if config.DISABLE_JIT else _words_at
bytes_at: Any = bytes_at_in_python if config.DISABLE_JIT else _bytes_at
