"""What a network costs, layer by layer: shapes, parameters, multiplications, and the bytes a training step must
remember."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.fusion import fused_into
from minicnn.layers.base import Cache, Context, Layer
from minicnn.shapes import Shape

if TYPE_CHECKING:  # types for readers and checkers only: model.py stands above this file
    from minicnn.network import Network
    from minicnn.storable import Storable


@dataclass(frozen=True)
class LayerSummary:
    """One row. Shapes have no batch axis; ``multiplications`` are the definition's, for one picture, forward."""

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    trainable: bool
    multiplications: int
    algorithm: str  # of a convolution; "in conv1" for a layer that conv1 computes in its own pass, when predicting
    reads: tuple[str, ...]  # names of the layers, or inputs of the network, that this one is connected to

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarize(model: Network) -> list[LayerSummary]:
    """One row per layer, in the order of the model's layers."""
    model.require_built()
    fused = fused_into(model.graph)
    uses: dict[str, list[int]] = {}  # name of a layer -> its places in the graph: it may stand in several
    for place, layer in enumerate(model.graph.path):
        uses.setdefault(layer.name, []).append(place)
    return [_row(model, layer, uses[layer.name], fused.get(layer.name)) for layer in model.layers]


def _row(model: Network, layer: Layer, places: list[int], fused: str | None) -> LayerSummary:
    graph, names = model.graph, [*model.input_names, *(other.name for other in model.graph.path)]
    nodes = [graph.nodes[place] for place in places]
    read = dict.fromkeys(names[source] for node in nodes for source in node.sources)  # a set, in order
    return LayerSummary(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=model.shapes[graph.inputs + places[0]],
        parameters=layer.count_params(),
        trainable=layer.trainable,
        multiplications=sum(layer.multiplications(node.pick(model.shapes)) for node in nodes),
        algorithm=f"in {fused}" if fused else getattr(layer, "algorithm_used", lambda: "")(),
        reads=tuple(read),
    )


def cache_bytes(caches: Iterable[Cache]) -> list[int]:
    """Bytes that each cache keeps alive; an array that several caches share counts where it is seen first.

    ``y, caches = model.forward(x, Context(training=True))`` and ``cache_bytes(caches)`` show the memory of a training
    step.
    """
    seen: set[int] = set()
    return [_bytes(cache, seen) for cache in caches]


def _bytes(value: Any, seen: set[int]) -> int:
    if isinstance(value, np.ndarray):
        owner = value
        while isinstance(owner.base, np.ndarray):  # a view keeps its owner alive
            owner = owner.base
        if id(owner) in seen:
            return 0
        seen.add(id(owner))
        return int(owner.nbytes)
    if isinstance(value, (tuple, list)):
        return sum(_bytes(item, seen) for item in value)
    return 0


def training_memory(model: Network, batch_size: int) -> list[int]:
    """Bytes per layer that one training step of ``batch_size`` pictures remembers between forward and backward.

    Measured, not estimated: it runs the forward pass on zeros. Parameters are counted apart, in ``summarize``.
    """
    model.require_built()
    inputs = [np.zeros((batch_size, *shape), model.dtype) for shape in model.shapes[: model.graph.inputs]]
    _, caches = model.forward(inputs if len(inputs) > 1 else inputs[0], Context(training=True))
    weights = {id(array) for array in model.weights.values()}
    return [_bytes(cache, weights) for cache in caches]


def summary_text(model: Storable) -> str:
    """The table that ``Storable.summary`` prints."""
    rows = summarize(model)
    cells = [("Layer", "Kind", "Output shape", "Parameters", "Multiplications", "Algorithm", "Connected to")]
    for row in rows:
        name = row.name if row.trainable else f"{row.name} (frozen)"
        shape = f"({', '.join(['N', *map(str, row.output_shape)])})"
        counts = f"{row.parameters:,}", f"{row.multiplications:,}"
        cells.append((name, row.kind, shape, *counts, row.algorithm, ", ".join(row.reads)))
    columns_shown = len(cells[0]) - model.graph.is_row  # in a row, everyone is connected to the line above
    widths = [max(len(line[i]) for line in cells) for i in range(columns_shown)]
    lines = []
    for line in cells:
        columns = [
            text.rjust(w) if i in (3, 4) else text.ljust(w)
            for i, (text, w) in enumerate(zip(line, widths, strict=False))
        ]
        lines.append("  ".join(columns).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    trainable = sum(array.size for layer in model.layers if layer.trainable for array in layer.params.values())
    total = model.count_params()
    size = total * model.dtype.itemsize
    memory = f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
    return "\n".join(
        [
            f"Model '{model.name}', {model.dtype}",
            lines[0],
            rule,
            *lines[1:],
            rule,
            f"Parameters: {total:,} ({memory}), trainable {trainable:,}",
            f"Multiplications for one picture, forward: {sum(row.multiplications for row in rows):,}",
        ]
    )
