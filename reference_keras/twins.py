"""The same thing in Keras: a layer, a network, an optimiser, a loss.

minicnn's arguments have Keras's names, so a twin is the Keras class of the same name called with the same arguments.
The few exceptions stand in ``minicnn.io.keras_layers``, which Keras's files need too.
"""

from __future__ import annotations

import inspect
from typing import Any

from minicnn.errors import OptionError, explain
from minicnn.io.keras_layers import Row as LayerRow
from minicnn.io.keras_layers import to_keras
from minicnn.layers.base import Layer
from minicnn.models.table import Architecture, Row
from minicnn.sequential import Sequential
from reference_keras.backend import load_keras
from reference_keras.weights import keras_variables


def keras_layer(layer: Layer | Row, *, dtype: str = "float32") -> Any:
    """The Keras layer with the name and the options of ``layer`` (a minicnn layer or a row of a table); not built.

    Raises OptionError when Keras has no layer of that kind.
    """
    keras = load_keras()
    kind, options = to_keras(_row(layer))
    twin = getattr(keras.layers, kind, None)
    if twin is None:
        raise OptionError(explain("a kind of layer that Keras has too", repr(kind)))
    if "data_format" in inspect.signature(twin).parameters:  # whatever keras.json says
        options["data_format"] = "channels_last"
    return twin(dtype=dtype, **options)


def keras_model(architecture: Architecture, *, dtype: str = "float32") -> Any:
    """The Keras model of a table, with Keras's own random weights: see ``weights.to_keras`` for the same ones."""
    layers = [keras_layer(row, dtype=dtype) for row in architecture.rows]
    return _in_a_row(layers, architecture.input_shape, architecture.name, dtype)


def keras_twin(model: Sequential, *, dtype: str | None = None) -> Any:
    """The Keras model with the layers, the names and the weights of ``model``; ``dtype`` None is the model's own.

    Raises StateError for a model that is not built, OptionError for a layer that Keras does not have.
    """
    model.require_built()
    assert model.input_shape is not None
    dtype = dtype or str(model.dtype)
    once = {layer.name: keras_layer(layer, dtype=dtype) for layer in model.layers}
    twin = _in_a_row([once[layer.name] for layer in model.path], model.input_shape, model.name, dtype)
    weights = model.weights
    for address, variable in keras_variables(twin).items():
        variable.assign(weights[address].astype(dtype))
    return twin


def keras_optimizer(optimizer: Any) -> Any:
    """The Keras optimiser with the class name and the settings of a minicnn one; not the state it has gathered.

    Keras keeps these settings in float32; ``training.compare_training`` says what float64 needs.
    """
    optimizers = load_keras().optimizers
    settings = optimizer.config()
    if isinstance(settings.get("learning_rate"), dict):  # {"class_name": ..., "config": ...}: a schedule
        settings["learning_rate"] = optimizers.schedules.deserialize(settings["learning_rate"])
    return getattr(optimizers, type(optimizer).__name__)(**settings)


def keras_loss(loss: Any, *, dtype: str = "float32") -> Any:
    """The Keras loss with the class name and the settings of a minicnn one."""
    losses = load_keras().losses
    return getattr(losses, type(loss).__name__)(dtype=dtype, **loss.config())


def _in_a_row(layers: list[Any], input_shape: tuple[int, ...], name: str, dtype: str) -> Any:
    keras = load_keras()
    inputs = keras.Input(input_shape, dtype=dtype)
    y = inputs
    for layer in layers:
        y = layer(y)
    return keras.Model(inputs, y, name=name)


def _row(layer: Layer | Row) -> LayerRow:
    if isinstance(layer, Row):
        return LayerRow(layer.kind, {"name": layer.name, **layer.options})
    return LayerRow(type(layer).__name__, layer.config())
