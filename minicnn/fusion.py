"""Layers that are computed together: a pass over a network's layers, made once, before data flow.

A ReLU after a convolution reads every number from memory, changes its sign bit or not, and writes it back: for the
first maps of VGG-Face that is as much traffic as the convolution itself causes. The convolution could cut off at 0
while it writes. So neighbours that go together are put into one *stage*:

    conv1_1, relu1_1   ->   one stage: conv1_1.forward(x, relu=True)

A stage is no new kind of layer. It leaves the same caches behind as its layers would, one for each, and the backward
pass goes through the layers one by one as before. So nothing else has to know about stages, results are the same bit
for bit, and a network can be read, saved and trained as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minicnn.layers.activations import ReLU
from minicnn.layers.base import INFERENCE, Cache, Context, Layer
from minicnn.ops.activations import ActivationCache
from minicnn.shapes import Array


class Stage(NamedTuple):
    """A layer, and the ReLU behind it if both are computed in one pass."""

    layer: Layer
    relu: ReLU | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (self.layer,) if self.relu is None else (self.layer, self.relu)

    def forward(self, x: Array, context: Context) -> tuple[Array, list[Cache]]:
        """The output, and the cache of each layer."""
        if self.relu is None:
            y, cache = self.layer.forward(x, context)
            return y, [cache]
        y, cache = self.layer.forward(x, context, relu=True)  # type: ignore[call-arg]
        return y, [cache, ActivationCache(y)]

    def __call__(self, x: Array) -> Array:
        """Inference: no cache kept."""
        return self.layer(x) if self.relu is None else self.forward(x, INFERENCE)[0]


def fuse(path: Sequence[Layer]) -> list[Stage]:
    """The layers of a network, in the order of data, as stages."""
    stages: list[Stage] = []
    for layer in path:
        last = stages[-1] if stages else None
        if type(layer) is ReLU and last is not None and last.relu is None and last.layer.takes_relu:
            stages[-1] = Stage(last.layer, layer)
        else:
            stages.append(Stage(layer))
    return stages


def fused_into(path: Sequence[Layer]) -> dict[str, str]:
    """{name of a layer that costs no pass of its own: name of the layer that does its work, or names}."""
    stages = fuse(path)
    alone = {stage.layer.name for stage in stages}
    found: dict[str, str] = {}
    for layer, relu in stages:
        if relu is not None and relu.name not in alone:
            others = found.get(relu.name, layer.name).split(", ")
            found[relu.name] = ", ".join(dict.fromkeys([*others, layer.name]))
    return found
