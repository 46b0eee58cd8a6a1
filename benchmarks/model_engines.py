"""One network as a call without arguments, for each engine, and where its weights are afterwards.

Three passes: "forward" is inference up to the logits; "forward+backward" gives the loss and the gradient of every
parameter; "training step" also applies them, with plain SGD. Keras's own way of taking a step is ``train_on_batch``, as
``predict`` is its own way of inference. Arrays and tensors: as in ``layer_engines``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.layer_engines import BACKWARD, COMPILED, EAGER, FORWARD, MINICNN, PREDICT
from minicnn.losses import SparseCategoricalCrossentropy
from minicnn.model import Model
from minicnn.optimizers import SGD
from minicnn.shapes import Array
from minicnn.training import backpropagate, train_step
from reference_keras.backend import load_tensorflow
from reference_keras.twins import keras_loss, keras_optimizer, keras_twin
from reference_keras.weights import keras_variables

TRAINING, TRAIN_ON_BATCH = "training step", "keras-train_on_batch"
ENGINES = {
    FORWARD: (MINICNN, EAGER, PREDICT, COMPILED),
    BACKWARD: (MINICNN, EAGER, COMPILED),
    TRAINING: (MINICNN, EAGER, TRAIN_ON_BATCH, COMPILED),
}
LEARNING_RATE = 1e-3  # small: the same batch is learnt again and again, and the loss must stay finite
LOSS = SparseCategoricalCrossentropy(from_logits=True)


class Timed(NamedTuple):
    """What the clock runs, returning {"y": ...} or {"loss": ..., "d<address>": ...}; and the weights as they are."""

    call: Callable[[], dict[str, Any]]
    weights: Callable[[], dict[str, Array]]


def model_call(engine: str, direction: str, model: Model, x: Array, y: Array, twin: Any = None) -> Timed:
    """The call for one engine, on a copy of ``model``: its own weights stay as they are.

    ``twin``: the Keras model to use, if there is one already; several ways of inference can share it.
    """
    if engine == MINICNN:
        return _minicnn(direction, model, x, y)
    return _keras(engine, direction, keras_twin(model) if twin is None else twin, x, y)


def _minicnn(direction: str, model: Model, x: Array, y: Array) -> Timed:
    if direction == FORWARD:
        return Timed(lambda: {"y": model(x)}, lambda: model.weights)
    if direction == BACKWARD:

        def gradients() -> dict[str, Any]:
            step = backpropagate(model, LOSS, x, y)
            return {"loss": step.loss} | {f"d{address}": gradient for address, gradient in step.gradients.items()}

        return Timed(gradients, lambda: model.weights)
    own = model.astype(str(model.dtype))
    own.compile(SGD(LEARNING_RATE), LOSS)
    return Timed(lambda: {"loss": train_step(own, x, y).loss}, lambda: own.weights)


def _keras(engine: str, direction: str, twin: Any, x: Array, y: Array) -> Timed:
    def weights() -> dict[str, Array]:
        return {address: np.asarray(variable) for address, variable in keras_variables(twin).items()}

    if engine == PREDICT:
        return Timed(lambda: {"y": twin.predict(x, batch_size=len(x), verbose=0)}, weights)
    if engine == TRAIN_ON_BATCH:
        twin.compile(keras_optimizer(SGD(LEARNING_RATE)), keras_loss(LOSS))
        return Timed(lambda: {"loss": twin.train_on_batch(x, y)}, weights)
    makers = {FORWARD: _keras_forward, BACKWARD: _keras_gradients, TRAINING: _keras_training}
    call = makers[direction](twin)
    tensorflow = load_tensorflow()
    inputs, targets = tensorflow.constant(x), tensorflow.constant(y)
    if engine == COMPILED:
        call = tensorflow.function(call)
    return Timed(lambda: call(inputs, targets), weights)


def _keras_forward(twin: Any) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda inputs, targets: {"y": twin(inputs, training=False)}


def _keras_gradients(twin: Any) -> Callable[[Any, Any], dict[str, Any]]:
    tensorflow, criterion = load_tensorflow(), keras_loss(LOSS)
    trainable = {variable.path for variable in twin.trainable_variables}
    variables = {f"d{a}": v.value for a, v in keras_variables(twin).items() if v.path in trainable}

    def call(inputs: Any, targets: Any) -> dict[str, Any]:
        with tensorflow.GradientTape() as tape:
            loss = criterion(targets, twin(inputs, training=True))
        return {"loss": loss} | tape.gradient(loss, variables)

    return call


def _keras_training(twin: Any) -> Callable[[Any, Any], dict[str, Any]]:
    tensorflow, criterion, optimizer = load_tensorflow(), keras_loss(LOSS), keras_optimizer(SGD(LEARNING_RATE))
    optimizer.build(twin.trainable_variables)
    variables = [variable.value for variable in twin.trainable_variables]

    def call(inputs: Any, targets: Any) -> dict[str, Any]:
        with tensorflow.GradientTape() as tape:
            loss = criterion(targets, twin(inputs, training=True))
        optimizer.apply(tape.gradient(loss, variables), twin.trainable_variables)
        return {"loss": loss}

    return call
