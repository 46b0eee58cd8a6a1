"""Vectors as values: what a processor's vector unit does in one instruction, written like arithmetic on numbers.

    for i in range(0, x.size, lanes(x)):
        v = load(x, i, x.size - i)                                    # 16 float32 or 8 float64 with AVX-512
        store(y, i, select(v <= splat(0.0, v), splat(0.0, v), v), x.size - i)

A compiler turns a loop over single numbers into this by itself only if it can prove that no array overlaps another,
and with arrays of several axes it often gives up without a word (``benchmarks/NOTES.md``). These functions leave
nothing to prove. They work inside compiled functions; every one is an instruction or two (``vector_code.py``,
``exponent_code.py``).

A vector is as wide as the processor's registers: 64 bytes of an array's numbers with AVX-512, 32 with AVX2, else 16.
Where fewer numbers are left, ``count`` says how many: the others are neither read (they are 0) nor written. Positions
count from the beginning of a C-contiguous array, whatever its axes, and nothing checks them. ``+ - * /`` and ``<= < ==
!=`` work lane by lane; comparisons with NaN are False, but for ``!=``; ``|`` joins two comparisons, ``&``, ``^`` and
``>>`` are for unsigned integers. ``a * b + c`` may be rounded once (``ops/jit.py``).

Under NUMBA_DISABLE_JIT=1 vectors are small NumPy arrays and everything below runs as plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config

from minicnn.ops import exponent_code, vector_code
from minicnn.ops.simd import VECTOR_BYTES
from minicnn.shapes import Array


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


def _stream(array: Array, at: int, vector: Array) -> None:
    """Write a whole vector past the caches, to an address that is a multiple of its size.

    Such writes wait in a buffer of the core. Threads that meet, at the end of a parallel loop, do so by atomic
    instructions, which empty it: only then do others see what was written.
    """
    _store(array, at, vector, len(vector))


def _prefetch(array: Array, at: int) -> None:
    """Ask for the line of memory at ``at``, which may lie beyond the array; Python has no word for it."""


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


def _within(count: int, like: Array) -> Array:
    """A truth value for every lane of ``like``: is it among the first ``count``?"""
    return np.arange(len(like)) < count


def _digits(like: Array) -> int:
    """Binary digits of a number: 24 of a float32, 53 of a float64. Known when a function is compiled."""
    return int(np.finfo(like.dtype).nmant) + 1


def _power_of_two(exponent: Array) -> Array:
    """2^exponent, for whole numbers from -126 to 127 (-1022 to 1023 in float64).

    Above 2^23 the last bit of a float32 counts ones. So the sum ends with the bits of ``exponent`` plus 127, the form
    in which a float32 keeps its own exponent; moved to the front, where it does that, they are the result.
    """
    behind = _digits(exponent) - 1
    bits = (exponent + exponent.dtype.type(exponent_code.exponent_to_bits(behind))).view(f"u{exponent.itemsize}")
    powers: Array = (bits << bits.dtype.type(behind)).view(exponent.dtype)
    return powers


def _scaled(vector: Array, exponent: Array) -> Array:
    """vector * 2^exponent, rounded once, for whole numbers from -250 to 250 (-2000 to 2000 in float64).

    As two products with half the exponent each: the first one is exact. AVX-512 has an instruction for it.
    """
    half = np.rint(exponent * exponent.dtype.type(0.5))
    return vector * _power_of_two(half) * _power_of_two(exponent - half)


def _scaled_down(vector: Array, exponent: Array) -> Array:
    """The same for numbers of 1/2 to 2 and exponents from -150 to 0 (-1076 to 0), with one power of two: times
    2^(exponent + 40), which is exact, and times 2^-40 (in float64 100)."""
    lift = exponent_code.lift(_digits(exponent) - 1)
    lowered: Array = vector * _power_of_two(exponent + exponent.dtype.type(lift)) * exponent.dtype.type(2.0**-lift)
    return lowered


def _largest(vector: Array) -> Any:
    """The largest of all lanes. Where one is NaN: any of them."""
    while len(vector) > 1:
        a, b = vector[: len(vector) // 2], vector[len(vector) // 2 :]
        vector = np.where(a < b, b, a)
    return vector[0]


def _add_up(vector: Array) -> Any:
    """The sum of all lanes: one half to the other, until one number is left."""
    while len(vector) > 1:
        vector = vector[: len(vector) // 2] + vector[len(vector) // 2 :]
    return vector[0]


_PLAIN = bool(config.DISABLE_JIT)
lanes: Any = _lanes if _PLAIN else vector_code.lanes
load: Any = _load if _PLAIN else vector_code.load
load_like: Any = _load_like if _PLAIN else vector_code.load_like
store: Any = _store if _PLAIN else vector_code.store
stream: Any = _stream if _PLAIN else vector_code.stream
splat: Any = _splat if _PLAIN else vector_code.splat
select: Any = _select if _PLAIN else vector_code.select
widen: Any = _widen if _PLAIN else vector_code.widen
within: Any = _within if _PLAIN else vector_code.within
digits: Any = _digits if _PLAIN else vector_code.digits
power_of_two: Any = _power_of_two if _PLAIN else exponent_code.power_of_two
scaled: Any = _scaled if _PLAIN else exponent_code.scaled
scaled_down: Any = _scaled_down if _PLAIN else exponent_code.scaled_down
largest: Any = _largest if _PLAIN else vector_code.largest
add_up: Any = _add_up if _PLAIN else vector_code.add_up
prefetch: Any = _prefetch if _PLAIN else vector_code.prefetch
