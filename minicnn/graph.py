"""A network as a list: which layer reads which values.

Values are counted: first the network's inputs, 0 to I - 1, then what each node makes; node k makes value I + k. So

    x = Input((8, 8, 4))           value 0
    a = Conv2D(4, 3, ...)(x)       value 1     Node(conv2d, (0,))
    b = ReLU()(a)                  value 2     Node(re_lu, (1,))
    y = Add()([x, b])              value 3     Node(add, (0, 2))           outputs (3,)

A node reads only values with smaller numbers. That is all the order there is: from front to back the list can be
computed, from back to front differentiated, and a circle cannot be written down. Layers in a row are the special case
in which node k reads value k.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.layers import MOST_LAYERS, layers_from
from minicnn.layers.base import Layer
from minicnn.layers.symbolic import SymbolicTensor
from minicnn.shapes import Shape

MOST_NUMBERS = 1 << 48  # in one value; no machine holds so many, but a file can ask for more in a few lines


class Node(NamedTuple):
    """One use of a layer: which values it reads."""

    layer: Layer
    sources: tuple[int, ...]

    def pick(self, values: Sequence[Any] | Mapping[int, Any]) -> Any:
        """What the layer is given of ``values`` (or of their shapes): one, or for a layer that merges a list."""
        return [values[source] for source in self.sources] if self.layer.merges else values[self.sources[0]]


@dataclass(frozen=True, eq=False)
class Graph:
    """How many inputs there are, the nodes in an order in which they can be computed, and which values come out.

    It does not change: a network that grows gets another one. So what follows from it is found out once.
    """

    inputs: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    @classmethod
    def row(cls, layers: Sequence[Layer]) -> Self:
        """Each layer reads what the one before it made."""
        return cls(1, tuple(Node(layer, (place,)) for place, layer in enumerate(layers)), (len(layers),))

    def followed_by(self, layer: Layer) -> Graph:
        """The same nodes, and one more, which reads the only output and makes it anew."""
        return Graph(self.inputs, (*self.nodes, Node(layer, self.outputs)), (self.inputs + len(self.nodes),))

    @classmethod
    def of(cls, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> Self:
        """What lies between ``inputs`` and ``outputs``. Raises OptionError for inputs that are missing or not used."""
        found = reach(outputs, inputs)
        missing = [tensor for tensor in found if tensor.layer is None and tensor not in inputs]
        unused = [tensor for tensor in inputs if tensor not in found]
        if missing:
            fix = "Every Input that the outputs depend on must be given."
            raise OptionError(explain("inputs that lead to all outputs", f"without {missing}", fix))
        if unused:
            raise OptionError(explain("inputs that the outputs depend on", f"also {unused}", "Leave them out."))
        made = sorted(found - set(inputs), key=lambda tensor: tensor.serial)
        number = {tensor: value for value, tensor in enumerate([*inputs, *made])}
        nodes = tuple(Node(tensor.layer, tuple(number[s] for s in tensor.sources)) for tensor in made if tensor.layer)
        return cls(len(inputs), nodes, tuple(number[tensor] for tensor in outputs))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The graph that a network's ``config()`` describes; its layers are not built.

        Raises OptionError, LookupError, TypeError or ValueError for a description that is none.
        """
        rows = layers_from(config["layers"])
        if "nodes" not in config:
            return cls.row(rows)
        layers = {layer.name: layer for layer in rows}
        nodes = tuple(Node(layers[name], tuple(sources)) for name, sources in config["nodes"])
        used = {node.layer.name for node in nodes}
        if not len(used) == len(layers) == len(rows) or len(nodes) > MOST_LAYERS:
            received = f"{len(used)} layers used of {len(rows)}, in {len(nodes)} nodes"
            raise OptionError(explain(f"layers that are all used, in at most {MOST_LAYERS} nodes", received))
        graph = cls(len(config["input_names"]), nodes, tuple(config["outputs"]))
        graph.check()
        return graph

    def check(self) -> None:
        """Raise OptionError for nodes that read what is not there yet (so also for circles), or too much or little."""
        for place, node in enumerate(self.nodes):
            _check_values(node.sources, self.inputs + place, f"'{node.layer.name}'")
            if not node.layer.merges and len(node.sources) != 1:
                raise OptionError(explain(f"one value for '{node.layer.name}' to read", f"{len(node.sources)}"))
        _check_values(self.outputs, self.inputs + len(self.nodes), "the outputs")
        readers = self.readers
        unread = [value for value in range(self.inputs + len(self.nodes)) if value not in readers]
        if unread:
            raise OptionError(explain("every value to be read", f"nobody reads {unread[:8]}"))

    @property
    def path(self) -> list[Layer]:
        """The layers in the order of data; one that is used twice stands here twice."""
        return [node.layer for node in self.nodes]

    @property
    def is_row(self) -> bool:
        """Each node reads what the one before it made, and nothing else."""
        return self.inputs == 1 and all(node.sources == (place,) for place, node in enumerate(self.nodes))

    @cached_property
    def readers(self) -> Counter[int]:
        """How often each value is read, by nodes or as an output. Found once: not to be changed."""
        return Counter([source for node in self.nodes for source in node.sources] + list(self.outputs))

    @cached_property
    def uses(self) -> tuple[int, ...]:
        """For each node, how often its layer was used before it."""
        seen: Counter[str] = Counter()
        found = []
        for node in self.nodes:
            found.append(seen[node.layer.name])
            seen[node.layer.name] += 1
        return tuple(found)

    def shapes(self, input_shapes: Sequence[Shape]) -> list[Shape]:
        """The shape of every value (no batch axis). Raises ShapeError where a layer cannot take what it reads."""
        shapes = list(input_shapes)
        for node in self.nodes:
            shapes.append(node.layer.output_shape(node.pick(shapes)))
            if math.prod(shapes[-1]) > MOST_NUMBERS:
                expected = f"values of at most {MOST_NUMBERS} numbers"
                raise ShapeError(explain(expected, f"shape {shapes[-1]} from '{node.layer.name}'"))
        return shapes


def described(config: Mapping[str, Any]) -> tuple[Graph, list[Shape]]:
    """The graph of a network from its ``config()``, and the shape of every value (no batch axis)."""
    graph, shape = Graph.from_config(config), config["input_shape"]
    return graph, graph.shapes([tuple(one) for one in (shape if graph.inputs > 1 else [shape])])


def reach(outputs: Sequence[SymbolicTensor], inputs: Sequence[SymbolicTensor] = ()) -> set[SymbolicTensor]:
    """Every tensor that ``outputs`` depend on, themselves included, not looking beyond ``inputs``."""
    found: set[SymbolicTensor] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        if tensor not in found:
            found.add(tensor)
            waiting += [] if tensor in inputs else tensor.sources
    return found


def _check_values(values: Sequence[int], there: int, reader: str) -> None:
    fine = all(type(value) is int and 0 <= value < there for value in values)
    if not values or not fine:
        raise OptionError(explain(f"numbers of values below {there} for {reader} to read", repr(values)[:100]))
