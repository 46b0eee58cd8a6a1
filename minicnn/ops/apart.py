"""Threads of one loop that share a core although there are others: noticed, and separated.

Who is woken, and where, is the operating system's business, and mostly it knows best. In a virtual machine it can be
wrong for long: a core that sleeps looks to Linux as if the host had taken it away (KVM tells both in the same way), so
a thread that is woken is put on the core of the thread that woke it. Two threads that wait for each other, one loop of
some microseconds after the other, then take turns on one core. Never both want to run at the same time, so nothing
looks unevenly shared, and it stays so for tenths of a second: one face in face_cnn took 5 milliseconds instead of 0.6
(``benchmarks/NOTES.md``, "How OpenMP's threads wait").

So now and then, between two loops, each thread says which core it is on. If two say the same, and there are cores on
which none of them is, the one that is not the caller may use only those, until a look half a second later or more. The
calling thread is never bound: threads that are made later would inherit it. Nothing is done where the environment says
how OpenMP's threads are bound, nor outside of Linux, nor before a loop was divided among threads, nor in a process that
was forked.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from llvmlite.binding import address_of_symbol
from numba.core import types

from minicnn.ops.jit import njit_parallel, prange
from minicnn.shapes import Array

BETWEEN = 0.01  # seconds from one look to the next: a look takes 5 to 40 microseconds
BOUND = 0.5  # seconds for which a thread is bound, at least: then the system may have it again
BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
FUNCTIONS = ("gettid", "sched_getcpu")  # of the C library; glibc has the first one since 2.30

_process = os.getpid()
_own = threading.local()  # of each thread that calls loops: when it looked last, and which of its workers are bound
_number_of_this_thread: Any = types.ExternalFunction(FUNCTIONS[0], types.int32())
_core_of_this_thread: Any = types.ExternalFunction(FUNCTIONS[1], types.int32())


@functools.cache
def can_be_told() -> bool:
    """Whether threads can be asked and bound here, and nobody else does it."""
    there = sys.platform == "linux" and not numba.config.DISABLE_JIT and all(map(address_of_symbol, FUNCTIONS))
    return there and not any(name in os.environ for name in BINDING)


def _has_divided() -> bool:
    """Whether loops are divided by OpenMP, and were so in this process, not just in one that it was forked from."""
    try:
        return numba.threading_layer() == "omp" and os.getpid() == _process
    except ValueError:  # none yet
        return False


@njit_parallel
def _places(found: Array) -> None:
    """``found`` (threads, 2): of each, its number and its core."""
    for i in prange(len(found)):
        found[i, 0] = _number_of_this_thread()
        found[i, 1] = _core_of_this_thread()


def keep_apart() -> None:
    """Separate the threads of the calling thread's loops, if they share a core without need. Rarely does anything."""
    now = time.perf_counter()
    if not hasattr(_own, "looked"):
        _own.looked, _own.bound = now, {}  # the first time, everything is late already
    if now - _own.looked < BETWEEN:
        return
    _own.looked = now
    if not can_be_told() or not _has_divided() or (threads := numba.get_num_threads()) < 2:
        return
    _let_go(now)
    found = np.empty((threads, 2), np.int64)
    _places(found)
    usual = {thread: cores for thread, (_, cores) in _own.bound.items()}
    for thread, cores in separate(dict(found.tolist()), threading.get_native_id(), usual).items():
        _own.bound[thread] = now, cores


def _let_go(now: float) -> None:
    """Give threads the cores back that they had, some time after they were bound."""
    for thread, (since, before) in list(_own.bound.items()):
        if now - since > BOUND:
            del _own.bound[thread]
            with contextlib.suppress(OSError):  # it may have ended
                os.sched_setaffinity(thread, before)


def separate(places: Mapping[int, int], caller: int, usual: Mapping[int, set[int]]) -> dict[int, set[int]]:
    """Of threads, each with its core, let those that share one use only cores on which none of them is.

    ``usual``: which cores those that are bound may use at other times. Returns this of those that were bound now.
    """
    cores = set(places.values())
    bound: dict[int, set[int]] = {}
    taken = {core for thread, core in places.items() if thread == caller}
    for thread, core in places.items():
        if thread == caller:
            continue
        if core in taken:
            with contextlib.suppress(OSError):  # the system need not allow it
                before = usual[thread] if thread in usual else os.sched_getaffinity(thread)
                free = before - cores
                if free:
                    os.sched_setaffinity(thread, free)
                    bound[thread] = before
                    cores.add(min(free))  # the next one gets another
        taken.add(core)
    return bound
