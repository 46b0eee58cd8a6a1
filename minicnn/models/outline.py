"""A network on paper: every shape, no numbers. VGG-Face's summary should not wait for 145 million random weights."""

from __future__ import annotations

import numpy as np

from minicnn.model import Model
from minicnn.models.table import Architecture, unbuilt


def outline(architecture: Architecture) -> Model:
    """The network of a table with all weights zero, in no time and no memory. For looking at, not for computing.

    Each array is one zero, repeated by a stride of 0 and read-only. Raises what ``build`` raises.
    """
    model, zero = unbuilt(architecture), np.zeros((), np.float32)
    shapes = model.weight_shapes(architecture.input_shape)
    model.build(architecture.input_shape, {address: np.broadcast_to(zero, shape) for address, shape in shapes.items()})
    return model
