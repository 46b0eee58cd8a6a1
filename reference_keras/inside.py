"""What Keras computes inside a network: every layer's output, and its gradient. To be laid beside minicnn's.

Predictions alone would not do: two networks may agree at the end and differ on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.model import Model
from minicnn.shapes import Array
from minicnn.study import value_names
from reference_keras.backend import load_tensorflow
from reference_keras.twins import twin_and_values

Arrays = dict[str, Array]


def keras_inside(model: Model, x: Array, dy: Array) -> tuple[Arrays, Arrays]:
    """(every value, its gradient) of Keras's twin of ``model``, under minicnn's names, for a batch ``x``.

    Gradients are those of what has the gradient ``dy`` (in the output's shape). In inference mode, as
    ``minicnn.study.trace`` computes. A value that the output does not depend on has no gradient. Raises OptionError for
    a network of several inputs, and what ``keras_twin`` raises. Memory: the weights, and all values twice.
    """
    if model.graph.inputs > 1:
        raise OptionError(explain("a network of one input", f"'{model.name}' with {model.graph.inputs}"))
    tensorflow = load_tensorflow()
    twin, symbols = twin_and_values(model)
    every: Any = type(twin)(twin.inputs, symbols[1:])
    given = tensorflow.constant(x, dtype=str(model.dtype))
    with tensorflow.GradientTape() as tape:
        tape.watch(given)
        values = [given, *every(given, training=False)]
    (output,) = model.graph.outputs
    found = tape.gradient(values[output], values, output_gradients=tensorflow.constant(dy))
    names = value_names(model)
    gradients = {name: np.asarray(g) for name, g in zip(names, found, strict=True) if g is not None}
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}, gradients
