"""Targets: what the predictions should have been, checked and brought into the form a formula needs.

A target out of place does the worst kind of damage: nothing stops, and a wrong number comes out. So each form is
checked for what it must be, in one pass over the targets, and the error names the first value that is not, and where.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.errors import LabelError, ShapeError, explain
from minicnn.shapes import Array, check_array


def check_predictions(predictions: Array) -> None:
    """Predictions (N, ..., K), float32 or float64, none of the sizes 0. Raises ShapeError, DtypeError."""
    check_array(predictions, "predictions", max(2, np.ndim(predictions)), "(N, ..., K)")


def class_indices(targets: Array, predictions: Array) -> Array:
    """Targets (N, ...) or (N, ..., 1) as int64 indices (N, ...) of the classes of ``predictions`` (N, ..., K).

    Whole floats are taken as integers. Raises LabelError, naming value, place and range, for an index below 0 or above
    K - 1 (Keras answers NaN) and for a number that is not whole (Keras cuts it off).
    """
    check_predictions(predictions)
    labels, shape, classes = np.asarray(targets), predictions.shape[:-1], predictions.shape[-1]
    if labels.shape == (*shape, 1):
        labels = labels[..., 0]
    if labels.shape != shape:
        fix = "One-hot rows go with categorical_crossentropy." if labels.shape == predictions.shape else ""
        raise ShapeError(explain(f"one class index per prediction, shape {shape}", f"shape {labels.shape}", fix))
    if labels.dtype.kind not in "iufb":
        raise LabelError(explain("class indices as integers", f"dtype {labels.dtype}"))
    # Written so that NaN is wrong as well.
    wrong = ~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))
    _refuse(wrong, labels, f"class indices 0 ... {classes - 1} for {classes} classes")
    return labels.astype(np.int64)


def distributions(targets: Array, predictions: Array, label_smoothing: float) -> Array:
    """Rows that sum to 1, smoothed: y * (1 - s) + s / K. (softmax - t is the gradient only where they do.)"""
    check_predictions(predictions)
    if np.shape(targets) == predictions.shape[:-1]:
        fix = "Class indices go with sparse_categorical_crossentropy."
        raise ShapeError(explain(f"one-hot rows of shape {predictions.shape}", f"shape {np.shape(targets)}", fix))
    rows = like(targets, predictions)
    _refuse(~(rows >= 0), rows, "rows of targets without negative numbers")
    sums = rows.sum(axis=-1)
    _refuse(~(np.abs(sums - 1) <= 1e-3), sums, "rows of targets that sum to 1 (to leave a sample out, weigh it with 0)")
    return rows * (1 - label_smoothing) + label_smoothing / rows.shape[-1] if label_smoothing else rows


def answers(targets: Array, predictions: Array, label_smoothing: float) -> Array:
    """Numbers between 0 and 1, smoothed: y * (1 - s) + s / 2."""
    between = like(targets, predictions)
    _refuse(~((between >= 0) & (between <= 1)), between, "binary targets between 0 (no) and 1 (yes)")
    return between * (1 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else between


def beside(targets: Any, predictions: Array) -> Any:
    """Targets (N,) of predictions (N, 1) as (N, 1), as Keras has it; all others as they are.

    Without it, NumPy would take the difference of every target and every prediction: (N, N).
    """
    shape = getattr(predictions, "shape", None)  # of what is no array: the formula will say so
    return np.asarray(targets)[..., None] if shape == (*np.shape(targets), 1) else targets


def like(targets: Array, predictions: Array) -> Array:
    """Targets in the predictions' dtype and shape. (N,) will do for predictions (N, 1)."""
    check_predictions(predictions)
    converted = np.asarray(targets)
    if converted.dtype.kind not in "iufb":
        raise LabelError(explain("targets as numbers", f"dtype {converted.dtype}"))
    if predictions.shape == (*converted.shape, 1):
        converted = converted[..., None]  # (N,) -> (N, 1)
    if converted.shape != predictions.shape:
        raise ShapeError(
            explain(f"targets of the predictions' shape {predictions.shape}", f"shape {np.shape(targets)}")
        )
    return converted.astype(predictions.dtype)


def _refuse(wrong: Array, values: Array, expected: str) -> None:
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        position = place[0] if len(place) == 1 else place
        raise LabelError(explain(expected, f"{values[place]} at position {position}, {wrong.sum()} wrong in all"))
