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


@intrinsic  # type: ignore[untyped-decorator]
def _place(typing: Any, address: Any) -> Any:
    """An address, which is a number, as a pointer to 64-bit words."""
    signature = CPointer(types.uint64)(types.int64)
    word = ir.IntType(64).as_pointer()
    return signature, lambda context, builder, signature, arguments: builder.inttoptr(arguments[0], word)


@njit
def _words_at(address: int, count: int) -> Any:
    return carray(_place(address), (count,))


def words_at_in_python(address: int, count: int) -> Array:
    """The ``count`` 64-bit words from ``address`` on."""
    words: Any = (ctypes.c_char * (8 * int(count))).from_address(int(address))
    return np.frombuffer(words, np.uint64)


words_at: Any = words_at_in_python if config.DISABLE_JIT else _words_at
