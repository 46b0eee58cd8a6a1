"""Where large arrays come from: memory that was used before.

    y = empty(shape, dtype)                 like np.empty; its memory is used again when the last view of it is gone
    t = scratch("tiles", shape, dtype)      for intermediate results within one compiled loop: some megabytes
    with workspace("tiles", shape, dtype) as t:             for those between several loops

New memory is slow memory. The operating system hands it out in pages, each cleared on first touch, and takes large
arrays back as soon as they are freed; the next layer then pays for the same pages again. One layer's output of
VGG-Face, 103 MB at batch 8, costs 10 ms that way, as much as computing it. So memory of freed arrays is kept and given
to the next array of about that size. A network asks for the same sizes in the same order, step after step, so after the
first step no memory is new. It is a plan that nobody has to write down.

What is kept of freed arrays is bounded: never more is held, used and unused together, than was in use at the worst
moment (and a tenth more, and a page for each block). All of it starts at a multiple of 64 bytes, so that no vector lies
across two lines of the cache, and no two blocks in a row start at the same place of a page. Large arrays from the
operating system do, and a loop that reads one and writes the other at the same place can take twice as long
(``benchmarks/NOTES.md``).
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn.shapes import Array, Shape

SMALL = 64 * 1024  # bytes; below this the C library's own recycling is as good
ALIGNMENT, PAGE = 64, 4096
SPREAD = 25 * ALIGNMENT  # from one block's place in its page to the next one's: 64 blocks use all places
SLACK = 1.1
LARGEST_MISFIT = 2  # times the size asked for, that a recycled block may have


class Block:
    """Some bytes that start at a multiple of ALIGNMENT, SPREAD further on in a page than those of the block before."""

    __slots__ = ("address", "bytes", "size")
    made = itertools.count(1)

    def __init__(self, size: int) -> None:
        raw = np.empty(size + PAGE, np.uint8)
        start = (next(self.made) * SPREAD - raw.ctypes.data) % PAGE
        self.bytes: Array = raw[start : start + size]
        self.address, self.size = raw.ctypes.data + start, size


class Pool:
    """Blocks of memory that arrays borrow. Safe to use from several threads, and from a signal's handler: it may come
    while its own thread holds the lock, which lets it in again, and then borrow and give back between any two lines."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._free: list[Block] = []  # oldest first
        self.lent = 0  # bytes in use
        self.most = 0  # ... at the worst moment

    @property
    def held(self) -> int:
        """Bytes, used and unused."""
        return self.lent + sum(block.size for block in self._free)

    def borrow(self, size: int) -> Block:
        """A block of at least ``size`` bytes: the smallest that fits, the latest one of several."""
        with self._lock:
            block = self._take(size)
            if block is None:
                self._make_room(size)
                block = Block(size)
            self.lent += block.size
            self.most = max(self.most, self.lent)
            return block

    def give_back(self, block: Block) -> None:
        """The block may be lent again."""
        with self._lock:
            self.lent -= block.size
            self._free.append(block)

    def clear(self) -> None:
        """Let go of everything that is not in use, and forget the worst moment."""
        with self._lock:
            self._free.clear()
            self.most = self.lent

    def _take(self, size: int) -> Block | None:
        """The free block for ``size`` bytes, no longer free; None where there is none."""
        best, most = None, LARGEST_MISFIT * size
        for block in tuple(self._free):
            if size <= block.size <= most:
                best, most = block, block.size
        if best is None:
            return None
        try:
            self._free.remove(best)  # itself, not what has its place by now: blocks are equal only to themselves
        except ValueError:  # a signal's handler took it first
            return None
        return best

    def _make_room(self, size: int) -> None:
        limit = SLACK * max(self.most, self.lent + size)
        while self._free and self.held + size > limit:
            del self._free[:1]  # the oldest one, if a signal's handler has left any


class _Loan:
    """Stands behind an array as its owner; the block returns to the pool when the last view has gone."""

    __slots__ = ("__array_interface__", "_block", "_pool")

    def __init__(self, pool: Pool, block: Block, shape: Shape, dtype: Any) -> None:
        self._pool, self._block = pool, block
        self.__array_interface__ = {
            "version": 3,
            "data": (block.address, False),
            "shape": shape,
            "typestr": dtype.str,
        }

    def __del__(self) -> None:
        self._pool.give_back(self._block)


POOL = Pool()


def empty(shape: Shape, dtype: Any) -> Array:
    """A C-contiguous array of unknown content, as from np.empty."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    return np.asarray(_Loan(POOL, POOL.borrow(size), shape, dtype))


_buffers = threading.local()  # of each purpose, the bytes held for it, and the arrays made of them
_NO_BYTES: Array = np.empty(0, np.uint8)
MOST_VIEWS = 64  # arrays of one buffer: a network's layers ask for the same ones again and again


def scratch(purpose: str, shape: Shape, dtype: Any) -> Array:
    """An array of unknown content, valid until the same thread asks for the same ``purpose`` again; for a loop that
    runs again and again (``ops/calls.py``), each time as long as it runs. No longer: between two loops a signal's
    handler may ask for it. The thread keeps as much as it once needed."""
    buffer: tuple[Array, dict[Any, Array]] = getattr(_buffers, purpose, (_NO_BYTES, {}))
    held, views = buffer
    known = views.get((shape, dtype))
    if known is not None:
        return known
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if held.size < size or len(views) == MOST_VIEWS:
        held, views = held if held.size >= size else Block(size).bytes, {}
    found: Array = held[:size].view(dtype).reshape(shape)
    views[shape, dtype] = found
    setattr(_buffers, purpose, (held, views))
    return found


_workspaces = threading.local()  # of each purpose, the bytes that nobody works in just now


@contextmanager
def workspace(purpose: str, shape: Shape, dtype: Any) -> Iterator[Array]:
    """An array of unknown content for this block alone: between two of its loops a signal's handler may come to a block
    for the same purpose, and is given another array. The thread keeps as much as it once needed, for the next time, as
    long as it lives: from the pool, a network's largest arrays would drive each other out."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    held: Array = _workspaces.__dict__.pop(purpose, _NO_BYTES)
    if held.size < size:
        held = Block(size).bytes
    try:
        yield held[:size].view(dtype).reshape(shape)
    finally:
        if getattr(_workspaces, purpose, _NO_BYTES).size < held.size:  # else whoever came between needed more
            setattr(_workspaces, purpose, held)
