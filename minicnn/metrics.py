"""Metrics: numbers for people. Training does not use them; they say how well it goes.

    metric.update(targets, predictions, sample_weight)      after every batch
    metric.result()                                         the weighted mean of all batches since reset()

A loss must have a slope, so it can only be something like "the average surprise". A metric may be what one really
wants to know: how often the right class came first (accuracy), or among the first k. Sums are kept in float64; Keras
keeps them in float32, which stops counting at 16 million samples.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from minicnn.constructors import Explained
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.regression_losses import mean_absolute_error, mean_squared_error
from minicnn.ops.targets import beside, check_predictions, class_indices, like
from minicnn.options import arguments_of, from_identifier, number
from minicnn.shapes import Array, whole


class Mean:
    """The weighted mean of numbers that arrive in batches: sum(w * values) / sum(w), 0 before the first.

    ``sample_weight`` has one weight for each of the leading axes of ``values``; what lies behind them is averaged
    first. Raises ShapeError when the weights do not fit.
    """

    def __init__(self, name: str = "mean") -> None:
        self.name = name
        self.reset()

    def update(self, values: Array | float, sample_weight: Array | None = None) -> None:
        """Take in one batch of values, (N, ...) or a single number."""
        values = np.atleast_1d(np.asarray(values, np.float64))
        weights = np.ones(len(values)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weights.shape == (*values.shape, 1):
            weights = weights[..., 0]
        if weights.ndim == 0 or weights.shape != values.shape[: weights.ndim]:
            raise ShapeError(explain(f"one sample_weight per value, {values.shape}", f"shape {weights.shape}"))
        values = values.mean(axis=tuple(range(weights.ndim, values.ndim)))
        per_sample = weights[0].size  # with weights (N, H, W), each sample counts as the mean of its H * W
        self.total += float(np.sum(values * weights)) / per_sample
        self.count += float(np.sum(weights)) / per_sample

    def result(self) -> float:
        """The mean so far."""
        return self.total / self.count if self.count else 0.0

    def reset(self) -> None:
        """Forget everything."""
        self.total = 0.0
        self.count = 0.0


class Metric(Explained, ABC):
    """Base class: the mean of what a subclass finds in each sample."""

    written_for_keras: ClassVar[Mapping[str, str]] = {
        "update_state": "Here values(targets, predictions) returns what is averaged, per sample."
    }

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise OptionError(explain("a metric's name as text", repr(name)))
        self.name = name
        self._mean = Mean()

    @abstractmethod
    def values(self, targets: Array, predictions: Array) -> Array:
        """What is averaged: one number for each sample, or several."""

    def update(self, targets: Array, predictions: Array, sample_weight: Array | None = None) -> None:
        """Take in one batch. Raises ShapeError, DtypeError and LabelError for what does not fit; it is not counted."""
        self._mean.update(self.values(beside(targets, predictions), predictions), sample_weight)

    def result(self) -> float:
        """The weighted mean since the last ``reset``; 0 when nothing has come in yet."""
        return self._mean.result()

    def reset(self) -> None:
        """Begin anew, as at the start of an epoch."""
        self._mean.reset()

    def config(self) -> dict[str, Any]:
        """The arguments that make this metric again, under Keras's names; those with their default are left out."""
        return arguments_of(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


class SparseCategoricalAccuracy(Metric):
    """How often the largest prediction (the first of equals) is that of the class index (N, ...) or (N, ..., 1)."""

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def values(self, targets: Array, predictions: Array) -> Array:
        right: Array = class_indices(targets, predictions) == _argmax(predictions)
        return right


class CategoricalAccuracy(Metric):
    """How often the largest prediction and the largest target of a row (the first of equals) are the same class."""

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def values(self, targets: Array, predictions: Array) -> Array:
        right: Array = _argmax(like(targets, predictions)) == _argmax(predictions)
        return right


class BinaryAccuracy(Metric):
    """How often prediction > threshold agrees with the target, 0 or 1. For logits the threshold is 0."""

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = number("threshold", threshold)

    def values(self, targets: Array, predictions: Array) -> Array:
        right: Array = like(targets, predictions) == (predictions > self.threshold)
        return right


class SparseTopKCategoricalAccuracy(Metric):
    """How often fewer than k classes are predicted higher than that of the class index. Equals do not count against it.

    A row with NaN or an infinity counts as a miss, as in TensorFlow.
    """

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = whole(k, "k")

    def values(self, targets: Array, predictions: Array) -> Array:
        return _in_top_k(class_indices(targets, predictions), predictions, self.k)


class TopKCategoricalAccuracy(Metric):
    """``SparseTopKCategoricalAccuracy`` for targets in rows: the class is the largest of the row."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = whole(k, "k")

    def values(self, targets: Array, predictions: Array) -> Array:
        return _in_top_k(_argmax(like(targets, predictions)), predictions, self.k)


class MeanSquaredError(Metric):
    """The mean of (predictions - targets)**2, of all numbers of a sample."""

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(name)

    def values(self, targets: Array, predictions: Array) -> Array:
        return mean_squared_error(targets, predictions)[0]


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of (predictions - targets)**2 over all batches: how far off, large errors counting more."""

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(name)

    def result(self) -> float:
        return math.sqrt(super().result())


class MeanAbsoluteError(Metric):
    """The mean of |predictions - targets|: how far off they are, in their own unit."""

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)

    def values(self, targets: Array, predictions: Array) -> Array:
        return mean_absolute_error(targets, predictions)[0]


class Accuracy(Metric):
    """What Keras means by "accuracy": a kind that follows from the shapes of the batch.

    One prediction per sample: ``BinaryAccuracy``. Class indices for targets: ``SparseCategoricalAccuracy``. Otherwise
    ``CategoricalAccuracy``, also for a network with several yes-or-no outputs: name ``BinaryAccuracy`` there.
    """

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)

    def values(self, targets: Array, predictions: Array) -> Array:
        check_predictions(predictions)
        shape = np.shape(targets)
        kind: Metric
        if predictions.shape[-1] == 1:
            kind = BinaryAccuracy()
        elif len(shape) < predictions.ndim or shape[-1] == 1:
            kind = SparseCategoricalAccuracy()
        else:
            kind = CategoricalAccuracy()
        return kind.values(targets, predictions)


def _argmax(rows: Array) -> Array:
    """The first largest of each row, (N, ..., K) -> (N, ...)."""
    first: Array = np.argmax(rows, axis=-1)
    return first


def _in_top_k(labels: Array, predictions: Array, k: int) -> Array:
    """Fewer than k predictions of the row are greater than the label's: (N, ...), (N, ..., K) -> (N, ...)."""
    own = np.take_along_axis(predictions, labels[..., None], axis=-1)
    in_front = (predictions > own).sum(axis=-1)
    among: Array = (in_front < k) & np.isfinite(predictions).all(axis=-1)
    return among


METRICS: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "root_mean_squared_error": RootMeanSquaredError,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
}


def get(identifier: object) -> Metric:
    """A metric from its Keras name, which it then goes by, from ``{"class_name": ..., "config": ...}``, or itself.

    Raises OptionError, listing the names, for anything unknown.
    """
    metric = from_identifier("a metric", identifier, Metric, METRICS)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric
