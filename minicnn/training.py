"""Training, written out: forward, loss, backward, update; and the loop around it.

    predictions, caches = model.forward(x, context)            every layer returns what its backward must remember
    value, loss_cache   = loss.forward(y, predictions)         one number: how wrong
    dpredictions        = loss.backward(loss_cache)            how the loss changes with each prediction
    _, gradients        = model.backward(dpredictions, caches) the chain rule, from the last layer to the first
    optimizer.apply(model.parameters, gradients)               a step downhill

This file knows of a model only that it has these two passes and named parameters, so every kind of model shares one
loop.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn.callbacks import Callback, History, Trained
from minicnn.data import Batches
from minicnn.errors import OptionError, explain
from minicnn.layers.base import Context, Gradients, Params, Tensors
from minicnn.losses import Loss
from minicnn.metrics import Mean, Metric
from minicnn.ops.apart import keep_apart
from minicnn.shapes import Array

if TYPE_CHECKING:  # a type for readers and checkers only: model.py stands above this file
    from minicnn.model import Model


class Backprop(NamedTuple):
    """One forward and one backward pass: the loss, what was predicted, and every gradient."""

    loss: float
    predictions: Array
    gradients: Gradients
    next_state: Params


def backpropagate(
    model: Model,
    loss: Loss,
    x: Array,
    y: Array,
    sample_weight: Array | None = None,
    context: Context = Context(training=True),  # noqa: B008  (frozen, so one shared default is safe)
) -> Backprop:
    """Loss and gradients for one batch. Changes nothing: not the parameters, not the moving statistics."""
    predictions, caches = model.forward(x, context)
    value, loss_cache = loss.forward(y, predictions, sample_weight)
    next_state = model.next_state(caches)
    _, gradients = model.backward(loss.backward(loss_cache), caches)
    return Backprop(value, predictions, gradients, next_state)


def train_step(model: Model, x: Array, y: Array, sample_weight: Array | None = None) -> Backprop:
    """One step of gradient descent on a compiled model: backpropagate, then update parameters and moving statistics.

    The largest gradients come back as factors (``ops/gradients.py``): only the optimiser multiplies them out.
    """
    keep_apart()
    optimizer, loss = model.compiled.optimizer, model.compiled.loss
    context = Context(training=True, seed=model.seed, step=optimizer.iterations, factored=True, weights_only=True)
    step = backpropagate(model, loss, x, y, sample_weight, context)
    optimizer.apply(model.parameters, step.gradients)
    state = model.state
    for address, value in step.next_state.items():
        state[address][...] = value
    return step


def _logs(loss: Mean, metrics: Iterable[Metric], prefix: str = "") -> dict[str, float]:
    return {f"{prefix}loss": loss.result(), **{f"{prefix}{metric.name}": metric.result() for metric in metrics}}


def _tell(callbacks: Iterable[Callback], moment: str, *about: Any) -> None:
    """Call the method ``moment`` of every callback."""
    for callback in callbacks:
        getattr(callback, moment)(*about)


def _labelled(batches: Batches, epoch: int) -> Iterator[tuple[Array, Array, Array | None]]:
    """The batches of an epoch, which must have targets."""
    for x, y, weight in batches.epoch(epoch):
        if y is None:
            raise OptionError(explain("batches with targets y", "batches of inputs alone", "Batches(x, y)."))
        yield x, y, weight


def fresh(metrics: Sequence[Metric]) -> list[Metric]:
    """The same metrics with nothing counted yet. Everybody who measures takes their own: an evaluation in the middle of
    an epoch must not disturb what the epoch has counted so far."""
    copies = copy.deepcopy(list(metrics))
    for metric in copies:
        metric.reset()
    return copies


def measure(metrics: Sequence[Metric], y: Array, predictions: Array) -> dict[str, float]:
    """What the metrics, each under its name, say of one batch alone."""
    own = fresh(metrics)
    for metric in own:
        metric.update(y, predictions)
    return {metric.name: metric.result() for metric in own}


def train_epoch(model: Model, batches: Batches, epoch: int, callbacks: Sequence[Callback] = ()) -> dict[str, float]:
    """All batches once. Returns the epoch's mean loss and metrics, each as seen *while* the weights were changing.

    Sample weights weigh the loss; metrics count every sample alike, as in Keras. A callback that sets
    ``model.stop_training`` ends the epoch after the batch.
    """
    loss, metrics = Mean(), fresh(model.compiled.metrics)
    for index, (x, y, weight) in enumerate(_labelled(batches, epoch)):
        _tell(callbacks, "on_train_batch_begin", index, {})
        step = train_step(model, x, y, weight)
        loss.update(step.loss, np.array([len(x)]))  # a small last batch must not weigh too much
        for metric in metrics:
            metric.update(y, step.predictions)
        del step  # its gradients are as large as the network: the next step must not find them in memory
        _tell(callbacks, "on_train_batch_end", index, _logs(loss, metrics))
        if callbacks and model.stop_training:
            break
    return _logs(loss, metrics)


def evaluate(model: Model, batches: Batches, prefix: str = "", callbacks: Sequence[Callback] = ()) -> dict[str, float]:
    """Mean loss and metrics over the batches, in inference mode. ``prefix`` is not for callbacks, as in Keras."""
    loss, metrics = Mean(), fresh(model.compiled.metrics)
    _tell(callbacks, "on_test_begin", {})
    for index, (x, y, weight) in enumerate(_labelled(batches, 0)):
        _tell(callbacks, "on_test_batch_begin", index, {})
        predictions = model(x)
        value, _ = model.compiled.loss.forward(y, predictions, weight)
        loss.update(value, np.array([len(x)]))
        for metric in metrics:
            metric.update(y, predictions)
        _tell(callbacks, "on_test_batch_end", index, _logs(loss, metrics))
    _tell(callbacks, "on_test_end", _logs(loss, metrics))
    return _logs(loss, metrics, prefix)


def fit(
    model: Model,
    batches: Batches,
    *,
    epochs: int = 1,
    initial_epoch: int = 0,
    validation: Batches | None = None,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train from ``initial_epoch`` up to ``epochs`` and return the History of every epoch's loss and metrics.

    Which order an epoch has follows from how far training has come, by its number or by the optimiser's steps: two
    calls for one epoch each are one call for two.
    """

    def run_epoch(epoch: int, listeners: Sequence[Callback]) -> dict[str, float]:
        done = model.compiled.optimizer.iterations // len(batches)
        logs = train_epoch(model, batches, max(epoch, done), listeners)
        return logs if validation is None else logs | evaluate(model, validation, "val_", listeners)

    return run_epochs(
        model,
        run_epoch,
        steps=len(batches),
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=callbacks,
        at_least_a_step=True,
    )


