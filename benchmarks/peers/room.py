"""Whether a work fits into memory with all its peers side by side: one that swaps is timed wrongly, or killed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.catalogue import Entry
from benchmarks.peers.work import FORWARD, Work

GIGABYTE = 2.0**30


def memory_needed(work: Work, entries: Sequence[Entry]) -> float:
    """Bytes, roughly: each peer keeps its weights, also those of the ways that learn; a step all activations too, and
    gradients of both. Beside them stand the weights that all are given."""
    if work.direction == "matmul":
        return 0.0
    sizes = work.layers()
    weights = 4.0 * sum(size.weights for size in sizes)
    activations = 4.0 * work.batch * sum(float(math.prod(size.output_shape)) for size in sizes)
    learning = work.direction != FORWARD
    each = 3 * weights + 2 * activations if learning else 2.5 * weights + 0.3 * activations
    peers = [entry for entry in entries if work.direction in entry.directions]
    return weights + each * sum(entry.copies if learning else 1 for entry in peers)


def memory_available() -> float | None:
    """Bytes that could be used without swapping, where the system says so."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
