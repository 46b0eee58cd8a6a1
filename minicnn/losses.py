"""Losses: the one number that training makes smaller.

A loss compares predictions with targets sample by sample (``minicnn.ops.losses`` and ``regression_losses`` have the
formulas) and averages:

    value, cache = loss.forward(targets, predictions, sample_weight)    value = sum(w * losses) / number of losses
    dpredictions = loss.backward(cache)                                 dvalue/dpredictions

The divisor is the number of losses, not the sum of the weights, as in Keras 3 ("sum_over_batch_size"): halving all
weights halves the value, and a sample of weight 0 still counts in the mean.

**From logits or from probabilities?** Without a softmax layer at the end and with ``from_logits=True``, training never
meets the clipping of probabilities. Keras, when a model ends in softmax (or sigmoid), quietly takes the numbers before
it and computes from logits all the same; called on plain arrays it does what is written here. The two agree as long as
no probability is clipped, that is between 1e-7 and 1 - 1e-7.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minicnn.constructors import Explained
from minicnn.errors import DtypeError, ShapeError, explain
from minicnn.given import weights_like
from minicnn.ops import losses as ops
from minicnn.ops import regression_losses as regression
from minicnn.ops.targets import beside, class_indices
from minicnn.ops.triplet import triplet_semi_hard, triplet_semi_hard_backward
from minicnn.options import arguments_of, flag, from_identifier, number
from minicnn.shapes import Array


class MeanCache(NamedTuple):
    """What ``backward`` needs: each sample's share in the mean, and what the formula itself remembers."""

    dlosses: Array  # (N, ...): weight / number of losses
    formula: Any  # an ops.LossCache, or what another formula remembers
    like: tuple[Any, ...]  # shape and dtype of the predictions


class Loss(Explained, ABC):
    """Base class: averages what a subclass computes per sample, and hands back what it says of its gradient.

    ``targets`` are given as they came, but (N,) of predictions (N, 1) as (N, 1).
    """

    written_for_keras: ClassVar[Mapping[str, str]] = {
        "call": "Here losses(targets, predictions) returns one loss per sample and what the gradient needs; "
        "dpredictions(dlosses, that) returns the gradient: nothing is differentiated for you."
    }

    @abstractmethod
    def losses(self, targets: Array, predictions: Array) -> tuple[Array, Any]:
        """(N, ..., K) -> one loss for each (N, ...), and the cache."""

    @abstractmethod
    def dpredictions(self, dlosses: Array, cache: Any) -> Array:
        """(N, ...) -> (N, ..., K): the gradient with respect to the predictions, given that of each loss."""

    def per_sample(self, targets: Array, predictions: Array) -> Array:
        """One loss for each sample, (N, ..., K) -> (N, ...), neither weighted nor averaged."""
        return self.losses(self._given(targets, predictions), predictions)[0]

    def forward(
        self, targets: Array, predictions: Array, sample_weight: Array | None = None
    ) -> tuple[float, MeanCache]:
        """The mean loss, each sample counted ``sample_weight`` times, and what ``backward`` needs.

        ``predictions`` (N, ..., K) float32 or float64; ``sample_weight`` (N, ...), one per loss, at least 0. Raises
        ShapeError, DtypeError, LabelError and OptionError for what does not fit.
        """
        losses, cache = self.losses(self._given(targets, predictions), predictions)
        if np.shape(losses) != predictions.shape[:-1]:
            expected = f"one loss per sample from {type(self).__name__}.losses, shape {predictions.shape[:-1]}"
            raise ShapeError(explain(expected, f"shape {np.shape(losses)}"))
        weights = np.ones_like(losses) if sample_weight is None else weights_like(sample_weight, losses)
        value = np.sum(losses * weights, dtype=np.float64) / losses.size
        share = (weights / losses.size).astype(predictions.dtype, copy=False)  # losses of one's own may be float64
        return float(value), MeanCache(share, cache, (predictions.shape, predictions.dtype))

    def backward(self, cache: MeanCache) -> Array:
        """The gradient of the mean loss with respect to the predictions, in their shape and dtype."""
        gradient = self.dpredictions(cache.dlosses, cache.formula)
        shape, dtype = cache.like
        found = getattr(gradient, "dtype", type(gradient).__name__)
        if np.shape(gradient) != shape or found != dtype:
            expected = f"a gradient like the predictions from {type(self).__name__}.dpredictions, {shape} of {dtype}"
            fix = "Targets come in the dtype that they were given in."
            kind = ShapeError if np.shape(gradient) != shape else DtypeError
            raise kind(explain(expected, f"{np.shape(gradient)} of {found}", fix))
        return gradient

    def check_targets(self, targets: Array, output_shape: tuple[int, ...]) -> None:
        """Refuse targets, all of a data set, that cannot be; most losses see for themselves, batch by batch."""

    def _given(self, targets: Any, predictions: Array) -> Any:
        """Targets as ``losses`` gets them."""
        return beside(targets, predictions)

    def config(self) -> dict[str, Any]:
        """The arguments that make this loss again, under Keras's names; those with their default are left out."""
        return arguments_of(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


class CategoricalCrossentropy(Loss):
    """-log of the probability of the right class; targets are one-hot rows (N, ..., K), or other distributions.

    ``label_smoothing`` s in [0, 1] replaces targets y by y * (1 - s) + s / K (Szegedy et al. 2016): certainty is no
    longer worth striving for.
    """

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = flag("from_logits", from_logits)
        self.label_smoothing = number("label_smoothing", label_smoothing, least=0, most=1)

    def _given(self, targets: Any, predictions: Array) -> Any:
        return targets  # one number for a row of classes is a mistake

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, ops.LossCache]:
        formula = ops.categorical_crossentropy_from_logits if self.from_logits else ops.categorical_crossentropy
        return formula(targets, predictions, label_smoothing=self.label_smoothing)

    def dpredictions(self, dlosses: Array, cache: ops.LossCache) -> Array:
        if self.from_logits:
            return ops.categorical_crossentropy_from_logits_backward(dlosses, cache)
        return ops.categorical_crossentropy_backward(dlosses, cache)


