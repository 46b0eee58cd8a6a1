"""How the layers of Keras's Functional models are connected: read from its JSON, and written.

In Keras each layer lists its *calls* ("inbound nodes"); what a call gave is named by its layer, the number of the call,
and the number of the output. Keras 3 and Keras 2 write the same thing down differently:

    {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["conv1", 0, 0], ...}}], "kwargs": {}}
    [["conv1", 0, 0, {}]]

We number values instead: first the inputs, then what each node makes (see ``minicnn.graph``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from minicnn.errors import explain
from minicnn.graph import Graph
from minicnn.io.checks import refuse
from minicnn.io.keras_layers import ACTIVATIONS, Row
from minicnn.layers import Layer
from minicnn.shapes import Shape

INPUT = "InputLayer"
INSIDE = {activation[0] for activation in ACTIVATIONS.values() if activation}  # what Keras can have within a layer,
WITH_ACTIVATION = ("Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv2D", "SeparableConv2D")  # within these
Source = tuple[str, int]  # what a layer gave (its name) in one of its calls (which)


class Called(NamedTuple):
    """A Keras layer, its name, and for each of its calls what it was given; an input has none."""

    name: str
    row: Row
    calls: tuple[tuple[Source, ...], ...]


def calls(entries: Any, name: str) -> tuple[tuple[Source, ...], ...]:
    """The calls of the layer ``name`` from its ``inbound_nodes``, in either form. Raises LoadError."""
    if not isinstance(entries, list):
        refuse(f"the calls of the layer '{name}' are no list")
    return tuple(_call(entry, name) for entry in entries)


def _call(entry: Any, name: str) -> tuple[Source, ...]:
    if isinstance(entry, dict):
        arguments, named = entry.get("args"), entry.get("kwargs", {})
        if arguments == [] and isinstance(named, dict) and "inputs" in named:  # layer(inputs=x)
            arguments, named = [named["inputs"]], {key: named[key] for key in named if key != "inputs"}
        keywords = [named]
        if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], list):
            arguments = arguments[0]  # a layer that merges is given a list
    else:
        arguments = entry if isinstance(entry, list) else []
        keywords = [part[3] for part in arguments if isinstance(part, list) and len(part) > 3]
    sources = [_source(part) for part in arguments] if isinstance(arguments, list) else []
    for given in keywords:  # "training": True would compute something else, "mask" and "initial_state" too
        if not isinstance(given, dict) or not all(_is_neutral(key, value) for key, value in given.items()):
            refuse(f"the layer '{name}' is called with {given!r:.200}, which minicnn does not know")
    if not sources or None in sources:
        refuse(explain(f"'{name}' called on what other layers give", f"{entry!r:.200}"))
    return tuple(source for source in sources if source)


def _is_neutral(key: Any, value: Any) -> bool:
    """Of a call's arguments; a mask may be a list of none, one for each input."""
    nones = key == "mask" and isinstance(value, list) and all(one is None for one in value)
    return value is None or nones or (key == "training" and value is False)


def _source(tensor: Any) -> Source | None:
    """(layer, call) of one tensor; None if it is none, or not the first output of its call."""
    if isinstance(tensor, dict):
        config = tensor.get("config")
        tensor = config.get("keras_history") if isinstance(config, dict) else None
    if not isinstance(tensor, list) or len(tensor) not in (3, 4):
        return None
    layer, call, output = tensor[:3]
    return (layer, call) if isinstance(layer, str) and type(call) is int and output == 0 else None


def ends(value: Any, depth: int = 0) -> Iterator[Source]:
    """``input_layers`` or ``output_layers``: [name, 0, 0], a list of such, or a dict (in the order of its names)."""
    if depth > 12:
        refuse("its inputs or outputs are nested too deeply")
    if (source := _source(value) if isinstance(value, list) else None) is not None:
        yield source
    elif isinstance(value, dict | list):
        for inner in [value[key] for key in sorted(value)] if isinstance(value, dict) else value:
            yield from ends(inner, depth + 1)


def in_a_row(found: Sequence[Called], outputs: Sequence[Source]) -> list[Called] | None:
    """The layers in the order of data, if each is called once and on the one before it alone; None if not."""
    after: dict[Source, list[Called]] = {}
    for layer in found:
        if len(layer.calls) > 1 or any(len(sources) > 1 for sources in layer.calls):
            return None
        for (source,) in layer.calls:
            after.setdefault(source, []).append(layer)
    row = [layer for layer in found if not layer.calls][:1]
    while row and len(row) <= len(found) and (following := after.get((row[-1].name, 0))):
        row += following[:1]
    return row if len(row) == len(found) and list(outputs) == [(row[-1].name, 0)] else None