def run_epochs(
    model: Trained,
    run_epoch: Callable[[int, Sequence[Callback]], dict[str, float]],
    *,
    steps: int,
    epochs: int,
    initial_epoch: int = 0,
    callbacks: Sequence[Callback] = (),
    at_least_a_step: bool = False,
) -> History:
    """The loop around training, whoever trains: ``run_epoch(epoch, listeners)`` takes the ``steps`` of one epoch and
    returns its numbers; the callbacks hear of it, and may stop it through ``model.stop_training``.

    A callback that stops it in ``on_train_begin`` is heard at once: a training that is resumed may be over already.
    With ``at_least_a_step`` it is heard after the first step, as in Keras's ``fit``.
    """
    history = History()
    listeners = [*callbacks, history]
    for callback in listeners:
        callback.set_model(model)
        callback.set_params({"epochs": epochs, "initial_epoch": initial_epoch, "steps": steps})
    model.stop_training = False
    _tell(listeners, "on_train_begin", {})
    over = model.stop_training and not at_least_a_step
    logs: dict[str, float] = {}
    for epoch in range(0) if over else range(initial_epoch, epochs):
        _tell(listeners, "on_epoch_begin", epoch, {})
        logs = run_epoch(epoch, listeners)
        _tell(listeners, "on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    _tell(listeners, "on_train_end", logs)
    return history


def predict(model: Model, arrays: Sequence[Array], batch_size: int) -> Tensors:
    """Inference in batches, ``arrays`` being the model's inputs; keeps no cache."""
    found = []
    for start in range(0, len(arrays[0]), batch_size):
        batch = [array[start : start + batch_size] for array in arrays]
        found.append(model(batch[0] if len(batch) == 1 else batch))
    if isinstance(found[0], list):  # several outputs, each put together from its batches
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return np.concatenate(found)
