"""Metrics: numbers for people. Training does not use them; they say how well it goes.

    base.py          what a metric is, and how batches are averaged
    accuracy.py      how often the right class came first, or among the first k
    regression.py    how far numbers are off

A loss must have a slope, so it can only be something like "the average surprise". A metric may be what one really
wants to know.
"""

from __future__ import annotations

from minicnn.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    ChosenAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from minicnn.metrics.base import Mean, Metric
from minicnn.metrics.regression import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from minicnn.options import from_identifier

__all__ = [
    "METRICS",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "ChosenAccuracy",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "get",
]

METRICS: dict[str, type[Metric]] = {
    "accuracy": ChosenAccuracy,
    "acc": ChosenAccuracy,
    "exact_accuracy": Accuracy,  # Keras has no word for it, but files need one: see compiled.IN_FILES
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
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):  # "Accuracy" too, as in Keras
        return ChosenAccuracy(identifier)
    metric = from_identifier("a metric", identifier, Metric, METRICS)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric
