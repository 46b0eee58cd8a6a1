"""Layers that are computed together: a pass over a network's layers, made once, before data flow.

A ReLU after a convolution reads every number from memory, changes its sign bit or not, and writes it back: for the
first maps of VGG-Face that is as much traffic as the convolution itself causes. The convolution could cut off at 0
while it writes. So neighbours that go together are put into one *stage*:

    conv1_1, relu1_1           ->   one stage: conv1_1.forward(x, relu=True), in training
    conv2, bn2, relu2, pool2   ->   in a prediction: conv2.infer(x, Finish(bn2.factors(), relu=True, halve=True))

provided that nobody but the next layer reads what a layer makes. Batch normalisation joins only where its statistics
are known: those of a training step are known when the convolution is done, and its backward pass needs what the
convolution made. So does that of max pooling: which of four was the largest.

A stage is no new kind of layer. It leaves the same caches behind as its layers would, one for each, and the backward
pass goes through the layers one by one, but for ReLUs, as below. So nothing else has to know about stages, results are
the same bit for bit, and a network can be read, saved and trained as it was written.

Backward, a convolution spares the ReLU before it a pass (``spared``): it has what that one made, its own input, at hand
while it writes the gradient, which is to be 0 where the ReLU made a 0. Max pooling may stand between them: a window's
gradient goes to where its largest number came from, and that is above 0 where the ReLU's result is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from minicnn.graph import Graph, Node
from minicnn.layers.activations import ReLU
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Ready, Tensors
from minicnn.layers.batch_norm import BatchNormalization
from minicnn.layers.conv2d import Conv2D
from minicnn.layers.pooling import MaxPooling2D
from minicnn.layers.written import as_written
from minicnn.ops.activations import ActivationCache
from minicnn.ops.finishing import Finish
from minicnn.ops.max_pooling import HALVING
from minicnn.shapes import Array


class Stage(NamedTuple):
    """A node, and what stands behind it and is computed in the same pass; ``places``: where all stand in the graph."""

    node: Node
    places: tuple[int, ...]
    norm: BatchNormalization | None = None
    relu: ReLU | None = None
    pool: MaxPooling2D | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.node.layer, *(layer for layer in (self.norm, self.relu, self.pool) if layer is not None)

    def forward(self, x: Tensors, context: Context) -> tuple[Array, list[Cache]]:
        """The output, and the cache of each layer; for a stage without ``norm`` and ``pool``."""
        assert self.norm is None
        assert self.pool is None
        if self.relu is None:
            y, cache = self.node.layer.forward(x, context)
            return y, [cache]
        y, cache = self.node.layer.forward(x, context, relu=True)  # type: ignore[call-arg]
        return y, [cache, ActivationCache(y)]

    def infer(self, x: Tensors) -> Array:
        """Inference: no cache kept."""
        layer = self.node.layer
        if type(layer) is Conv2D and as_written(layer):
            finish = self._finish()
            y = layer.infer(x, finish)
            return y if self.pool is None or finish.halve else self.pool.infer(y)
        return layer.infer(x) if self.relu is None else self.forward(x, INFERENCE)[0]

    def ready(self, x: Tensors) -> Ready | None:
        """``infer`` as a call that does nothing twice, see ``Layer.ready``, or None."""
        layer, norm = self.node.layer, self.norm
        numbers = () if norm is None else tuple((a, a.copy()) for a in (*norm.params.values(), *norm.state.values()))
        finish = self._finish()  # after the copies: what is written in between is a change, and not passed over
        if not _computed_by_its_class(layer, "ready", ("forward", "infer")) or finish.halve != (self.pool is not None):
            return None
        if not all(array.flags.c_contiguous for array, _ in numbers):
            return None
        found = layer.ready(x, finish)
        return found and found._replace(numbers=numbers)

    def _finish(self) -> Finish:
        """What is done with the results of ``node`` while they are written."""
        halve = self.pool is not None and self.pool.window == HALVING  # somebody may have given it another one
        return Finish(None if self.norm is None else self.norm.factors(), self.relu is not None, halve)

    def followed_by(self, layer: Layer, place: int, *, predicting: bool) -> Stage | None:
        """The stage with one layer more, or None where that one needs a pass of its own."""
        if not as_written(self.node.layer, layer):
            return None
        longer = self._replace(places=(*self.places, place))
        takes_more = predicting and type(self.node.layer) is Conv2D  # what a subclass computes is not known here
        if self.pool:
            return None
        if type(layer) is ReLU and self.relu is None and _takes_relu(self.node.layer, predicting):
            return longer._replace(relu=layer)
        if type(layer) is BatchNormalization and len(self.places) == 1 and takes_more:
            return longer._replace(norm=layer)
        if type(layer) is MaxPooling2D and layer.window == HALVING and takes_more:
            return longer._replace(pool=layer)
        return None


def _takes_relu(layer: Layer, predicting: bool) -> bool:
    return layer.takes_relu and _computed_by_its_class(
        layer, "takes_relu", ("forward", "infer") if predicting else ("forward",)
    )


def _computed_by_its_class(layer: Layer, said: str, computes: tuple[str, ...]) -> bool:
    """Whether the class that ``said`` something about how it computes does so, and neither a subclass of it nor the
    layer itself in its own way: what that does is not known here."""
    classes = type(layer).__mro__
    says, *own = (next(i for i, c in enumerate(classes) if name in vars(c)) for name in (said, *computes))
    return says <= min(own) and vars(layer).keys().isdisjoint(computes)


Kinds = tuple[type[Layer] | None, ...]  # of every layer; None: one that somebody has given a way of his own to compute


def _kinds(graph: Graph) -> Kinds:
    """What may change of a graph's layers, and what is fused depends on."""
    return tuple([type(layer) if as_written(layer) else None for layer in graph.path])


