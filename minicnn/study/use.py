"""What a rule may look at when it explains a number: one use of a layer in one pass, what went in and what came out.

A rule picks places; the methods here read the numbers at these places, and note which array they are from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.layers.base import Cache
from minicnn.shapes import Array
from minicnn.study.explanation import Factor, Index, Terms, Worked
from minicnn.study.places import taken


@dataclass(frozen=True, eq=False)
class Use:
    """One node of a network in one pass: its layer, what it read, what it made, and what came back."""

    layer: Any  # each rule knows its own class of layer
    xs: tuple[Array, ...]
    reads: tuple[str, ...]  # the names of the values in ``xs``
    y: Array
    name: str  # of the value y
    cache: Cache
    dy: Array | None = None  # the gradient of y; None in an explanation of the forward pass

    def x(self, positions: Array, source: int = 0) -> Factor:
        """Numbers that the layer read, from ``xs[source]``: "x", or of several inputs "x0", "x1", ..."""
        name = f"x{source}" if len(self.xs) > 1 else "x"
        return Factor(name, taken(self.xs[source], positions), self.reads[source], positions)

    def upstream(self, positions: Array) -> Factor:
        """Numbers of the gradient that arrived at the layer's output."""
        assert self.dy is not None  # whoever explains a gradient has computed one
        return Factor("dy", taken(self.dy, positions), f"d {self.name}", positions)

    def weight(self, key: str, positions: Array) -> Factor:
        """Numbers of one of the layer's own arrays."""
        arrays = self.layer.params | self.layer.state
        return Factor(key, taken(arrays[key], positions), f"{self.layer.name}/{key}", positions)

    def number(self, key: str, *place: int) -> float:
        """One number of one of the layer's own arrays."""
        return float((self.layer.params | self.layer.state)[key][place])


def worked_out(name: str, values: Any) -> Factor:
    """A factor that no array of the network holds, such as the slope of a curve."""
    return Factor(name, np.asarray(values, np.float64).reshape(-1))


@dataclass(frozen=True)
class Rule:
    """How a kind of layer explains itself: an output, an entry of dx, and an entry of each parameter's gradient.

    Indices count all axes, the batch included. ``input_gradient`` also takes the number of the input, for layers that
    merge several.
    """

    forward: Callable[[Use, Index], Worked]
    input_gradient: Callable[[Use, Index, int], Worked]
    parameters: Mapping[str, Callable[[Use, Index], Worked]] = field(default_factory=dict)


def copied(use: Use, positions: Array, formula: str, source: int = 0) -> Worked:
    """An output that is one number of the input, or (no position) none at all."""
    return Worked(formula, (Terms.of(use.x(positions, source)),))


def handed_back(use: Use, positions: Array, formula: str) -> Worked:
    """A gradient that is the sum of the output gradients at ``positions``."""
    return Worked(formula, (Terms.of(use.upstream(positions)),))
