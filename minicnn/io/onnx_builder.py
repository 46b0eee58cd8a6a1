"""An ONNX graph while it is written: what flows through it, and the nodes and constants that are there so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minicnn.io.channels_first import TO_FIRST, TO_LAST
from minicnn.layers.base import Layer
from minicnn.shapes import Array, Shape


@dataclass(frozen=True)
class Value:
    """What flows: its name in ONNX, its shape as minicnn has it (no batch axis), and whether channels come first.

    ``flattened``: the (H, W, C) whose numbers lie in the order (C, H, W) although the shape is flat.
    """

    name: str
    shape: Shape
    first: bool = False
    flattened: Shape = ()

    def axis(self, axis: int) -> int:
        """An axis as minicnn counts it (batch 0, channels last) -> where it is in ONNX."""
        axis %= len(self.shape) + 1
        return TO_FIRST.index(axis) if self.first else axis


@dataclass
class Builder:
    """Nodes and constants as they come. A layer that is used again adds nodes of new names, the same constants."""

    helper: Any
    dtype: np.dtype[Any]
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    _turned: dict[tuple[str, bool], Value] = field(default_factory=dict)

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        count = self._taken[name] = self._taken.get(name, 0) + 1
        name = name if count == 1 else f"{name}:{count}"
        self.nodes.append(self.helper.make_node(kind, inputs, [f"{name}:y"], name=name, **attributes))
        return f"{name}:y"

    def constant(self, name: str, array: Any, dtype: Any = None) -> str:
        """Add an array that nodes can name."""
        self.constants[name] = np.ascontiguousarray(array, dtype or self.dtype)
        return name

    def turn(self, value: Value, first: bool) -> Value:
        """Pictures with channels first, or last; anything else as it is. Nothing is turned the same way twice."""
        if len(value.shape) != 3 or value.first == first:
            return value
        key = value.name, first
        if key not in self._turned:
            order = TO_FIRST if first else TO_LAST
            name = self.node("Transpose", [value.name], f"{value.name}:{'first' if first else 'last'}", perm=order)
            self._turned[key] = replace(value, name=name, first=first)
        return self._turned[key]


#: (builder, layer, what it reads, its weights) -> what it makes; a layer that merges reads a list
Operator = Callable[[Builder, Layer, Any, Mapping[str, Array]], Value]


def kind(layer: Layer) -> str:
    """The name of its class."""
    return type(layer).__name__
