"""Threads that share a core while another one is idle: noticed, and separated.

Who is woken, and where, is the operating system's business, and mostly it knows best. In a virtual machine it can be
wrong for long: a core that sleeps looks to Linux as if the host had taken it away (KVM tells both in the same way), so
a thread that is woken is put on the core of the thread that woke it. Two threads that wait for each other, one loop of
some microseconds after the other, then take turns on one core. Never both want to run at the same time, so nothing
looks unevenly shared, and it stays so for tenths of a second: one face in face_cnn took 5 milliseconds instead of 0.6
(``benchmarks/NOTES.md``, "How OpenMP's threads wait").

So now and then, between two loops, each thread says which core it is on. If two say the same, and there are cores that
none of them is on, the one that is not the caller may use only those from then on. The calling thread is never bound:
threads that are made later would inherit it. Nothing is done where the environment says how OpenMP's threads are bound,
nor outside of Linux.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Any

import numba
import numpy as np
from numba.core import types

from minicnn.ops.jit import njit_parallel, prange
from minicnn.shapes import Array

BETWEEN = 0.002  # seconds from one look to the next: a look takes some microseconds
BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")

_own = threading.local()  # when this thread looked last
_core_of_this_thread: Any = types.ExternalFunction("sched_getcpu", types.int32())
_number_of_this_thread: Any = types.ExternalFunction("gettid", types.int32())


def can_be_told() -> bool:
    """Whether threads can be asked and bound here, and nobody else does it."""
    there = sys.platform == "linux" and not numba.config.DISABLE_JIT
    return there and not any(name in os.environ for name in BINDING)


_CAN_BE_TOLD = can_be_told()


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
        _own.looked = now  # the first time, everything is late already
    if not _CAN_BE_TOLD or now - _own.looked < BETWEEN:
        return
    _own.looked = now
    threads = numba.get_num_threads()
    if threads < 2:
        return
    found = np.empty((threads, 2), np.int64)
    _places(found)
    separate(found.tolist(), threading.get_native_id())


def separate(places: list[list[int]], caller: int) -> None:
    """Of threads, given by number and core, let those that share one use only cores that none of them is on."""
    cores = {core for _, core in places}
    if len(cores) == len(places):
        return
    taken = {core for thread, core in places if thread == caller}
    for thread, core in places:
        if thread == caller:
            continue
        if core in taken:
            with contextlib.suppress(OSError):  # the system need not allow it
                free = os.sched_getaffinity(caller) - cores
                if free:
                    os.sched_setaffinity(thread, free)
                    cores.add(min(free))  # the next one gets another
        taken.add(core)
