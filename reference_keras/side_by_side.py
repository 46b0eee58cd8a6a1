"""One network, two engines, the same training: from the same weights, on the same batches, step by step.

minicnn cuts and augments the batches; both engines get the very same arrays, one epoch each in turn, so that whatever
else the machine does hits both alike. Each engine is at its best: minicnn compiled by Numba, Keras by
``train_on_batch``, its own compiled training step. Dropout must be off, because the two draw different masks; then
the two trainings are the same mathematics, and what separates their losses is rounding alone.

``training.compare_training`` asks how the *weights* part, in float64, step by step; this module asks what a person who
trains would ask: which losses, how many right answers, how long.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from minicnn.data import Batches, one_hot
from minicnn.errors import OptionError, explain
from minicnn.layers import Softmax
from minicnn.losses import CategoricalCrossentropy
from minicnn.model import Model
from minicnn.ops.activations import softmax
from minicnn.optimizers import Optimizer
from minicnn.shapes import Array, whole
from reference_keras.tolerance import max_error
from reference_keras.training import require_no_dropout
from reference_keras.twins import keras_loss, keras_optimizer, keras_twin
from reference_keras.weights import keras_variables


@dataclass(frozen=True)
class EngineEpoch:
    """What one engine did in one epoch: each step's loss before its update, the mean accuracy while learning, the
    time.
    """

    losses: tuple[float, ...]
    accuracy: float
    seconds: float

    @property
    def loss(self) -> float:
        """The mean over the epoch's steps."""
        return statistics.fmean(self.losses)


@dataclass(frozen=True)
class Epoch:
    """One epoch in both engines, and how far their weights are apart after it: the worst array's E (see tolerance)."""

    ours: EngineEpoch
    keras: EngineEpoch
    drift: float

    @property
    def loss_difference(self) -> float:
        """The largest |ours - keras| among the epoch's steps."""
        return max(abs(a - b) for a, b in zip(self.ours.losses, self.keras.losses, strict=True))


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Both trainings, and what both networks say of the test pictures: probabilities (N, classes)."""

    epochs: tuple[Epoch, ...]
    ours: Array
    keras: Array
    ours_prediction_seconds: float
    keras_prediction_seconds: float

    @property
    def agreement(self) -> float:
        """The share of test pictures that both networks call the same."""
        return float(np.mean(self.ours.argmax(axis=1) == self.keras.argmax(axis=1)))

    @property
    def loss_difference(self) -> float:
        """The largest |ours - keras| among all steps."""
        return max(epoch.loss_difference for epoch in self.epochs)

    def seconds(self) -> tuple[float, float]:
        """Median time of an epoch, (minicnn, Keras). The first one, in which both compile, only counts when it is
        the only one.
        """
        timed = self.epochs[1:] or self.epochs
        return statistics.median(e.ours.seconds for e in timed), statistics.median(e.keras.seconds for e in timed)

    def to_dict(self) -> dict[str, Any]:
        ours, keras = self.seconds()
        return {
            "epochs": [asdict(epoch) | {"loss_difference": epoch.loss_difference} for epoch in self.epochs],
            "loss_difference": self.loss_difference,
            "drift": self.epochs[-1].drift,
            "agreement": self.agreement,
            "seconds_per_epoch": {"minicnn": ours, "keras": keras},
            "prediction_seconds": {"minicnn": self.ours_prediction_seconds, "keras": self.keras_prediction_seconds},
        }


class _Batch(NamedTuple):
    x: Array
    y: Array


Step = Callable[[Array, Array], tuple[float, float]]  # (x, y) -> (loss, accuracy) of the batch, before the update


def train_side_by_side(
    model: Model,
    batches: Batches,
    test: Array,
    *,
    epochs: int,
    optimizer: Optimizer,
    label_smoothing: float = 0.0,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> SideBySide:
    """Train ``model`` (in place) and its Keras twin for ``epochs``, then let both predict ``test`` (N, ...).

    The model ends in logits, one per class, and the loss is the cross-entropy from logits. (From probabilities it
    would not be the same mathematics: where the model's last layer is a Softmax, Keras's compiled step goes back to
    the logits before it, but an uncompiled one, like minicnn, clips the probabilities.) The batches' targets are class
    indices; both engines get them as one-hot rows, and smooth them (see ``CategoricalCrossentropy``).
    ``on_epoch(number, epoch)`` hears of every epoch, counted from 1. Raises OptionError for a model with active dropout
    or a final Softmax, for a ``label_smoothing`` outside 0..1 and for less than one epoch.
    """
    whole(epochs, "epochs")
    require_no_dropout(model)
    if isinstance(model.path[-1], Softmax):
        fix = "Build the network with softmax=False."
        raise OptionError(explain("a model that ends in logits", f"'{model.path[-1].name}' at its end", fix))
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"])
    twin = keras_twin(model)
    twin.compile(keras_optimizer(optimizer), keras_loss(loss), metrics=["accuracy"])
    variables = keras_variables(twin)
    classes = model.output_shape[-1]
    reports = []
    for number in range(epochs):
        epoch = [_Batch(x, one_hot(np.asarray(y), classes)) for x, y, _ in batches.epoch(number)]
        ours = _run_epoch(_our_step(model), epoch)
        keras = _run_epoch(_keras_step(twin), epoch, before=twin.reset_metrics)
        drift = max(max_error(array, variables[address].numpy()) for address, array in model.weights.items())
        reports.append(Epoch(ours, keras, drift))
        on_epoch(number + 1, reports[-1])
    size = batches.batch_size
    ours_predicted, ours_seconds = _timed(lambda: model.predict(test, size))
    keras_predicted, keras_seconds = _timed(lambda: np.asarray(twin.predict(test, batch_size=size, verbose=0)))
    return SideBySide(
        tuple(reports), softmax(ours_predicted)[0], softmax(keras_predicted)[0], ours_seconds, keras_seconds
    )


def _our_step(model: Model) -> Step:
    def step(x: Array, y: Array) -> tuple[float, float]:
        logs = model.train_on_batch(x, y)
        return logs["loss"], logs["accuracy"]

    return step


def _keras_step(twin: Any) -> Step:
    def step(x: Array, y: Array) -> tuple[float, float]:
        logs = twin.train_on_batch(x, y, return_dict=True)
        return float(logs["loss"]), float(logs["accuracy"])

    return step


def _run_epoch(step: Step, batches: list[_Batch], before: Callable[[], object] = lambda: None) -> EngineEpoch:
    """``before`` each step, off the clock: Keras's metrics are means over all steps since they were last reset."""
    losses, right, seconds = [], 0.0, 0.0
    for x, y in batches:
        before()
        start = time.perf_counter()
        value, accuracy = step(x, y)
        seconds += time.perf_counter() - start
        losses.append(value)
        right += accuracy * len(x)
    return EngineEpoch(tuple(losses), right / sum(len(x) for x, _ in batches), seconds)


def _timed(call: Callable[[], Array]) -> tuple[Array, float]:
    """The second call's time: the first one compiles."""
    call()
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start
