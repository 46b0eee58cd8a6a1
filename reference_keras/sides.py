"""One layer, run once, on either side: its output, its gradients, and in training its moving statistics.

Both functions return the same names, minicnn's: ``"y"``, ``"dx"``, ``"dkernel"``, ``"dbias"``, ``"moving_mean"``. For a
layer that merges, x is a list of arrays, and there is a ``"dx0"``, ``"dx1"``, ... for each.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minicnn.layers.base import Context, Layer, Tensors
from minicnn.shapes import Array
from reference_keras.backend import load_tensorflow
from reference_keras.twins import keras_layer

Arrays = dict[str, Array]


def run_minicnn(layer: Layer, x: Tensors, dy: Array | None, training: bool) -> Arrays:
    """{"y", and with dy: "dx", "dkernel", ..., and in training: "moving_mean", ...}"""
    y, cache = layer.forward(x, Context(training=training))
    found = {"y": y}
    if dy is not None:
        dx, gradients = layer.backward(dy, cache)
        assert dx is not None
        found |= _named(dx) | {f"d{name}": gradient for name, gradient in gradients.items()}
    return found | (layer.next_state(cache) if training else {})


def run_keras(twin: Any, x: Tensors, dy: Array | None, training: bool) -> Arrays:
    """The same arrays from a built Keras layer. In training its moving statistics move."""
    tensorflow = load_tensorflow()
    inputs = tensors(x)
    with tensorflow.GradientTape() as tape:
        tape.watch(inputs)
        y = twin(inputs, training=training)
    found = {"y": y.numpy()}
    if dy is not None:
        names = _named(inputs)
        sources = [*names.values(), *(variable.value for variable in twin.trainable_variables)]
        gradients = tape.gradient(y, sources, output_gradients=tensorflow.constant(dy), unconnected_gradients="zero")
        names = [*names, *(f"d{variable.name}" for variable in twin.trainable_variables)]
        found |= {name: gradient.numpy() for name, gradient in zip(names, gradients, strict=True)}
    if training:
        found |= {v.name: v.numpy() for v in twin.non_trainable_variables if v.name.startswith("moving")}
    return found


def tensors(x: Tensors) -> Any:
    """The same numbers for TensorFlow: one tensor, or a list of them."""
    tensorflow = load_tensorflow()
    return [tensorflow.constant(part) for part in x] if isinstance(x, list) else tensorflow.constant(x)


def _named(dx: Any) -> dict[str, Any]:
    return {f"dx{i}": part for i, part in enumerate(dx)} if isinstance(dx, list) else {"dx": dx}


def keras_layer_with_weights(layer: Layer, dtype: Any) -> Any:
    """The Keras twin of a built layer, built for the same input, with the same weights in ``dtype``."""
    twin = keras_layer(layer, dtype=np.dtype(dtype).name)
    shape: Any = layer.input_shape
    twin.build([(None, *each) for each in shape] if layer.merges else (None, *shape))
    weights = layer.params | layer.state
    for variable in twin.weights:
        variable.assign(weights[variable.name].astype(dtype))
    return twin


def in_dtype(layer: Layer, dtype: Any) -> Layer:
    """A copy of the layer whose parameters and state are in ``dtype``."""
    twin = copy.copy(layer)
    twin.params = {name: array.astype(dtype) for name, array in layer.params.items()}
    twin.state = {name: array.astype(dtype) for name, array in layer.state.items()}
    return twin
