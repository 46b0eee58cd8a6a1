"""The two limits of a processor, measured, and where a layer stands below them (Williams, Waterman, Patterson, 2009).

    attainable GFLOP/s = min(peak, bandwidth * intensity)        intensity = flops / bytes that must be moved

The peak: a loop of independent multiply-adds on vector registers, as many as hide the latency, touching no memory. It
is written in LLVM's language, since no library computes *only* that. The bandwidth: reading an array far larger than
the caches, or adding two into a third, whichever moves more. Both on all threads at once. Since a layer's flops are
counted as the direct algorithm's, Winograd may stand above the roof: it gets the same result from fewer
multiplications.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from minicnn.environment import simd

CHAINS = 12  # independent accumulators: latency 4, two units ask for 8; 16 registers hold no more than 15
PEAK_LOOPS = 2_000_000  # some milliseconds: short enough to be left alone by others now and then
PEAK_REPEATS = 100
ARRAY = 1 << 27  # numbers of each of three arrays: 512 MiB, beyond any cache
REPEATS = 5


@dataclass(frozen=True)
class Limits:
    """Of all threads together, float32: the best of several measurements."""

    peak_gflops: float
    bandwidth_gbytes: float

    def attainable(self, intensity: float) -> float:
        """GFLOP/s at so many flops per byte."""
        return min(self.peak_gflops, self.bandwidth_gbytes * intensity)

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def limits(threads: int, cores: list[int], numbers: int = ARRAY) -> Limits:
    """Measure both; a few seconds. ``numbers``: see ``bandwidth``."""
    return Limits(peak(threads, cores), bandwidth(threads, cores, numbers))


def peak(threads: int, cores: list[int]) -> float:
    """GFLOP/s."""
    width = max(128, int(simd()["width"])) // 32
    loop, _engine = _compiled_loop(width)
    flops = 2.0 * width * CHAINS * PEAK_LOOPS * threads
    return float(flops / _best(lambda: _on_all(threads, cores, lambda index: loop(PEAK_LOOPS)), PEAK_REPEATS) / 1e9)


def bandwidth(threads: int, cores: list[int], numbers: int = ARRAY) -> float:
    """GB/s: the better of finding the largest number (reads alone) and of adding two arrays (two read, one written).

    ``numbers`` is the size of each of the three arrays. Together they must not fit the caches.
    """
    a, b, c = (np.ones(numbers, np.float32) for _ in range(3))
    pieces = [slice(i * numbers // threads, (i + 1) * numbers // threads) for i in range(threads)]

    def add(index: int) -> None:
        np.add(a[pieces[index]], b[pieces[index]], out=c[pieces[index]])

    def largest(index: int) -> None:
        for array in (a, b, c):
            np.max(array[pieces[index]])

    adding = 3 * a.nbytes / _best(lambda: _on_all(threads, cores, add))
    reading = 3 * a.nbytes / _best(lambda: _on_all(threads, cores, largest))
    return max(adding, reading) / 1e9


def _best(call: Callable[[], None], repeats: int = REPEATS) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _on_all(threads: int, cores: list[int], work: Callable[[int], object]) -> None:
    """One thread per core, bound to it; NumPy and ctypes let go of Python's lock while they compute. Raises what the
    first of them raised that could not: a time without its work would be a wonderful limit."""
    failed: list[BaseException] = []

    def run(index: int) -> None:
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {cores[index % len(cores)]})
            work(index)
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=run, args=(index,)) for index in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        raise failed[0]


def _compiled_loop(width: int) -> tuple[Callable[[int], float], object]:
    """float loop(int64 n): n times CHAINS multiply-adds of ``width`` numbers; and what keeps the code alive."""
    from llvmlite import binding

    for start in (binding.initialize_native_target, binding.initialize_native_asmprinter):
        start()
    vector = f"<{width} x float>"
    chains = range(CHAINS)
    lines = [
        f"declare {vector} @llvm.fma.v{width}f32({vector}, {vector}, {vector})",
        "define float @loop(i64 %n, float %scale) {",
        "start:",
        f"  %first = insertelement {vector} zeroinitializer, float %scale, i32 0",
        f"  %m = shufflevector {vector} %first, {vector} %first, <{width} x i32> zeroinitializer",
        "  br label %again",
        "again:",
        "  %i = phi i64 [0, %start], [%next, %again]",
        *(f"  %a{k} = phi {vector} [%m, %start], [%b{k}, %again]" for k in chains),
        *(f"  %b{k} = call {vector} @llvm.fma.v{width}f32({vector} %a{k}, {vector} %m, {vector} %m)" for k in chains),
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %n",
        "  br i1 %more, label %again, label %end",
        "end:",
        f"  %s0 = fadd {vector} %b0, zeroinitializer",
        *(f"  %s{k} = fadd {vector} %s{k - 1}, %b{k}" for k in chains if k),
        f"  %result = extractelement {vector} %s{CHAINS - 1}, i32 0",
        "  ret float %result",
        "}",
    ]
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    # LLVM splits 512-bit vectors on processors that once slowed down for them; here they are the point.
    text = "\n".join(lines).replace("(i64 %n, float %scale) {", '(i64 %n, float %scale) "prefer-vector-width"="512" {')
    engine = binding.create_mcjit_compiler(binding.parse_assembly(text), machine)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float)(engine.get_function_address("loop"))
    return lambda n: function(n, 0.5), engine
