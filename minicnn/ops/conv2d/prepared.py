"""Kernels as an algorithm wants them, and calls that are ready, kept from one prediction to the next.

Winograd transforms its kernels, the direct algorithm packs them. While a network is trained they change in every step;
but predictions use the same ones again and again, and for few pictures preparing them costs more than the convolution.
For a single small one, even checking its shapes and finding its tiles does.

How is a change noticed? Kernels are plain arrays, and anybody may write to them. So each time the kernel is looked at:
three sums over all its bits, at nearly the speed of reading it. A change of one number is noticed for certain, and so
are two float32 that changed places. Of other changes some must be missed, because sums are shorter than kernels; none
was, of all that the tests make, orderly ones and random ones.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self
from weakref import ref

import numpy as np

from minicnn.ops.addresses import bytes_at, words_at
from minicnn.ops.calls import Call
from minicnn.ops.jit import njit, prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, splat, store
from minicnn.shapes import Array, Shape

PARTS = 16  # pieces whose sums are computed side by side
SUMS = 3  # of each
MOST_LANES = 8  # words in the widest vector
_NOTHING = bytes(PARTS)  # found by ``Watch``
MIXED = 29  # places by which a word's upper bits are moved into its lower ones


@turns
def _sums(words: Array, sums: Array) -> None:
    """sums (PARTS, 3, 8): for each of so many pieces, lane by lane modulo 2^64, the sum a of all words; the sum b of
    all values that a has on the way; and c, that of the products of both halves of all values of b.

    a sees any change of one word; b weighs a word by its place, and so sees words that changed places. Times a large
    power of two, a place would vanish beyond the 64th bit, and round numbers like 1.0 differ in their highest bits
    alone. So each word's upper bits are mixed into its lower ones first: not by half a word, for then the signs of two
    float32 that both change would cancel, and of all that is left are multiples of 2^63. a and b are linear: where
    numbers repeat, as in the filters of a cosine transform with one sign turned round, changes may cancel in both. c
    tells these apart: it depends on every value on the way, and not linearly.
    """
    for part in prange(PARTS):
        _sum_part(words, part, sums[part])


@turns
def _look_at(table: Array, sums: Array, pairs: Array, found: Array) -> None:
    """The same for several arrays, compared with what it was: ``table`` (arrays, 2) holds where the words of each are,
    and how many; ``sums`` (arrays, PARTS, 3, 8). Every core takes its parts of each array. ``found`` (PARTS,) becomes 1
    where a sum is another one, or a byte of one of the ``pairs``: see ``Watch``."""
    for part in prange(PARTS):
        own = np.zeros(SUMS * MOST_LANES, np.uint64)
        different = False
        for k in range(len(table)):
            _sum_part(words_at(table[k, 0], table[k, 1]), part, own)
            different |= _differ(own, sums[k, part].reshape(-1))
        for k in range(part, len(pairs), PARTS):
            different |= _differ(bytes_at(pairs[k, 0], pairs[k, 2]), bytes_at(pairs[k, 1], pairs[k, 2]))
        found[part] = different


@njit
def _differ(a: Array, b: Array) -> bool:
    """Of at least one whole number each."""
    bits = a[0] ^ b[0]
    for i in range(1, len(a)):
        bits |= a[i] ^ b[i]
    return bool(bits != 0)


@njit
def _sum_part(words: Array, part: int, sums: Array) -> None:
    """``sums`` (3, 8), those of ``_sums`` for this part: a, b and c of one of PARTS pieces of the words."""
    n, pieces = lanes(words), (words.size + lanes(words) - 1) // lanes(words)
    begin, end = pieces * part // PARTS, pieces * (part + 1) // PARTS
    a = load(words, 0, 0)
    b = load(words, 0, 0)
    c = load(words, 0, 0)
    half, lower = splat(np.uint64(32), a), splat(np.uint64(0xFFFFFFFF), a)
    for i in range(begin, end):
        word = load(words, i * n, words.size - i * n)
        a = a + (word ^ (word >> splat(np.uint64(MIXED), word)))
        b = b + a
        c = c + (b >> half) * (b & lower)
    store(sums, 0, a, n)
    store(sums, MOST_LANES, b, n)
    store(sums, 2 * MOST_LANES, c, n)


def fingerprint(array: Array) -> tuple[Any, ...]:
    """What changes when the array does: its shape, dtype, and three sums over its bits."""
    return array.shape, array.dtype, *_sums_of(*_words_of(array))


def _words_of(array: Array) -> tuple[Array, Array]:
    """Its bits as 64-bit words, and the numbers that are left."""
    flat = np.ascontiguousarray(array).reshape(-1)
    whole = flat.nbytes // 8 * 8 // flat.itemsize
    return flat[:whole].view(np.uint64), flat[whole:]


def _sums_of(words: Array, rest: Array) -> tuple[bytes, bytes]:
    sums = np.zeros((PARTS, SUMS, MOST_LANES), np.uint64)
    _sums(words.nbytes, words, sums)
    return sums.tobytes(), rest.tobytes()


class _Kernel(NamedTuple):
    """A kernel in an algorithm's form, and what it looked like before."""

    form: object
    fingerprint: tuple[Any, ...]
    panels: Array | None


