"""What each layer costs on this machine, for one picture: measured when the page asks for it."""

from __future__ import annotations

import functools
from typing import Any

import numba

from minicnn.explorer.scene import Scene
from minicnn.roofline import Limits
from minicnn.study import layer_costs, machine_limits

REPEATS = 5


def measured_costs(scene: Scene) -> dict[str, Any]:
    """Time, multiplications, bytes and GFLOP/s of each layer, and the limits of the machine. Takes a second or two."""
    rows = layer_costs(scene.model, scene.photo.x, repeats=REPEATS)
    machine = _limits()
    return {
        "layers": [row.to_dict() for row in rows],
        "seconds": sum(row.seconds for row in rows),
        "threads": numba.get_num_threads(),
        "repeats": REPEATS,
        "peak": machine.peak_gflops,
        "bandwidth": machine.bandwidth_gbytes,
    }


@functools.cache
def _limits() -> Limits:
    """Once: a machine does not change, and measuring it keeps it busy."""
    return machine_limits()
