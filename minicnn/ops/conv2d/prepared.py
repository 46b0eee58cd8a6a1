"""Kernels as an algorithm wants them, kept from one prediction to the next.

Winograd transforms its kernels, the direct algorithm packs them. While a network is trained they change in every step;
but predictions use the same ones again and again, and for few pictures preparing them costs more than the convolution.

How is a change noticed? Kernels are plain arrays, and anybody may write to them. So each time the kernel is looked at:
two sums over all its bits, at the speed of reading it. A change of one number is noticed for certain, and so are two
float32 that changed places; any other change but for a chance of about 2^-64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.ops.jit import prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, splat, store
from minicnn.shapes import Array

PARTS = 16  # pieces whose sums are computed side by side
MOST_LANES = 8  # words in the widest vector


@turns
def _sums(words: Array, sums: Array) -> None:
    """sums (PARTS, 2, 8): for each of so many pieces, lane by lane modulo 2^64, the sum of all words, and the sum of
    all sums on the way.

    The first sees any change of one word; the second weighs a word by its place, and so sees words that changed places.
    Times a large power of two, a place would vanish beyond the 64th bit, and round numbers like 1.0 differ in their
    highest bits alone. So each word's upper half is mixed into its lower one first.
    """
    for part in prange(PARTS):
        n, pieces = lanes(words), (words.size + lanes(words) - 1) // lanes(words)
        begin, end = pieces * part // PARTS, pieces * (part + 1) // PARTS
        a = load(words, 0, 0)
        b = load(words, 0, 0)
        for i in range(begin, end):
            word = load(words, i * n, words.size - i * n)
            a = a + (word ^ (word >> splat(np.uint64(32), word)))
            b = b + a
        store(sums, 2 * part * MOST_LANES, a, n)
        store(sums, (2 * part + 1) * MOST_LANES, b, n)


def fingerprint(array: Array) -> tuple[Any, ...]:
    """What changes when the array does: its shape, dtype, and two sums over its bits."""
    return array.shape, array.dtype, *_sums_of(*_words_of(array))


def _words_of(array: Array) -> tuple[Array, Array]:
    """Its bits as 64-bit words, and the numbers that are left."""
    flat = np.ascontiguousarray(array).reshape(-1)
    whole = flat.nbytes // 8 * 8 // flat.itemsize
    return flat[:whole].view(np.uint64), flat[whole:]


def _sums_of(words: Array, rest: Array) -> tuple[bytes, bytes]:
    sums = np.zeros((PARTS, 2, MOST_LANES), np.uint64)
    _sums(words.nbytes, words, sums)
    return sums.tobytes(), rest.tobytes()


class Prepared:
    """One prepared kernel, and the fingerprint of what it was made from. Copies start empty.

    Several threads may ask at once: the two are one tuple, which is taken and put in one piece.
    """

    def __init__(self) -> None:
        self._held: tuple[tuple[Any, ...], Array | None] | None = None
        self._seen: tuple[Array, Array, Array] | None = None  # a kernel, and ``_words_of`` it

    def of(self, kernel: Array, form: object, prepare: Callable[[], Array | None]) -> Array | None:
        """What ``prepare`` returns for this kernel; called only when the kernel or the ``form`` is another one."""
        now, held = (form, *self._fingerprint(kernel)), self._held
        if held is None or held[0] != now:
            held = self._held = None  # let go of the old one first
            held = self._held = now, prepare()
        return held[1]

    def clear(self) -> None:
        """Let go of it, as training does: the next step changes the kernel."""
        self._held = self._seen = None

    def _fingerprint(self, kernel: Array) -> tuple[Any, ...]:
        """``fingerprint``, with views of the kernel's words that are made once: they show what is written to it."""
        if not kernel.flags.c_contiguous:
            return fingerprint(kernel)
        seen = self._seen
        if seen is None or seen[0] is not kernel:
            seen = self._seen = kernel, *_words_of(kernel)
        return kernel.shape, kernel.dtype, *_sums_of(*seen[1:])

    def __deepcopy__(self, memo: Any) -> Prepared:
        return Prepared()

    def __reduce__(self) -> tuple[type[Prepared], tuple[()]]:
        return Prepared, ()
