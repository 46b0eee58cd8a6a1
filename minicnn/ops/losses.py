"""Losses: how wrong is each prediction, as one number per sample, and how that number changes with the prediction.

    losses, cache = categorical_crossentropy(targets, predictions)      (N, ..., K) -> (N, ...)
    dpredictions  = categorical_crossentropy_backward(dlosses, cache)   (N, ...)    -> (N, ..., K)

Cross-entropy asks what probability p the network gave to what was really there, and charges -log p: nothing for
certainty that was right, without limit for certainty that was wrong. Each of the three cross-entropies comes in two
forms. One takes probabilities, and clips them to [1e-7, 1 - 1e-7], because the logarithm of 0 is infinite; where it
clips, no gradient flows, and a network that is certain and wrong cannot learn its way out. The other takes logits, the
numbers before softmax or sigmoid. It needs no clipping, never overflows, and its gradient is as simple as can be:

    dloss/dlogits = softmax(logits) - targets

All formulas are Keras's. ``K`` is the number of classes (or of outputs), ``s`` the label smoothing. Float32 and
float64; targets are converted to the dtype of the predictions. Cost: one pass over (N, ..., K) forward, one backward.
Raised: ShapeError for shapes that do not fit or an empty batch, DtypeError for predictions that are no floats,
LabelError for targets that no prediction could ever match. NaN in predictions gives NaN. Losses for numbers instead of
classes: ``regression_losses.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.targets import answers, class_indices, distributions
from minicnn.shapes import Array, check_array, check_same_dtype

EPSILON = 1e-7  # Keras's backend.epsilon(): probabilities are kept this far from 0 and from 1


class LossCache(NamedTuple):
    """Targets as the formula saw them (smoothed one-hot rows, or class indices), and what the predictions became."""

    targets: Array
    values: Array  # probabilities or logits; each backward function says which


# -- several classes, one of them right: targets (N, ..., K), rows that sum to 1 ---------------------------------------


def categorical_crossentropy(
    targets: Array, probabilities: Array, *, label_smoothing: float = 0.0
) -> tuple[Array, LossCache]:
    """-sum(t * log(clip(p / sum(p)))), with t = targets * (1 - s) + s / K."""
    smoothed = distributions(targets, probabilities, label_smoothing)
    q = probabilities / probabilities.sum(axis=-1, keepdims=True)
    return -(smoothed * np.log(_clip(q))).sum(axis=-1), LossCache(smoothed, probabilities)


def categorical_crossentropy_backward(dlosses: Array, cache: LossCache) -> Array:
    """-t / q where q = p / sum(p) was not clipped, and back through that division."""
    targets, p = cache
    check_dlosses(dlosses, p)
    total = p.sum(axis=-1, keepdims=True)
    q = p / total
    dq: Array = np.where(_clipped(q), 0, -targets / _clip(q)) * dlosses[..., None]
    dp: Array = (dq - (dq * q).sum(axis=-1, keepdims=True)) / total
    return dp


def categorical_crossentropy_from_logits(
    targets: Array, logits: Array, *, label_smoothing: float = 0.0
) -> tuple[Array, LossCache]:
    """-sum(t * log softmax(logits)), with t = targets * (1 - s) + s / K."""
    smoothed = distributions(targets, logits, label_smoothing)
    log_probabilities = _log_softmax(logits)
    # A class that is no target costs nothing, even if its logit is -inf (0 * inf would be NaN).
    costs = np.multiply(smoothed, log_probabilities, where=smoothed != 0, out=np.zeros_like(logits))
    return -costs.sum(axis=-1), LossCache(smoothed, np.exp(log_probabilities))


def categorical_crossentropy_from_logits_backward(dlosses: Array, cache: LossCache) -> Array:
    """softmax(logits) - t, times dlosses."""
    targets, softmax = cache
    check_dlosses(dlosses, softmax)
    return (softmax - targets) * dlosses[..., None]


# -- the same, with class indices for targets: (N, ...) or (N, ..., 1), integers 0 ... K - 1 ---------------------------


def sparse_categorical_crossentropy(targets: Array, probabilities: Array) -> tuple[Array, LossCache]:
    """log(sum(c)) - log(c[target]), with c = clip(p).

    Keras takes log(c) for logits and applies softmax once more; as softmax(log(c)) = c / sum(c), that is this formula.
    Unlike ``categorical_crossentropy`` it clips before it normalises.
    """
    labels = class_indices(targets, probabilities)
    c = _clip(probabilities)
    return np.log(c.sum(axis=-1)) - np.log(_pick(c, labels)), LossCache(labels, probabilities)


def sparse_categorical_crossentropy_backward(dlosses: Array, cache: LossCache) -> Array:
    """1 / sum(c) for every class, and -1 / c[target] more for the target; 0 where p was clipped."""
    labels, p = cache
    check_dlosses(dlosses, p)
    c = _clip(p)
    dc = np.repeat(1 / c.sum(axis=-1, keepdims=True), c.shape[-1], axis=-1)
    _add_at(dc, labels, -1 / _pick(c, labels))
    return np.where(_clipped(p), 0, dc) * dlosses[..., None]


def sparse_categorical_crossentropy_from_logits(targets: Array, logits: Array) -> tuple[Array, LossCache]:
    """-log softmax(logits)[target]."""
    labels = class_indices(targets, logits)
    log_probabilities = _log_softmax(logits)
    return -_pick(log_probabilities, labels), LossCache(labels, np.exp(log_probabilities))


def sparse_categorical_crossentropy_from_logits_backward(dlosses: Array, cache: LossCache) -> Array:
    """softmax(logits), less 1 at the target, times dlosses."""
    labels, softmax = cache
    check_dlosses(dlosses, softmax)
    dlogits = softmax.copy()
    _add_at(dlogits, labels, np.asarray(-1, softmax.dtype))
    dlogits *= dlosses[..., None]
    return dlogits


# -- K answers, each yes or no: targets (N, ..., K) between 0 and 1 ----------------------------------------------------


def binary_crossentropy(
    targets: Array, probabilities: Array, *, label_smoothing: float = 0.0
) -> tuple[Array, LossCache]:
    """-mean(t * log(c) + (1 - t) * log(1 - c)), with c = clip(p) and t = targets * (1 - s) + s / 2."""
    smoothed = answers(targets, probabilities, label_smoothing)
    c = _clip(probabilities)
    return -(smoothed * np.log(c) + (1 - smoothed) * np.log(1 - c)).mean(axis=-1), LossCache(smoothed, probabilities)


def binary_crossentropy_backward(dlosses: Array, cache: LossCache) -> Array:
    """((1 - t) / (1 - c) - t / c) / K; 0 where p was clipped."""
    targets, p = cache
    check_dlosses(dlosses, p)
    c = _clip(p)
    dp: Array = np.where(_clipped(p), 0, (1 - targets) / (1 - c) - targets / c)
    dp *= (dlosses / p.shape[-1])[..., None]
    return dp


def binary_crossentropy_from_logits(
    targets: Array, logits: Array, *, label_smoothing: float = 0.0
) -> tuple[Array, LossCache]:
    """mean(max(x, 0) - x * t + log(1 + exp(-|x|))): the same as with sigmoid(x), but exp never overflows."""
    smoothed = answers(targets, logits, label_smoothing)
    losses = np.maximum(logits, 0) - logits * smoothed + np.log1p(np.exp(-np.abs(logits)))
    return losses.mean(axis=-1), LossCache(smoothed, logits)


def binary_crossentropy_from_logits_backward(dlosses: Array, cache: LossCache) -> Array:
    """(sigmoid(logits) - t) / K, times dlosses."""
    targets, logits = cache
    check_dlosses(dlosses, logits)
    e = np.exp(-np.abs(logits))  # in (0, 1], whatever the sign
    sigmoid: Array = np.where(logits < 0, e, 1) / (1 + e)
    dlogits: Array = (sigmoid - targets) * (dlosses / logits.shape[-1])[..., None]
    return dlogits


# -- arithmetic shared by several losses -------------------------------------------------------------------------------


def _clip(p: Array) -> Array:
    return np.clip(p, EPSILON, 1 - EPSILON)


def _clipped(p: Array) -> Array:
    """Where a small change of p changes nothing. At the bounds themselves the gradient flows, as in TensorFlow."""
    return (p < EPSILON) | (p > 1 - EPSILON)


def _log_softmax(logits: Array) -> Array:
    """x - log(sum(exp(x))), shifted by the maximum first: then the largest exponent is 0 and nothing overflows."""
    with np.errstate(over="ignore", invalid="ignore"):  # x - max may leave float32's range: -inf then, and exp gives 0
        shifted: Array = logits - logits.max(axis=-1, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def _pick(values: Array, labels: Array) -> Array:
    """values[..., label]: (N, ..., K), (N, ...) -> (N, ...)."""
    return np.take_along_axis(values, labels[..., None], axis=-1)[..., 0]


def _add_at(values: Array, labels: Array, addend: Array) -> None:
    """values[..., label] += addend, in place."""
    np.put_along_axis(values, labels[..., None], (_pick(values, labels) + addend)[..., None], axis=-1)


def check_dlosses(dlosses: Array, predictions: Array) -> None:
    """One for each row of predictions, in their dtype. Raises ShapeError, DtypeError."""
    shape = predictions.shape[:-1]
    check_array(dlosses, "dlosses", len(shape), f"{shape}, one per sample")
    if dlosses.shape != shape:
        raise ShapeError(explain(f"dlosses of shape {shape}, one per sample", f"shape {dlosses.shape}"))
    check_same_dtype(dlosses, predictions, "dlosses", "predictions")
