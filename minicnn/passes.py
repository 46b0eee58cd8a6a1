"""The two passes through a graph: what flows forward, and what flows back.

Forward, every layer leaves a cache behind. Backward, the gradient goes through the same layers from the last to the
first (but for a ReLU whose part a convolution does: ``fusion.spared``), and each turns the gradient of its output into
the gradient of what it read:

    y = f3(f2(f1(x)))                            dx = f1'(f2'(f3'(dy)))

Where a value is read by several layers, each of them sends a gradient back, and they add up, for a small change of the
value reaches the output on every one of these ways:

    y = f(x) + g(x)                              dx = f'(dy) + g'(dy)

The same holds for a layer that is used several times: the gradients of its weights add up.

Values are numbered as in ``graph.py``. Each is let go of after its last reader. The pass that remembers nothing is in
``prediction.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minicnn import prediction
from minicnn.fusion import NONE, fuse, read_for_the_last_time, spared
from minicnn.graph import Graph
from minicnn.layers.base import Cache, Context, Gradients, Layer, Params
from minicnn.layers.batch_norm import BatchNormalization
from minicnn.layers.written import as_written
from minicnn.ops.merging import add
from minicnn.shapes import Array


def forward(graph: Graph, inputs: Sequence[Array], context: Context) -> tuple[list[Array], list[Cache]]:
    """(every output, one cache per node; None where ``context.weights_only`` says that nobody will ask for it)."""
    if context.training:
        prediction.forget(graph)
    caches: list[Cache] = [None] * len(graph.nodes)
    resting = _resting(graph) if context.weights_only else NONE
    values = dict(enumerate(inputs))
    uses, stages = graph.uses, fuse(graph, resting=resting)
    for stage, over in zip(stages, read_for_the_last_time(graph, stages), strict=True):
        read = stage.node.pick(values)
        if stage.places[0] in resting:
            y = stage.infer(read)
        else:
            y, own = stage.forward(read, replace(context, use=uses[stage.places[0]]))
            for place, cache in zip(stage.places, own, strict=True):
                caches[place] = cache
        values[graph.inputs + stage.places[-1]] = y
        del read, y  # no name must keep alive what the dict lets go of
        for value in over:
            del values[value]
    return [values[value] for value in graph.outputs], caches


def every_value(graph: Graph, inputs: Sequence[Array], context: Context) -> tuple[list[Array], list[Cache]]:
    """(every value, one cache per node): a forward pass in which each layer is computed by itself, and nothing is let
    go of. The same numbers as ``forward``, bit for bit, and those between layers that are otherwise fused."""
    if context.training:
        prediction.forget(graph)
    values, caches = list(inputs), []
    for node, use in zip(graph.nodes, graph.uses, strict=True):
        y, cache = node.layer.forward(node.pick(values), replace(context, use=use))
        values.append(y)
        caches.append(cache)
    return values, caches


def backward(
    graph: Graph,
    dys: Sequence[Array],
    caches: Sequence[Cache],
    *,
    input_gradient: bool = False,
    dvalues: dict[int, Array] | None = None,
) -> tuple[list[Array] | None, Gradients]:
    """(the gradient of every input or None, the gradient of every trainable parameter under its address).

    The gradient of every value that is visited is left in ``dvalues``, if that is given.
    """
    spares = {} if dvalues is not None else spared(graph)
    relus = frozenset(spares.values())
    wanted = _wanted(graph, input_gradient)
    arrived: dict[int, list[Array]] = {}  # value -> its gradients, one from each of its readers
    gradients: Gradients = {}
    for value, dy in zip(graph.outputs, dys, strict=True):
        arrived.setdefault(value, []).append(dy)
    for place in range(len(graph.nodes) - 1, -1, -1):
        (layer, sources), value = graph.nodes[place], graph.inputs + place
        if not wanted[value]:  # nothing that learns stands before it
            continue
        below = any(wanted[source] for source in sources)
        dy = _together(arrived.pop(value))
        if dvalues is not None:
            dvalues[value] = dy
        dx: Any = dy
        own: Params = {}
        if place not in relus:
            more = {"through_relu": True} if place in spares else {}
            dx, own = layer.backward(dy, caches[place], input_gradient=below, **more)
        parts: Sequence[Any] = dx if layer.merges and dx is not None else [dx] * len(sources)
        for source, part in zip(sources, parts, strict=True):
            if wanted[source]:
                arrived.setdefault(source, []).append(part)
        for key, gradient in own.items():
            address = f"{layer.name}/{key}"
            gradients[address] = gradients[address] + gradient if address in gradients else gradient
    return ([_together(arrived[value]) for value in range(graph.inputs)] if input_gradient else None), gradients


def _resting(graph: Graph) -> frozenset[int]:
    """The nodes whose gradients no weight asks for, and that compute in training what they do in a prediction: those of
    a frozen network before the part that learns. So they are computed as in one, which is faster, and keep nothing."""
    wanted = _wanted(graph, input_gradient=False)
    return frozenset(
        place for place, (layer, _) in enumerate(graph.nodes) if not wanted[graph.inputs + place] and _rests(layer)
    )


def _rests(layer: Layer) -> bool:
    """Whether it computes in training what it does in a prediction, as far as that is known: it is of this package."""
    if not (prediction.is_ours(type(layer)) and as_written(layer)):
        return False
    return not layer.acts_differently_in_training or (type(layer) is BatchNormalization and not layer.trainable)


def _wanted(graph: Graph, input_gradient: bool) -> list[bool]:
    """For every value, whether anything that it depends on needs a gradient: a weight that learns, or an input."""
    wanted = [input_gradient] * graph.inputs
    for layer, sources in graph.nodes:
        wanted.append(bool(layer.trainable and layer.params) or any(wanted[source] for source in sources))
    return wanted


def _together(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else add(parts)[0]


def next_state(graph: Graph, caches: Sequence[Cache]) -> Params:
    """Moving statistics after a training step, under their addresses. Those of a layer that is used twice move twice,
    in the order of data, as in Keras."""
    moved: Params = {}
    for layer, cache in zip(graph.path, caches, strict=True):
        if not layer.state or (cache is None and _rests(layer)):
            continue
        current = copy.copy(layer)
        current.state = {key: moved.get(f"{layer.name}/{key}", array) for key, array in layer.state.items()}
        moved |= {f"{layer.name}/{key}": array for key, array in current.next_state(cache).items()}
    return moved
