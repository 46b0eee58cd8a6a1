"""How the numbers of a network are spread: histograms of weights and gradients, and units that are always silent.

A gradient whose histogram has shrunk to a spike at 0 teaches nothing (it vanished on its way back), and a ReLU channel
that is 0 for every picture learns nothing more: its gradient is 0 everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.model import Model
from minicnn.shapes import Array, whole
from minicnn.study.rules.curves import is_relu
from minicnn.study.trace import Trace, trace


@dataclass(frozen=True, eq=False)
class Histogram:
    """``counts`` (B,) between ``edges`` (B + 1,); NaN and infinity are counted in ``broken`` and nowhere else."""

    counts: Array
    edges: Array
    mean: float
    deviation: float
    broken: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {
            "counts": self.counts.tolist(),
            "edges": self.edges.tolist(),
            "mean": self.mean,
            "deviation": self.deviation,
            "broken": self.broken,
        }


def histogram(values: Array, bins: int = 50) -> Histogram:
    """How ``values`` are spread, in ``bins`` of equal width from the smallest to the largest. Raises OptionError."""
    whole(bins, "bins")
    flat = np.asarray(values, np.float64).reshape(-1)
    fine = flat[np.isfinite(flat)]
    counts, edges = np.histogram(fine, bins, _range(fine, bins))
    mean, deviation = (float(fine.mean()), float(fine.std())) if fine.size else (float("nan"), float("nan"))
    return Histogram(counts, edges, mean, deviation, int(flat.size - fine.size))


def _range(values: Array, bins: int) -> tuple[float, float]:
    """From the smallest to the largest; wider where so many edges could not be told apart between them."""
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = bins * float(np.spacing(max(-low, high)))
    if high - low >= 2 * room and high > low:
        return low, high
    return low - max(0.5, room), high + max(0.5, room)


def weight_histograms(model: Model, bins: int = 50) -> dict[str, Histogram]:
    """A histogram of every weight, under its address."""
    model.require_built()
    return {address: histogram(array, bins) for address, array in model.weights.items()}


def gradient_histograms(found: Trace, bins: int = 50) -> dict[str, Histogram]:
    """A histogram of every gradient of a trace: parameters under their addresses, activations under their names."""
    found.require_gradients()
    parameters = {address: histogram(found.gradient(address), bins) for address in found.parameter_gradients}
    return parameters | {found.names[value]: histogram(dy, bins) for value, dy in sorted(found.dvalues.items())}


def dead_units(model: Model, x: Array) -> dict[str, list[int]]:
    """For every ReLU, the channels (or units) that are 0 for all pictures of ``x`` and at all places.

    The more pictures, the surer: a channel that is silent on a few may answer to others. Raises OptionError for a
    network without a ReLU.
    """
    found = trace(model, x)
    silent: dict[str, list[int]] = {}
    for place, node in enumerate(model.graph.nodes):
        if is_relu(node.layer):
            value = model.graph.inputs + place
            answered = (found.values[value] != 0).reshape(-1, found.values[value].shape[-1]).any(axis=0)
            silent[found.names[value]] = np.flatnonzero(~answered).tolist()
    if not silent:
        raise OptionError(explain("a network with at least one ReLU", f"'{model.name}' without"))
    return silent