NONE: frozenset[int] = frozenset()
_found: WeakKeyDictionary[Graph, dict[bool, tuple[tuple[Kinds, frozenset[int]], tuple[Stage, ...]]]]
_found = WeakKeyDictionary()


def fuse(graph: Graph, *, predicting: bool = False, resting: frozenset[int] = NONE) -> tuple[Stage, ...]:
    """The nodes of a network, in the order of data, as stages: of a prediction, or of a pass that keeps caches but of
    those nodes that are ``resting``, which are as in a prediction.

    Found once for each graph, as long as the same nodes rest and no layer is given another class or method.
    """
    known, now = _found.setdefault(graph, {}), (_kinds(graph), resting)
    if predicting not in known or known[predicting][0] != now:
        known[predicting] = now, tuple(_fuse(graph, frozenset(range(len(graph.nodes))) if predicting else resting))
    return known[predicting][1]


def _fuse(graph: Graph, resting: frozenset[int]) -> list[Stage]:
    stages: list[Stage] = []
    stage_of: dict[int, int] = {}  # value -> which stage makes it
    for place, node in enumerate(graph.nodes):
        source, longer = node.sources[0], None
        if source in stage_of and graph.readers[source] == 1:  # what is put to a stage that rests, rests too
            longer = stages[stage_of[source]].followed_by(node.layer, place, predicting=place in resting)
        if longer:
            stages[stage_of[source]] = longer
            stage_of[graph.inputs + place] = stage_of[source]
        else:
            stage_of[graph.inputs + place] = len(stages)
            stages.append(Stage(node, (place,)))
    return stages


def read_for_the_last_time(graph: Graph, stages: Sequence[Stage]) -> list[list[int]]:
    """For each stage, which of the values that it reads nobody reads behind it."""
    left, found = dict(graph.readers), []
    for stage in stages:
        for source in stage.node.sources:
            left[source] -= 1
        found.append([source for source in dict.fromkeys(stage.node.sources) if left[source] == 0])
    return found


_spared: WeakKeyDictionary[Graph, tuple[Kinds, dict[int, int]]] = WeakKeyDictionary()


def spared(graph: Graph) -> dict[int, int]:
    """{place of a convolution: place of the ReLU that it does the backward pass of}. Found as rarely as ``fuse``."""
    known, kinds = _spared.get(graph), _kinds(graph)
    if known is None or known[0] != kinds:
        found = {place: _relu_before(kinds, graph, place) for place in range(len(graph.nodes))}
        known = _spared[graph] = kinds, {place: relu for place, relu in found.items() if relu is not None}
    return known[1]


def _relu_before(kinds: Kinds, graph: Graph, place: int) -> int | None:
    """Where the ReLU stands that made what a convolution reads, maybe pooled; None if others read it too."""
    if kinds[place] is not Conv2D:
        return None
    while True:
        (source,) = graph.nodes[place].sources
        place = source - graph.inputs
        if place < 0 or graph.readers[source] > 1:
            return None
        if kinds[place] is not MaxPooling2D:
            return place if kinds[place] is ReLU else None


def fused_into(graph: Graph) -> dict[str, str]:
    """{name of a layer that a prediction leaves to the one before it: name of that layer, or names}."""
    stages = fuse(graph, predicting=True)
    alone = {stage.node.layer.name for stage in stages}
    found: dict[str, str] = {}
    for stage in stages:
        for layer in stage.layers[1:]:
            if layer.name not in alone:
                others = found.get(layer.name, stage.node.layer.name).split(", ")
                found[layer.name] = ", ".join(dict.fromkeys([*others, stage.node.layer.name]))
    return found
