"""The algorithm that is fastest here, for one shape: measured once, kept on disk.

``choose`` in ``algorithms.py`` is a rule made on a few machines; another processor may disagree.
``algorithm="measured"`` tries every algorithm that can take the shape, forward, on random numbers, and remembers which
was fastest:

    layer = Conv2D(128, 3, padding="same", algorithm="measured")

A single picture and many are told apart, since few tiles ask for another algorithm than many. Costs some forward
passes at the first meeting with a shape, then a look into a dictionary. Which algorithm wins may differ from machine to
machine, and with it the last bits of a result: that is why "auto" does not measure. F(4x4) at real points may win too,
which rounds worse than the others (``winograd.py``).

The answers lie beside the compiled code (``ops/jit_files.py``), one small file per shape, processor and number of
threads; where no folder can be written to, they last as long as the process. A damaged file counts as none.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import binding

from minicnn.ops import jit_files
from minicnn.ops.simd import VECTOR_BYTES
from minicnn.shapes import Array, Shape

MANY = 8  # pictures; fewer than that are measured as one
ROUNDS = 5  # in turns, after one that compiles; the least time of each counts

#: (name, x, kernel) -> a call to be timed, with everything prepared that a network prepares once
Run = Callable[[str, Array, Array], Callable[[], object]]

_known: dict[str, str] = {}


def fastest(names: Sequence[str], run: Run, x_shape: Shape, kernel_shape: Shape, options: Any, dtype: Any) -> str:
    """The name whose call takes least for x (N, H, W, C) and a kernel of these shapes; the first in a tie.

    N counts as 1 or ``MANY``. ``options`` is what else makes the convolution: strides, padding and so on.
    """
    x_shape = (MANY if x_shape[0] >= MANY else 1, *x_shape[1:])
    processor = binding.get_host_cpu_name(), VECTOR_BYTES, numba.get_num_threads()
    case = (*names, x_shape, kernel_shape, options, np.dtype(dtype).str, *processor)
    key = hashlib.sha256(repr(case).encode()).hexdigest()
    if key not in _known:
        _known[key] = _kept(key, names) or _keep(key, _measure(names, run, x_shape, kernel_shape, dtype))
    return _known[key]


def _kept(key: str, names: Sequence[str]) -> str | None:
    for folder in jit_files.folders():
        content = jit_files.read(folder / f"{key[:24]}{jit_files.CHOICE}", bytes.fromhex(key))
        if content is not None and content.decode() in names:
            return content.decode()
    return None


def _keep(key: str, name: str) -> str:
    content = name.encode()
    for folder in jit_files.folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            data = bytes.fromhex(key) + hashlib.sha256(content).digest() + content
            jit_files.write(folder / f"{key[:24]}{jit_files.CHOICE}", data)
            break
        except OSError:  # a folder that can only be read: the next one, or none
            continue
    return name


def _measure(names: Sequence[str], run: Run, x_shape: Shape, kernel_shape: Shape, dtype: Any) -> str:
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, kernel_shape))
    calls = {name: run(name, x, kernel) for name in names}
    least = dict.fromkeys(names, float("inf"))
    for turn in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                least[name] = min(least[name], time.perf_counter() - start)
    return min(names, key=least.__getitem__)