class Numbered(NamedTuple):
    """Calls as nodes: the layer of each and the numbers of the values it reads; the numbers of the outputs."""

    nodes: list[tuple[str, list[int]]]
    outputs: list[int]


def number(
    found: Sequence[Called], names: Mapping[str, Sequence[str]], inputs: Sequence[str], outputs: Sequence[Source]
) -> Numbered:
    """Every call as a node, in an order that can be computed. Raises LoadError for circles and what nobody makes.

    ``names``: the layers of ours, none or several in a row, that stand for each layer.
    """
    reads = {(layer.name, call): sources for layer in found for call, sources in enumerate(layer.calls)}
    values: dict[Source, int] = {(name, 0): place for place, name in enumerate(inputs)}
    nodes: list[tuple[str, list[int]]] = []
    try:
        order = list(TopologicalSorter(reads).static_order())
    except CycleError as error:
        refuse(f"the layer '{error.args[1][0][0]}' reads what no layer makes before it")
    for call in order:
        if call in values:
            continue
        if call not in reads:
            refuse(f"it reads call {call[1]} of '{call[0]}', what no layer makes")
        sources = [values[source] for source in reads[call]]
        for layer in names[call[0]]:
            nodes.append((layer, sources))
            sources = [len(inputs) + len(nodes) - 1]
        values[call] = sources[0]
    if not outputs or not all(output in values for output in outputs):
        refuse(explain("a network with its outputs listed", f"{outputs!r:.200}"))
    return Numbered(nodes, [values[output] for output in outputs])


def connections(
    graph: Graph, inputs: Sequence[str], shapes: Sequence[Shape], dtype: str
) -> tuple[dict[str, list[Any]], list[list[Any]]]:
    """({layer: its ``inbound_nodes``}, the network's inputs and outputs as [name, call, 0]), as Keras 3 has them.

    ``shapes``: of every value, no batch axis.
    """
    made: list[list[Any]] = [[name, 0, 0] for name in inputs]
    count: Counter[str] = Counter()
    entries: dict[str, list[Any]] = {}
    for node in graph.nodes:
        tensors: list[Any] = [
            {
                "class_name": "__keras_tensor__",
                "config": {"shape": [None, *shapes[source]], "dtype": dtype, "keras_history": made[source]},
            }
            for source in node.sources
        ]
        arguments = [tensors] if node.layer.merges else tensors
        entries.setdefault(node.layer.name, []).append({"args": arguments, "kwargs": {}})
        made.append([node.layer.name, count[node.layer.name], 0])
        count[node.layer.name] += 1
    return entries, [made[value] for value in (*range(graph.inputs), *graph.outputs)]


def keras_order(graph: Graph, *, activations_inside: bool = False) -> list[Layer]:
    """The layers in the order in which Keras numbers them, and finds their weights in a file.

    The more layers lie between a layer and the outputs (on the longest way), the earlier it comes; among equals, the
    one that is met first on the way back from the outputs, each way being followed to its end. As a shared layer stands
    where its earliest call does, all of its calls count as that far from the outputs. ``activations_inside``: as if
    each activation behind a convolution or dense layer were an argument of that layer, and so no layer between.
    """
    makers: list[Layer | None] = [*[None] * graph.inputs, *(node.layer for node in graph.nodes)]
    reads: list[tuple[int, ...]] = [*[()] * graph.inputs, *(node.sources for node in graph.nodes)]
    met: dict[Layer, int] = {}
    seen: set[int] = set()
    finished: list[int] = []  # each value after all that it is made of
    for output in graph.outputs:
        waiting = [(output, False)]
        while waiting:
            value, followed = waiting.pop()
            if followed:
                finished.append(value)
            elif value not in seen:
                seen.add(value)
                if (layer := makers[value]) is not None:
                    met.setdefault(layer, len(met))
                waiting.append((value, True))
                waiting += [(source, False) for source in reversed(reads[value])]
    readers = Counter(source for sources in reads for source in sources)
    distance = [0] * len(makers)
    furthest: dict[Layer, int] = {}
    for value in reversed(finished):
        if (layer := makers[value]) is not None:
            distance[value] = furthest[layer] = max(distance[value], furthest.get(layer, 0))
        for source in reads[value]:
            inside = activations_inside and readers[source] == 1 and _could_be_inside(layer, makers[source])
            distance[source] = max(distance[source], distance[value] + (not inside))
    return sorted(met, key=lambda layer: (-furthest[layer], met[layer]))


def _could_be_inside(activation: Layer | None, layer: Layer | None) -> bool:
    return type(activation).__name__ in INSIDE and type(layer).__name__ in WITH_ACTIVATION
