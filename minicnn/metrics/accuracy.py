"""How often a network is right: about a class, about yes or no, among its first k guesses.

Two predictions of one size: the first one counts, as ``argmax`` has it.
"""

from __future__ import annotations

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.metrics.base import Metric
from minicnn.ops.targets import beside, check_predictions, class_indices, like
from minicnn.options import number
from minicnn.shapes import Array, whole


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


class Accuracy(Metric):
    """How often a prediction is the very number of its target, as Keras's class of this name counts.

    That is hardly ever true of scores: for classes the word is meant, ``metrics=["accuracy"]`` (``ChosenAccuracy``).
    """

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name)

    def values(self, targets: Array, predictions: Array) -> Array:
        check_predictions(predictions)
        if np.shape(beside(targets, predictions)) != predictions.shape:
            fix = "metrics=['accuracy'] compares class indices with scores."
            expected = f"targets of the predictions' shape {predictions.shape}"
            raise ShapeError(explain(expected, f"shape {np.shape(targets)}", fix))
        right: Array = like(targets, predictions) == predictions
        return right


class ChosenAccuracy(Metric):
    """What Keras means by the word "accuracy": a kind that follows from the shapes of the batch.

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
