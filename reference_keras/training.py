"""Do two trainings from the same weights, on the same batches, stay together?

In float64 they should agree to rounding for as long as one cares to look. In float32 they part slowly: each step's
rounding enters the next, and no implementation can prevent it. How fast they part is what the report says, step by
step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn import optimizers
from minicnn.errors import OptionError, explain
from minicnn.layers import Dropout
from minicnn.model import Model
from minicnn.shapes import Array
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.reports import StepDrift, TrainingReport
from reference_keras.tolerance import max_error
from reference_keras.twins import keras_loss, keras_optimizer, keras_twin
from reference_keras.weights import keras_variables


def compare_training(
    model: Model,
    batches: Iterable[tuple[Array, Array]],
    *,
    optimizer: str | optimizers.Optimizer = "sgd",
    loss: str | Any = "sparse_categorical_crossentropy",
    dtype: str = "float64",
    compiled: bool = False,
) -> TrainingReport:
    """Train a copy of ``model`` and its Keras twin in ``dtype``, one step per (x, y) of ``batches``; report every step.

    ``compiled`` lets Keras take its steps as one graph, which pays from some dozens of batches of one shape on.
    The model and the optimiser given are left as they are; the optimiser's settings are used, not its state. Raises
    OptionError for a model with active dropout (the two sides draw different masks) and for no batches at all.
    """
    require_no_dropout(model)
    ours = model.astype(dtype)
    settings = optimizers.get(optimizer)
    ours.compile(type(settings)(**settings.config()), loss)
    twin = keras_twin(ours)
    step_keras = _keras_step(twin, ours.optimizer, ours.compiled.loss, dtype, compiled)
    variables = keras_variables(twin)
    steps = []
    for number, (x, y) in enumerate(batches, start=1):
        x = np.asarray(x, dtype=dtype)
        theirs = step_keras(x, y)
        mine = ours.train_on_batch(x, y)["loss"]
        drifts = {address: _distance(array, variables[address].numpy()) for address, array in ours.weights.items()}
        worst = max(drifts, key=lambda address: drifts[address])
        relative = max(max_error(array, variables[address].numpy()) for address, array in ours.weights.items())
        steps.append(
            StepDrift(step=number, ours=mine, keras=theirs, drift=drifts[worst], relative=relative, address=worst)
        )
    if not steps:
        raise OptionError(
            explain("at least one batch to train on", "none", "An iterator may have been used up before.")
        )
    return TrainingReport(dtype=dtype, steps=tuple(steps))


def _keras_step(twin: Any, optimizer: optimizers.Optimizer, loss: Any, dtype: str, compiled: bool) -> Any:
    """A function (x, y) -> loss that takes one step. Keras's train_on_batch would return a running mean, in float32."""
    tensorflow = load_tensorflow()
    keras_side = exact_optimizer(optimizer, twin.trainable_variables, dtype)
    criterion = keras_loss(loss, dtype=dtype)

    def step(x: Any, y: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            value = criterion(y, twin(x, training=True))
        gradients = tape.gradient(value, [variable.value for variable in twin.trainable_variables])
        keras_side.apply(gradients, twin.trainable_variables)
        return value

    run = tensorflow.function(step) if compiled else step
    return lambda x, y: float(run(tensorflow.constant(x), tensorflow.constant(y)))


def exact_optimizer(optimizer: optimizers.Optimizer, variables: list[Any], dtype: str) -> Any:
    """The Keras optimiser with the settings of ``optimizer`` in ``dtype``, built for ``variables``."""
    with floatx(dtype):  # the learning rate is kept in floatx
        twin = keras_optimizer(optimizer)
    for name, value in list(vars(twin).items()):
        # TensorFlow turns a Python float into float32 before it casts: 0.9 would be 0.89999998, also in float64.
        if type(value) is float:
            setattr(twin, name, np.dtype(dtype).type(value))
    with floatx(dtype):
        twin.build(variables)  # only now: Adagrad fills its slots with one of these numbers
    return twin


def _distance(ours: Array, theirs: Array) -> float:
    """max|ours - theirs|, inf where something is NaN."""
    worst = float(np.abs(ours - theirs).max())
    return worst if math.isfinite(worst) else math.inf


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Keras's default number type, for the length of a ``with`` block."""
    config = load_keras().config
    before = config.floatx()
    config.set_floatx(dtype)
    try:
        yield
    finally:
        config.set_floatx(before)


def require_no_dropout(model: Model) -> None:
    """Raise OptionError for a model with a Dropout whose rate is not 0."""
    active = [layer.name for layer in model.layers if isinstance(layer, Dropout) and layer.rate > 0]
    if active:
        raise OptionError(
            explain(
                "a model without dropout, to compare two trainings",
                f"rate > 0 in {', '.join(active)}",
                "minicnn and Keras draw different masks: build it with dropout=0.",
            )
        )
