"""One layer as a call without arguments, for each engine: what the clock runs, and nothing else.

minicnn gets NumPy arrays and returns them. Keras gets tensors made beforehand and returns tensors, so that no copy
between the two is on its bill, except through ``predict``, which takes and returns arrays. TensorFlow's operations on a
processor are finished when they return, so a call has nothing left to wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn.layers.base import Context, Layer
from minicnn.shapes import Array
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.parity import keras_layer_with_weights

Call = Callable[[], dict[str, Any]]  # {"y": ..., "dx": ..., "dkernel": ...}

FORWARD, BACKWARD = "forward", "forward+backward"
MINICNN, EAGER, PREDICT, COMPILED = "minicnn", "keras-eager", "keras-predict", "keras-function"
ENGINES = {FORWARD: (MINICNN, EAGER, PREDICT, COMPILED), BACKWARD: (MINICNN, EAGER, COMPILED)}


def layer_call(engine: str, direction: str, layer: Layer, x: Array, dy: Array) -> Call:
    """``direction`` "forward" is inference: y. "forward+backward" is what a training step makes a layer do, in training
    mode: y, dx and the gradient of every parameter.
    """
    if engine == MINICNN:
        return _minicnn_forward(layer, x) if direction == FORWARD else _minicnn_backward(layer, x, dy)
    twin = keras_layer_with_weights(layer, x.dtype)
    if engine == PREDICT:
        return _keras_predict(twin, x)
    call = _keras_forward(twin) if direction == FORWARD else _keras_backward(twin)
    tensorflow = load_tensorflow()
    inputs, upstream = tensorflow.constant(x), tensorflow.constant(dy)
    if engine == COMPILED:
        call = tensorflow.function(call)
    return lambda: call(inputs, upstream)


def _minicnn_forward(layer: Layer, x: Array) -> Call:
    return lambda: {"y": layer(x)}


def _minicnn_backward(layer: Layer, x: Array, dy: Array) -> Call:
    context = Context(training=True)

    def call() -> dict[str, Any]:
        y, cache = layer.forward(x, context)
        dx, gradients = layer.backward(dy, cache)
        return {"y": y, "dx": dx} | {f"d{name}": gradient for name, gradient in gradients.items()}

    return call


def _keras_forward(twin: Any) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda inputs, upstream: {"y": twin(inputs, training=False)}


def _keras_backward(twin: Any) -> Callable[[Any, Any], dict[str, Any]]:
    tensorflow = load_tensorflow()
    variables = {f"d{variable.name}": variable.value for variable in twin.trainable_variables}

    def call(inputs: Any, upstream: Any) -> dict[str, Any]:
        with tensorflow.GradientTape() as tape:
            tape.watch(inputs)
            y = twin(inputs, training=True)
        sources = {"dx": inputs} | variables
        gradients = tape.gradient(y, sources, output_gradients=upstream, unconnected_gradients="zero")
        return {"y": y} | gradients

    return call


def _keras_predict(twin: Any, x: Array) -> Call:
    keras = load_keras()
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype.name), twin])
    return lambda: {"y": model.predict(x, batch_size=len(x), verbose=0)}
