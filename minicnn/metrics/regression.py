"""How far numbers are from those they should be."""

from __future__ import annotations

import math

from minicnn.metrics.base import Metric
from minicnn.ops.regression_losses import mean_absolute_error, mean_squared_error
from minicnn.shapes import Array


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
