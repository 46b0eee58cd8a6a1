"""A loop on one core or on all of them, whichever is over sooner.

Starting the threads for a loop and waiting for the last of them takes 5 to 50 microseconds. A small array is read and
written in less. So a loop over ``prange`` is compiled twice, and the amount of work decides who runs it. Both are the
same code in the same order: so are the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba

from minicnn.ops.calls import Run
from minicnn.ops.jit import njit, njit_parallel

BLOCK = 1 << 12  # numbers per turn of a loop over all numbers of an array, which fit a core's own cache
WORTH_SHARING = 1 << 18  # bytes read and written; one core moves them in about 25 microseconds


class turns:  # noqa: N801  (a decorator)
    """``@turns`` above ``def loop(...)``; then ``loop(work, ...)``, with ``work`` in bytes read and written."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._together = njit_parallel(function)
        self._alone = njit(function)

    def __call__(self, work: int, *arguments: Any) -> None:
        self.for_work(work)(*arguments)

    def bound(self, work: int, *arguments: Any) -> Run:
        """This loop for these arguments: see ``ops/calls.py``."""
        return partial(self.for_work(work), *arguments)

    def for_work(self, work: int) -> Callable[..., None]:
        """The loop as it is run for so much work."""
        return self._together if work >= WORTH_SHARING and numba.get_num_threads() > 1 else self._alone