class SparseCategoricalCrossentropy(Loss):
    """-log of the probability of the right class; targets are class indices (N, ...) or (N, ..., 1), 0 ... K - 1."""

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = flag("from_logits", from_logits)

    def check_targets(self, targets: Array, output_shape: tuple[int, ...]) -> None:
        """Raises LabelError and ShapeError, with the place of the label in the data."""
        class_indices(targets, np.broadcast_to(np.float32(0), (len(targets), *output_shape)))

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, ops.LossCache]:
        if self.from_logits:
            return ops.sparse_categorical_crossentropy_from_logits(targets, predictions)
        return ops.sparse_categorical_crossentropy(targets, predictions)

    def dpredictions(self, dlosses: Array, cache: ops.LossCache) -> Array:
        if self.from_logits:
            return ops.sparse_categorical_crossentropy_from_logits_backward(dlosses, cache)
        return ops.sparse_categorical_crossentropy_backward(dlosses, cache)


class BinaryCrossentropy(Loss):
    """For K independent yes-or-no questions: targets (N, ..., K) between 0 and 1, or (N,) for one question.

    ``label_smoothing`` s in [0, 1] replaces targets y by y * (1 - s) + s / 2.
    """

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = flag("from_logits", from_logits)
        self.label_smoothing = number("label_smoothing", label_smoothing, least=0, most=1)

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, ops.LossCache]:
        formula = ops.binary_crossentropy_from_logits if self.from_logits else ops.binary_crossentropy
        return formula(targets, predictions, label_smoothing=self.label_smoothing)

    def dpredictions(self, dlosses: Array, cache: ops.LossCache) -> Array:
        if self.from_logits:
            return ops.binary_crossentropy_from_logits_backward(dlosses, cache)
        return ops.binary_crossentropy_backward(dlosses, cache)


class MeanSquaredError(Loss):
    """The mean of (predictions - targets)**2 over the last axis: for numbers instead of classes."""

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, regression.ErrorCache]:
        return regression.mean_squared_error(targets, predictions)

    def dpredictions(self, dlosses: Array, cache: regression.ErrorCache) -> Array:
        return regression.mean_squared_error_backward(dlosses, cache)


class MeanAbsoluteError(Loss):
    """The mean of |predictions - targets| over the last axis: a target far away pulls no harder than one nearby."""

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, regression.ErrorCache]:
        return regression.mean_absolute_error(targets, predictions)

    def dpredictions(self, dlosses: Array, cache: regression.ErrorCache) -> Array:
        return regression.mean_absolute_error_backward(dlosses, cache)


class Huber(Loss):
    """Half the squared error where it is at most ``delta``, beyond that growing like the absolute one (Huber 1964)."""

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = number("delta", delta, above=0)

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, regression.ErrorCache]:
        return regression.huber(targets, predictions, self.delta)

    def dpredictions(self, dlosses: Array, cache: regression.ErrorCache) -> Array:
        return regression.huber_backward(dlosses, cache, self.delta)


class TripletSemiHardLoss(Loss):
    """For embeddings instead of classes: pictures of one person close together, those of two at least ``margin`` apart.

    Targets are class indices (N,), predictions embeddings (N, D) of length 1. The samples of a batch are compared with
    each other, so a batch needs several pictures of several people: ``PeopleBatches``. ``minicnn.ops.triplet`` has the
    formula; distances are squared, so they lie between 0 and 4.
    """

    def __init__(self, margin: float = 0.2) -> None:
        self.margin = number("margin", margin, above=0)

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, Any]:
        return triplet_semi_hard(targets, predictions, self.margin)

    def dpredictions(self, dlosses: Array, cache: Any) -> Array:
        return triplet_semi_hard_backward(dlosses, cache)


LOSSES: dict[str, type[Loss]] = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "huber": Huber,
    "triplet_semi_hard": TripletSemiHardLoss,
}


def get(identifier: object) -> Loss:
    """A loss from its Keras name, from ``{"class_name": ..., "config": loss.config()}``, or itself.

    Raises OptionError, listing the names, for anything unknown.
    """
    return from_identifier("a loss", identifier, Loss, LOSSES)
