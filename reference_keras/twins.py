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
from minicnn.layers import LAYERS, Layer
from minicnn.model import Model
from minicnn.models.table import INPUT, Architecture, Row
from minicnn.network import one_or_all
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
    keras = load_keras()
    inputs = keras.Input(architecture.input_shape, dtype=dtype)
    values = {INPUT: inputs}
    for row, names in zip(architecture.rows, architecture.reads(), strict=True):
        read = [values[name] for name in names]
        values[row.name] = keras_layer(row, dtype=dtype)(read if LAYERS[row.kind].merges else read[0])
    return keras.Model(inputs, values[architecture.rows[-1].name], name=architecture.name)


def keras_twin(model: Model, *, dtype: str | None = None) -> Any:
    """The Keras model with the layers, the names and the weights of ``model``; ``dtype`` None is the model's own.

    Raises StateError for a model that is not built, OptionError for a layer that Keras does not have.
    """
    return twin_and_values(model, dtype=dtype)[0]


def twin_and_values(model: Model, *, dtype: str | None = None) -> tuple[Any, list[Any]]:
    """``keras_twin``, and Keras's symbolic tensor for each value of ``model``, counted as in ``minicnn.graph``."""
    model.require_built()
    keras, dtype = load_keras(), dtype or str(model.dtype)
    layers = {layer.name: keras_layer(layer, dtype=dtype) for layer in model.layers}
    shapes = zip(model.shapes, model.input_names, strict=False)
    values = [keras.Input(shape, dtype=dtype, name=name) for shape, name in shapes]
    inputs = list(values)
    for node in model.graph.nodes:
        values.append(layers[node.layer.name](node.pick(values)))
    outputs = [values[value] for value in model.graph.outputs]
    twin = keras.Model(one_or_all(inputs), one_or_all(outputs), name=model.name)
    weights = model.weights
    for address, variable in keras_variables(twin).items():
        variable.assign(weights[address].astype(dtype))
    return twin, values


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


def _row(layer: Layer | Row) -> LayerRow:
    if isinstance(layer, Row):
        return LayerRow(layer.kind, {"name": layer.name, **layer.options})
    return LayerRow(type(layer).__name__, layer.config())
