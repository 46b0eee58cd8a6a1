"""Keras layers whose ``call`` is computed by minicnn, gradients included."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minicnn.errors import MinicnnError
from minicnn.layers import LAYERS, Context
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.replay.options import ours
from reference_keras.replay.record import RECORD

DRAWN = {"Dropout"}  # a mask is drawn: which numbers are dropped differs


def layer_shims() -> dict[type[Any], type[Any]]:
    """A subclass for every Keras layer that minicnn has too."""
    keras = load_keras()
    return {cls: _shim(cls, kind) for name, kind in LAYERS.items() if (cls := getattr(keras.layers, name, None))}


def _shim(cls: type[Any], kind: type[Any]) -> type[Any]:
    """``cls`` with minicnn's arithmetic. Symbolic calls, which ask for a shape, and half precision stay Keras's."""

    def call(self: Any, inputs: Any, *arguments: Any, training: Any = None, mask: Any = None, **keywords: Any) -> Any:
        if not _can_compute(inputs):
            given = {name: value for name, value in (("training", training), ("mask", mask)) if value is not None}
            return cls.call(self, inputs, *arguments, **given, **keywords)
        if mask is not None or arguments:
            raise RECORD.refuse(f"minicnn has no masks ({cls.__name__})")
        y = run(self, ours(kind, self, cls), inputs, bool(training))
        RECORD.computed += 1
        activation = getattr(self, "activation", None)
        return activation(y) if activation is not None and cls.__name__ != "Activation" else y

    call.__signature__ = inspect.signature(cls.call)  # type: ignore[attr-defined]  # Keras looks who takes a mask

    def quantize(self: Any, *arguments: Any, **keywords: Any) -> None:
        raise RECORD.refuse("minicnn has no quantized weights")

    methods = {"call": call} | ({"quantize": quantize} if hasattr(cls, "quantize") else {})
    return type(cls.__name__, (cls,), methods | {"__module__": cls.__module__, "__doc__": cls.__doc__})


def _can_compute(inputs: Any) -> bool:
    """Numbers, not symbols, in float32 or float64, and at least one of them."""
    if not hasattr(inputs, "numpy") or not load_tensorflow().is_tensor(inputs):
        return False
    return inputs.dtype.name in ("float32", "float64") and 0 not in inputs.shape


def run(twin: Any, layer: Any, inputs: Any, training: bool) -> Any:
    """minicnn's ``layer`` with the weights of the Keras layer ``twin``, as a differentiable function of both."""
    tensorflow = load_tensorflow()
    variables = {variable.name: variable for variable in twin.weights if variable.name in _names(layer, inputs)}
    values = {name: tensorflow.convert_to_tensor(getattr(twin, name, variable)) for name, variable in variables.items()}
    learned = [name for name in values if not name.startswith("moving")]
    state: dict[str, Any] = {}

    @tensorflow.custom_gradient
    def compute(x: Any, *_: Any) -> Any:
        array = x.numpy()
        weights = {f"{layer.name}/{name}": value.numpy().astype(array.dtype) for name, value in values.items()}
        try:
            layer.restore(array.shape[1:], weights)
            y, cache = layer.forward(array, Context(training=training))
        except MinicnnError as error:
            raise RECORD.refuse(f"minicnn refuses the input: {error}") from error
        state.update(layer.next_state(cache))

        def gradient(dy: Any) -> list[Any]:
            dx, gradients = layer.backward(np.asarray(dy), cache)
            every = [dx, *(gradients.get(name, np.zeros(values[name].shape, array.dtype)) for name in learned)]
            return [tensorflow.constant(each) for each in every]

        return tensorflow.convert_to_tensor(y), gradient

    y = compute(inputs, *(values[name] for name in learned))
    for name, array in state.items():
        variables[name].assign(array)
    return y


def _names(layer: Any, inputs: Any) -> set[str]:
    """The weights that minicnn's layer has for these inputs."""
    shape = tuple(inputs.shape[1:])
    try:
        return set(layer.parameter_specs(shape)) | set(layer.state_specs(shape))
    except MinicnnError as error:
        raise RECORD.refuse(f"minicnn refuses the input: {error}") from error
