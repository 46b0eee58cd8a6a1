"""The one Numba policy: how every compiled function in minicnn is compiled, and why.

- Machine code is kept on disk, so that only the first run on a machine pays for compilation. ``jit_cache`` does it, and
  says why it does not leave that to Numba's ``cache=True``.
- ``nogil=True``: compiled loops do not hold Python's lock.
- ``error_model="numpy"``: dividing by zero gives inf or nan as in NumPy instead of raising.
- ``fastmath={"contract"}``: a * b + c may become one fused instruction, rounded once: faster *and* closer to the
  truth. Nothing else of fastmath: the full set assumes that no NaN or inf exists, and both must survive a forward
  pass to be seen.
- OpenMP's threads wait for their next loop awake for some 200 microseconds (``GOMP_SPINCOUNT=10000``), then asleep,
  unless the environment says otherwise. Where a process also has other threads that compute (NumPy's BLAS, Keras in a
  comparison), on as many cores, those that stay awake keep the computing ones from running. Those that fall asleep
  at once are often woken on the core that woke them, and a short loop runs on one core alone. Numbers:
  ``benchmarks/NOTES.md``. Other OpenMP libraries than GNU's only know ``OMP_WAIT_POLICY``. Both must be set before
  Numba loads the library, so here.
- Loops are divided over outputs. Where there are few of those and long sums (dense layers of few samples, sums over
  pixels), the terms are divided too: into blocks, whose number depends on the shapes alone and whose sums are added in
  order. So each number is added up in one fixed order, and the bits of a result do not depend on how many threads
  computed it.

Compiled functions are private and trust their arguments; the public function above each one has checked them.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.bytecode import FunctionIdentity

from minicnn.ops.jit_cache import DiskCache

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Numba tells functions of one name apart by numbers, from 1 in every process. Kept on disk, functions of two processes
# meet in a third, and of two that have name and number in common it would take the first for both.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(48))

prange = numba.prange

_Function = TypeVar("_Function", bound=Callable[..., Any])

_POLICY: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def njit(function: _Function) -> _Function:
    """Compile for one core."""
    return _compile(function)


def njit_parallel(function: _Function) -> _Function:
    """Compile with ``prange`` loops divided over the cores."""
    return _compile(function, parallel=True)


def inline(function: _Function) -> _Function:
    """Compile as a helper of other compiled functions, pasted into each of them."""
    return _compile(function, inline="always")


def _compile(function: _Function, **options: Any) -> _Function:
    options |= _POLICY
    compiled: _Function = numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT:
        compiled._cache = DiskCache(function, options)  # type: ignore[attr-defined]
    return compiled
