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

FLOATS = frozenset({"float32", "float64"})


def layer_shims() -> dict[type[Any], type[Any]]:
    """A subclass for every Keras layer that minicnn has too."""
    keras = load_keras()
    return {cls: _shim(cls, kind) for name, kind in LAYERS.items() if (cls := getattr(keras.layers, name, None))}


def _shim(cls: type[Any], kind: type[Any]) -> type[Any]:
    """``cls`` with minicnn's arithmetic. Symbolic calls, which ask for a shape, and half precision stay Keras's."""

    def call(self: Any, inputs: Any, *arguments: Any, training: Any = None, mask: Any = None, **keywords: Any) -> Any:
        if not _can_compute(inputs) or self.compute_dtype not in FLOATS:
            given = {name: value for name, value in (("training", training), ("mask", mask)) if value is not None}
            return cls.call(self, inputs, *arguments, **given, **keywords)
        if mask is not None or arguments or any(_mask(x) is not None for x in _several(inputs)):
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


def _several(inputs: Any) -> list[Any]:
    """The inputs of a layer that merges, or the one of another."""
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def _mask(x: Any) -> Any:
    return getattr(x, "_keras_mask", None) if load_tensorflow().is_tensor(x) else None


def _can_compute(inputs: Any) -> bool:
    """Numbers, not symbols, all in float32 or all in float64, and at least one of them."""
    several = _several(inputs)
    if not all(hasattr(x, "numpy") and load_tensorflow().is_tensor(x) and 0 not in x.shape for x in several):
        return False
    return several[0].dtype.name in FLOATS and len({x.dtype.name for x in several}) == 1


def run(twin: Any, layer: Any, inputs: Any, training: bool) -> Any:
    """minicnn's ``layer`` with the weights of the Keras layer ``twin``, as a differentiable function of both."""
    tensorflow = load_tensorflow()
    several = _several(inputs)
    shapes = [tuple(x.shape[1:]) for x in several]
    shape: Any = shapes if layer.merges else shapes[0]
    variables = {variable.name: variable for variable in twin.weights if variable.name in _names(layer, shape)}
    values = {name: tensorflow.convert_to_tensor(getattr(twin, name, variable)) for name, variable in variables.items()}
    learned = [name for name in values if not name.startswith("moving")]
    state: dict[str, Any] = {}

    @tensorflow.custom_gradient
    def compute(*given: Any) -> Any:
        arrays = [x.numpy() for x in given[: len(several)]]
        dtype = arrays[0].dtype
        weights = {f"{layer.name}/{name}": value.numpy().astype(dtype) for name, value in values.items()}
        try:
            layer.restore(shape, weights)
            y, cache = layer.forward(arrays if layer.merges else arrays[0], Context(training=training))
        except MinicnnError as error:
            raise RECORD.refuse(f"minicnn refuses the input: {error}") from error
        state.update(layer.next_state(cache))

        def gradient(dy: Any) -> list[Any]:
            dx, gradients = layer.backward(np.asarray(dy), cache)
            learning = (gradients.get(name, np.zeros(values[name].shape, dtype)) for name in learned)
            return [tensorflow.constant(each) for each in (*_several(dx), *learning)]

        return tensorflow.convert_to_tensor(y), gradient

    y = compute(*several, *(values[name] for name in learned))
    for name, array in state.items():
        variables[name].assign(array)
    return y


def _names(layer: Any, shape: Any) -> set[str]:
    """The weights that minicnn's layer has for inputs of this shape."""
    try:
        return set(layer.parameter_specs(shape)) | set(layer.state_specs(shape))
    except MinicnnError as error:
        raise RECORD.refuse(f"minicnn refuses the input: {error}") from error
