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
from minicnn.sequential import Sequential
from minicnn.shapes import IntOrPair, Shape


class Row(NamedTuple):
    """One layer: its class (a name from ``minicnn.layers.LAYERS``), its own name, and its arguments."""

    kind: str
    name: str
    options: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Architecture:
    """A network on paper: its name, what it takes (no batch axis), and its layers from the first to the last."""

    name: str
    input_shape: Shape
    rows: tuple[Row, ...]


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


def build(architecture: Architecture, *, dtype: str = "float32", seed: int = 0) -> Sequential:
    """The minicnn network of a table, its initial weights from ``seed``. Raises OptionError for an unknown kind."""
    for row in architecture.rows:
        if row.kind not in LAYERS:
            raise OptionError(explain(f"a layer kind among {', '.join(LAYERS)}", f"{row.kind!r} in row '{row.name}'"))
    layers = [LAYERS[row.kind](name=row.name, **row.options) for row in architecture.rows]
    return Sequential(layers, input_shape=architecture.input_shape, name=architecture.name, dtype=dtype, seed=seed)


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
