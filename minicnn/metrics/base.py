"""What a metric is: the weighted mean of what it finds in each sample.

    metric.update(targets, predictions, sample_weight)      after every batch
    metric.result()                                         the weighted mean of all batches since reset()

Sums are kept in float64; Keras keeps them in float32, which stops counting at 16 million samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from minicnn.constructors import Explained
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.targets import beside
from minicnn.options import arguments_of
from minicnn.shapes import Array


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
