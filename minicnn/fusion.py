"""Layers that are computed together: a pass over a network's layers, made once, before data flow.

A ReLU after a convolution reads every number from memory, changes its sign bit or not, and writes it back: for the
first maps of VGG-Face that is as much traffic as the convolution itself causes. The convolution could cut off at 0
while it writes. So neighbours that go together are put into one *stage*:

    conv1_1, relu1_1   ->   one stage: conv1_1.forward(x, relu=True)

provided that nobody but the ReLU reads what the convolution makes. A stage is no new kind of layer. It leaves the same
caches behind as its layers would, one for each, and the backward pass goes through the layers one by one as before. So
nothing else has to know about stages, results are the same bit for bit, and a network can be read, saved and trained as
it was written.
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.graph import Graph, Node
from minicnn.layers.activations import ReLU
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Tensors
from minicnn.ops.activations import ActivationCache
from minicnn.shapes import Array


class Stage(NamedTuple):
    """A node, and the ReLU behind it if both are computed in one pass; ``places``: where they stand in the graph."""

    node: Node
    relu: ReLU | None = None
    places: tuple[int, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (self.node.layer,) if self.relu is None else (self.node.layer, self.relu)

    def forward(self, x: Tensors, context: Context) -> tuple[Array, list[Cache]]:
        """The output, and the cache of each layer."""
        if self.relu is None:
            y, cache = self.node.layer.forward(x, context)
            return y, [cache]
        y, cache = self.node.layer.forward(x, context, relu=True)  # type: ignore[call-arg]
        return y, [cache, ActivationCache(y)]

    def infer(self, x: Tensors) -> Array:
        """Inference: no cache kept."""
        return self.node.layer.infer(x) if self.relu is None else self.forward(x, INFERENCE)[0]


def fuse(graph: Graph) -> list[Stage]:
    """The nodes of a network, in the order of data, as stages."""
    stages: list[Stage] = []
    stage_of: dict[int, int] = {}  # value -> which stage makes it
    readers = graph.readers
    for place, node in enumerate(graph.nodes):
        source = node.sources[0]
        before = stages[stage_of[source]] if source in stage_of else None
        if type(node.layer) is ReLU and before and _takes_relu(before) and readers[source] == 1:
            stages[stage_of[source]] = Stage(before.node, node.layer, (*before.places, place))
            stage_of[graph.inputs + place] = stage_of[source]
        else:
            stage_of[graph.inputs + place] = len(stages)
            stages.append(Stage(node, None, (place,)))
    return stages


def _takes_relu(stage: Stage) -> bool:
    return stage.relu is None and stage.node.layer.takes_relu


def fused_into(graph: Graph) -> dict[str, str]:
    """{name of a layer that costs no pass of its own: name of the layer that does its work, or names}."""
    stages = fuse(graph)
    alone = {stage.node.layer.name for stage in stages}
    found: dict[str, str] = {}
    for stage in stages:
        if stage.relu is not None and stage.relu.name not in alone:
            others = found.get(stage.relu.name, stage.node.layer.name).split(", ")
            found[stage.relu.name] = ", ".join(dict.fromkeys([*others, stage.node.layer.name]))
    return found
