"""What each layer costs here and now: multiplications, bytes, time, and where that stands below the machine's limits.

Layers are timed as inference runs them: a ReLU, normalisation or pooling that the convolution before it computes too
takes no time of its own, and is on that layer's row. Multiplications are the definition's (``Layer.multiplications``),
so an algorithm that needs fewer, such as Winograd's, shows a rate above what was really computed.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numba

from minicnn import environment, roofline
from minicnn.fusion import Stage, fuse
from minicnn.layers.base import Tensors
from minicnn.model import Model
from minicnn.shapes import Array, whole
from minicnn.study.trace import value_names
from minicnn.summary import training_memory

NUMBERS = 1 << 24  # of each array that the bandwidth is measured with: 64 MiB, so that a laptop has room for three


@dataclass(frozen=True)
class LayerCost:
    """One layer, for one batch.

    multiplications:  of the definition
    bytes:            what the layer by itself must at least move: what it reads, writes, and its weights, each once
    remembered:       bytes that a training step keeps from its forward pass, for this layer's backward pass
    seconds:          the median; 0 for a layer that ``within`` names another of, which computes it too
    algorithm:        of a convolution
    within:           the layer whose pass computes this one, or ""
    """

    name: str
    kind: str
    multiplications: int
    bytes: int
    remembered: int
    seconds: float
    algorithm: str = ""
    within: str = ""

    @property
    def rate(self) -> float:
        """GFLOP/s: multiplications and as many additions; 0 where no time was taken."""
        return 2 * self.multiplications / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def intensity(self) -> float:
        """Flops per byte."""
        return 2 * self.multiplications / self.bytes

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rate": self.rate, "intensity": self.intensity}


def layer_costs(model: Model, x: Tensors, *, repeats: int = 5) -> list[LayerCost]:
    """One row per use of a layer, in the order of data, for the batch ``x``.

    Cost: each layer ``repeats`` times and once more to warm up, and a forward pass of training. All outputs are kept
    meanwhile. Raises OptionError for fewer than one repeat, and what the model raises for ``x``.
    """
    whole(repeats, "repeats")
    values: dict[int, Array] = dict(enumerate(model.as_inputs(x)))
    names, batch = value_names(model), len(values[0])
    remembered = training_memory(model, batch)
    rows: dict[int, LayerCost] = {}
    for stage in fuse(model.graph, predicting=True):
        read = stage.node.pick(values)
        seconds = _median(stage, read, repeats)
        values[model.graph.inputs + stage.places[-1]] = stage.infer(read)
        for place, layer in zip(stage.places, stage.layers, strict=True):
            first = place == stage.places[0]
            value = model.graph.inputs + place
            shapes = [model.shapes[source] for source in model.graph.nodes[place].sources]
            moved = batch * sum(math.prod(shape) for shape in (*shapes, model.shapes[value]))
            rows[place] = LayerCost(
                name=names[value],
                kind=type(layer).__name__,
                multiplications=batch * layer.multiplications(shapes if layer.merges else shapes[0]),
                bytes=(moved + layer.count_params()) * model.dtype.itemsize,
                remembered=remembered[place],
                seconds=seconds if first else 0.0,
                algorithm=getattr(layer, "algorithm_used", lambda: "")(),
                within="" if first else names[model.graph.inputs + stage.places[0]],
            )
    return [rows[place] for place in sorted(rows)]


def _median(stage: Stage, read: Any, repeats: int) -> float:
    stage.infer(read)  # compiles, and prepares kernels
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        stage.infer(read)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine_limits() -> roofline.Limits:
    """What this machine can do with as many threads as minicnn uses; measured, about a second."""
    return roofline.limits(numba.get_num_threads(), environment.core_numbers(), NUMBERS)