class Kept(NamedTuple):
    """A call, and what it was made for: equal options, the same arrays, and a first of them, the kernel, with this
    fingerprint, whose words are at hand. ``words`` None: for this time only."""

    options: tuple[Any, ...]
    arrays: tuple[Array | None, ...]
    words: tuple[Array, Array] | None
    fingerprint: tuple[Any, ...]
    call: Call

    def unchanged(self) -> bool:
        """Whether nobody has written to the kernel, or given it another shape."""
        return self.words is not None and self.same_kind() and _sums_of(*self.words) == self.fingerprint[2:]

    def same_kind(self) -> bool:
        """Whether the kernel has the shape and dtype that it had, and all arrays lie in memory as they did: only then
        its words are where they were."""
        kernel: Any = self.arrays[0]
        same = (kernel.shape, kernel.dtype) == self.fingerprint[:2]
        return same and all(array is None or array.flags.c_contiguous for array in self.arrays)


class Watch(NamedTuple):
    """Arrays that are looked at in one go: by their sums, where the words of each kernel are; small ones number by
    number, ``pairs`` (arrays, 3) of theirs and their copy's address, and how many bytes.

    A call for each of them would cost as much as looking at a small one.
    """

    held: tuple[list[Kept], list[Any]]  # what the tables point to; weak references, so that NumPy resizes none of it
    table: Array
    work: int
    sums: Array
    pairs: Array

    @classmethod
    def over(cls, kept: Sequence[Kept], small: Sequence[tuple[Array, Array]] = ()) -> Self:
        """For calls that can be kept: each has ``words``. ``small`` arrays, C-contiguous, each with its copy."""
        words = [one.words for one in kept if one.words is not None]
        table = [(array.ctypes.data, array.size) for array, _ in words]
        rests = [(one.words[1], np.frombuffer(one.fingerprint[3], np.uint8)) for one in kept if one.words is not None]
        both = [(now, then) for now, then in (*rests, *small) if now.size]
        pairs = [(now.ctypes.data, then.ctypes.data, now.nbytes) for now, then in both]
        return cls(
            (list(kept), [both, [ref(now) for now, _ in both]]),
            np.array(table, np.int64).reshape(-1, 2),
            sum(array.nbytes for array, _ in words),
            np.frombuffer(b"".join(one.fingerprint[2] for one in kept), np.uint64).reshape(-1, PARTS, SUMS, MOST_LANES),
            np.array(pairs, np.int64).reshape(-1, 3),
        )

    def unchanged(self) -> bool:
        """Whether nobody has written to them. They must lie where they did: ``layers/snapshot.py`` asks that."""
        if not self.work and not len(self.pairs):
            return True
        found = np.empty(PARTS, np.bool_)
        _look_at(self.work, self.table, self.sums, self.pairs, found)
        return found.tobytes() == _NOTHING


class Prepared:
    """What a convolution keeps from one prediction to the next: the prepared kernel, and its last call.

    With each stands what it was made for. Copies start empty. Several threads may ask at once: either is one tuple,
    which is taken and put in one piece, and what is made from a kernel is made from a copy that nobody writes to.
    """

    def __init__(self) -> None:
        self._kernel: _Kernel | None = None
        self._ready: Kept | None = None

    def of(self, kernel: Array, form: object, prepare: Callable[[Array], Array | None]) -> _Kernel:
        """What ``prepare`` makes of the kernel, and for which fingerprint; it is called only when that or the ``form``
        is another one. Meanwhile, it costs a copy of the kernel."""
        held = self._kernel
        if held is None or held.form != form or held.fingerprint != fingerprint(kernel):
            held = self._kernel = self._ready = None  # let go of the old one first
            own = kernel.copy()  # what somebody writes meanwhile would be in the panels, and not in the fingerprint
            held = self._kernel = _Kernel(form, fingerprint(own), prepare(own))
        return held

    def call(self, options: tuple[Any, ...], arrays: tuple[Array | None, ...]) -> Kept | None:
        """The call that was kept, if the options are equal, the arrays the same, and nobody has written to the first
        of these, the kernel. Otherwise it is let go of."""
        ready = self._ready
        if ready is None:
            return None
        if ready.options == options and all(map(operator.is_, ready.arrays, arrays)) and ready.unchanged():
            return ready
        self._ready = None
        return None

    def keep(
        self, options: tuple[Any, ...], arrays: tuple[Array | None, ...], seen: tuple[Any, ...], call: Call
    ) -> Kept:
        """Keep a call that was made for all this, and for a kernel whose fingerprint was ``seen``.

        Not where an array is not contiguous: the call then has a copy of it, and would not see what is written to it.
        """
        if not all(array is None or array.flags.c_contiguous for array in arrays):
            return Kept(options, arrays, None, seen, call)
        kernel: Any = arrays[0]
        self._ready = kept = Kept(options, arrays, _words_of(kernel), seen, call)
        return kept

    def clear(self) -> None:
        """Let go of both, as training does: the next step changes the kernel."""
        self._kernel = self._ready = None

    def __deepcopy__(self, memo: Any) -> Prepared:
        return Prepared()

    def __reduce__(self) -> tuple[type[Prepared], tuple[()]]:
        return Prepared, ()


def never_prepared(forward: Callable[..., Array]) -> Callable[..., Call]:
    """The function ``ready`` of an algorithm that prepares nothing: see ``algorithms.Algorithm``."""

    def ready(x_shape: Shape, *arguments: Any) -> Call:
        return lambda x: forward(x, *arguments)

    return ready
