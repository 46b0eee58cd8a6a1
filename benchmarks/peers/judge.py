"""No clock starts before the numbers are right: who may be timed.

The referee R is minicnn in float64 on the same float32 input, every convolution as one matrix product. minicnn must
keep the rule of ``docs/architecture.md``: its error at most twice Keras's (four or eight times with large Winograd
tiles), or some units in the last place. A peer must only be clearly right: its error is shown beside its time, and some
of them spend more digits on Winograd than we may.

A training step is judged by the loss and by how a sample of every weight moved. For large batches of VGG-Face float64
would take minutes and gigabytes; there minicnn's float32 is the referee, whose own step the smaller batches judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.statistics import Row
from benchmarks.peers.work import BACKWARD, FIT, FORWARD, TRAINING, Work
from reference_keras.tolerance import LARGE_TILES, layer_limit, max_error, network_limit, rms

CLEARLY_RIGHT = 1e-4  # of a peer's output; a wrong one is off by about 1, bfloat16 by 4e-3
# An activation within rounding of 0 may open a ReLU on one side and not on the other; two nearly equal ones may swap
# places in a pooling: one such place changes gradients far more than rounding does.
STEP = 5e-2
LOSS = 1e-4
FIT_LOSS = 1e-2  # after ten steps, each of which carries on what the last one rounded
LARGEST_FLOAT64_STEP = 2e12  # flops


def referee_way(work: Work) -> str:
    """What computes R: "float64", or "minicnn" where that would take too long."""
    if work.direction == FIT or (work.direction == TRAINING and work.flops() > LARGEST_FLOAT64_STEP):
        return "minicnn"
    return "float64"


def errors(work: Work, found: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, float]:
    """{array: relative error}: rms of a network's output and of its steps, largest of a layer's arrays."""
    if missing := truth.keys() - found.keys():
        return dict.fromkeys(missing, float("inf"))
    whole_network = work.direction in (FORWARD, TRAINING) and len(work.rows) > 1
    return {name: _error(found[name], truth[name], whole_network) for name in truth}


def _error(found: Any, truth: Any, whole_network: bool) -> float:
    if found.shape != truth.shape or not np.isfinite(found).all():
        return float("inf")
    if not whole_network:
        return max_error(found.astype(np.float64), truth)
    size = rms(truth)
    return rms(found - truth) / (size if size > 0 else 1.0)


def judge(work: Work, rows: Sequence[Row], algorithms: Mapping[str, str]) -> None:
    """Mark every row whose errors are too large as WRONG. ``algorithms``: what minicnn's convolutions used."""
    for row in rows:
        for name, error in row.errors.items():
            limit = _limit(work, name)
            if row.ok and row.peer == "minicnn":
                limit = min(limit, _our_limit(work, name, rows, {*algorithms.values(), row.way}))
            if not error <= limit:
                row.refuse("WRONG", f"{name} is off by {error:.2g}, allowed are {limit:.2g}")


def _limit(work: Work, name: str) -> float:
    if work.direction == FIT:
        return FIT_LOSS
    if name.startswith("step:"):
        return STEP
    return LOSS if name == "loss" else CLEARLY_RIGHT


def _our_limit(work: Work, name: str, rows: Sequence[Row], algorithms: set[str]) -> float:
    """The rule, when Keras (or else PyTorch) was computed beside; otherwise what holds for everybody."""
    if work.direction in (TRAINING, FIT):
        return _limit(work, name)
    others = [r.errors[name] for p in ("keras", "torch", "openblas") for r in rows if r.peer == p and name in r.errors]
    if not others:
        return _limit(work, name)
    if work.direction == BACKWARD or len(work.rows) <= 1:
        return layer_limit(others[0], *algorithms)
    return network_limit(others[0], 1.0, large_tiles=bool(algorithms & LARGE_TILES))
