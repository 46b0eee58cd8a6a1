"""Architectures as tables: a network written down once, and built from there by whoever wants to compute it.

A table is a list of rows, one per layer: what kind it is, what it is called, and its options under Keras's names.
Nothing in it computes. ``build`` makes a minicnn network of it, ``reference_keras`` makes the same network in Keras,
and since both read the same rows, a difference between the two can only be a difference in how layers are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.layers import LAYERS
from minicnn.layers.symbolic import DEFAULT_INPUT
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.shapes import IntOrPair, Shape

INPUT = DEFAULT_INPUT  # what rows call the network's input


class Row(NamedTuple):
    """One layer: its class (a name from ``minicnn.layers.LAYERS``), its own name, its arguments, and what it reads.

    ``reads`` are names of rows above, or INPUT; none means the row just above.
    """

    kind: str
    name: str
    options: Mapping[str, Any] = MappingProxyType({})
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """A network on paper: its name, what it takes (no batch axis), and its layers; the last one gives the output."""

    name: str
    input_shape: Shape
    rows: tuple[Row, ...]

    def reads(self) -> list[tuple[str, ...]]:
        """For each row, the names of what it reads."""
        above = [INPUT, *(row.name for row in self.rows)]
        return [row.reads or (above[place],) for place, row in enumerate(self.rows)]


def conv(name: str, filters: int, size: IntOrPair = 3, **options: Any) -> Row:
    """A convolution that keeps the picture's size (padding "same") unless it strides.

    He's initial values (2015): variance 2 / fan_in keeps the activations of a deep row of ReLUs from fading away.
    """
    defaults = {"filters": filters, "kernel_size": size, "padding": "same", "kernel_initializer": "he_normal"}
    return Row("Conv2D", name, defaults | options)


def relu(name: str) -> Row:
    """max(x, 0), as a layer of its own: its activations can be looked at, and compared."""
    return Row("ReLU", name)


def pool(name: str) -> Row:
    """The largest of each 2x2 block: half the rows and columns. An odd last row or column is dropped (25 -> 12)."""
    return Row("MaxPooling2D", name, {"pool_size": 2})


def dense(name: str, units: int, initializer: str = "he_normal") -> Row:
    """Every output sees every input."""
    return Row("Dense", name, {"units": units, "kernel_initializer": initializer})


def classifier(name: str, classes: int, softmax: bool) -> tuple[Row, ...]:
    """The last rows: one score (logit) per class and, if ``softmax``, "prob", which turns scores into probabilities."""
    scores = dense(name, classes, "glorot_uniform")  # no ReLU follows, so not He's
    return (scores, Row("Softmax", "prob")) if softmax else (scores,)


def unbuilt(architecture: Architecture, *, dtype: str = "float32", seed: int = 0) -> Model:
    """The minicnn network of a table, without weights yet: a Sequential if each row reads the one above, or a Model.

    Raises OptionError for an unknown kind, and for a row that reads what does not stand above it.
    """
    values = {INPUT: 0}
    nodes = []
    for row, names in zip(architecture.rows, architecture.reads(), strict=True):
        if row.kind not in LAYERS:
            raise OptionError(explain(f"a layer kind among {', '.join(LAYERS)}", f"{row.kind!r} in row '{row.name}'"))
        if missing := [name for name in names if name not in values]:
            raise OptionError(explain(f"names of rows above '{row.name}' for it to read", ", ".join(missing)))
        nodes.append([row.name, [values[name] for name in names]])
        values[row.name] = len(values)
    config = {
        "name": architecture.name,
        "dtype": dtype,
        "seed": seed,
        "input_names": [INPUT],
        "layers": [{"class_name": row.kind, "config": {"name": row.name, **row.options}} for row in architecture.rows],
        "nodes": nodes,
        "outputs": [len(nodes)],
    }
    in_a_row = all(sources == [place] for place, (_, sources) in enumerate(nodes))
    return Sequential.from_config(config) if in_a_row else Model.from_config(config)


def build(architecture: Architecture, *, dtype: str = "float32", seed: int = 0) -> Model:
    """The minicnn network of a table, its initial weights from ``seed``. Raises as ``unbuilt`` does, and ShapeError."""
    model = unbuilt(architecture, dtype=dtype, seed=seed)
    model.build(architecture.input_shape)
    return model


def picture_shape(shape: Shape, halvings: int) -> Shape:
    """Check ``(rows, columns, channels)`` for a network that halves its picture ``halvings`` times."""
    least = 2**halvings
    whole = all(isinstance(size, int) and not isinstance(size, bool) for size in shape)
    if len(shape) != 3 or not whole or min(shape[:2]) < least or shape[2] < 1:
        raise ShapeError(
            explain(
                f"input_shape (rows, columns, channels) of at least {least}x{least}, for {halvings} halvings",
                f"{shape}",
                "Grey crops are (200, 200, 1), colour ones (200, 200, 3).",
            )
        )
    return tuple(shape)
