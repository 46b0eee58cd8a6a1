"""A network on paper: every shape, no numbers. VGG-Face's summary should not wait for 145 million random weights."""

from __future__ import annotations

import numpy as np

from minicnn.layers import LAYERS
from minicnn.models.table import Architecture
from minicnn.sequential import Sequential
from minicnn.shapes import Array


def outline(architecture: Architecture) -> Sequential:
    """The network of a table with all weights zero, in no time and no memory. For looking at, not for computing.

    Each array is one zero, repeated by a stride of 0 and read-only. Raises what ``build`` raises.
    """
    layers = [LAYERS[row.kind](name=row.name, **row.options) for row in architecture.rows]
    zero = np.zeros((), np.float32)
    weights: dict[str, Array] = {}
    shape = architecture.input_shape
    for layer in layers:
        specs = layer.parameter_specs(shape) | layer.state_specs(shape)
        weights |= {f"{layer.name}/{key}": np.broadcast_to(zero, spec.shape) for key, spec in specs.items()}
        shape = layer.output_shape(shape)
    model = Sequential(layers, name=architecture.name)
    model.build(architecture.input_shape, weights)
    return model
