"""What Keras gives in a case of ``minicnn.checking``: the third opinion beside one's own function and minicnn."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.checking.subject import Arguments, Results, Subject
from minicnn.checking.twins import PARAMETER
from minicnn.layers import Dropout, Layer
from minicnn.losses import Loss
from minicnn.optimizers import Optimizer
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.sides import keras_layer_with_weights, run_keras
from reference_keras.training import exact_optimizer
from reference_keras.twins import keras_loss


def keras_results(subject: Subject, arguments: Arguments) -> Results:
    """Keras's results of this case, computed in the dtype of its arrays, under the names of the subject.

    {} for Dropout, whose mask Keras draws itself.
    """
    twin = subject.twin(arguments)
    if isinstance(twin, Dropout):
        return {}
    if isinstance(twin, Layer):
        keras = keras_layer_with_weights(twin, arguments["x"].dtype)
        found = run_keras(keras, arguments["x"], arguments.get("dy"), bool(arguments.get("training", False)))
        return {name: found[name] for name in subject.results if name in found}
    if isinstance(twin, Loss):
        return _loss(twin, arguments, subject.direction)
    return _step(twin, subject, arguments)


def _loss(loss: Loss, arguments: Arguments, direction: str) -> Results:
    tensorflow = load_tensorflow()
    predictions = tensorflow.constant(arguments["y_pred"])
    criterion = keras_loss(loss, dtype=str(arguments["y_pred"].dtype))
    with tensorflow.GradientTape() as tape:
        tape.watch(predictions)
        value = criterion(arguments["y_true"], predictions)
    if direction == "forward":
        return {"loss": np.asarray(value)}
    return {"dy_pred": np.asarray(tape.gradient(value, predictions))}


def _step(optimizer: Optimizer, subject: Subject, arguments: Arguments) -> Results:
    dtype = str(arguments["variable"].dtype)
    variable = load_keras().Variable(arguments["variable"], dtype=dtype, name=PARAMETER)
    twin = exact_optimizer(optimizer, [variable], dtype)
    twin.iterations.assign(int(arguments.get("step", 1)) - 1)
    slots: dict[str, Any] = {
        name: slot for name in subject.results[1:] for slot in twin.variables if slot.name.endswith(f"_{name}")
    }
    for name, slot in slots.items():
        slot.assign(arguments[name])
    twin.apply([load_tensorflow().constant(arguments["gradient"])], [variable])
    return {PARAMETER: variable.numpy()} | {name: slot.numpy() for name, slot in slots.items()}
