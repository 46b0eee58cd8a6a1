"""Losses for numbers instead of classes: how far is each prediction off, and in which direction would it be less?

    error e = predictions - targets                          derivative by a prediction, times K
    mean_squared_error    mean(e^2)                          2 e
    mean_absolute_error   mean(|e|)                          the sign of e
    huber                 mean(e^2 / 2    where |e| <= d     e
                               d |e| - d^2 / 2 elsewhere)    d times the sign of e

One wild target in a batch, 100 away where others are 1 away, counts 10,000 times as much as another in the squared
error, 100 times in the absolute one. The price: the slope of |e| is as steep next to the target as far from it, so
small errors never get smaller than a step. Huber's loss has both halves: squared near the target, absolute beyond d.

All formulas are Keras's; K is the length of the last axis, over which the mean is taken. At e = 0 the sign is 0.
(N, ..., K) -> (N, ...); float32 and float64. Cost: one pass forward, one backward. Raised: as in ``ops/losses.py``.
Source: Huber 1964, "Robust Estimation of a Location Parameter".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.ops.losses import check_dlosses
from minicnn.ops.targets import like
from minicnn.shapes import Array


class ErrorCache(NamedTuple):
    """How far predictions are off: predictions - targets."""

    errors: Array


def mean_squared_error(targets: Array, predictions: Array) -> tuple[Array, ErrorCache]:
    """mean((predictions - targets)**2)."""
    errors = predictions - like(targets, predictions)
    return np.square(errors).mean(axis=-1), ErrorCache(errors)


def mean_squared_error_backward(dlosses: Array, cache: ErrorCache) -> Array:
    """2 * (predictions - targets) / K, times dlosses."""
    return _each(2 * cache.errors, dlosses)


def mean_absolute_error(targets: Array, predictions: Array) -> tuple[Array, ErrorCache]:
    """mean(|predictions - targets|)."""
    errors = predictions - like(targets, predictions)
    return np.abs(errors).mean(axis=-1), ErrorCache(errors)


def mean_absolute_error_backward(dlosses: Array, cache: ErrorCache) -> Array:
    """The sign of predictions - targets, by K, times dlosses."""
    return _each(np.sign(cache.errors), dlosses)


def huber(targets: Array, predictions: Array, delta: float = 1.0) -> tuple[Array, ErrorCache]:
    """mean(e**2 / 2 where |e| <= delta, delta * |e| - delta**2 / 2 elsewhere), with e = predictions - targets."""
    errors = predictions - like(targets, predictions)
    size, half = np.abs(errors), errors.dtype.type(0.5)
    with np.errstate(over="ignore", invalid="ignore"):  # of the half that is not taken
        beyond = delta * size - half * errors.dtype.type(delta) ** 2
        each = np.where(size <= delta, half * np.square(errors), beyond)
    return each.mean(axis=-1), ErrorCache(errors)


def huber_backward(dlosses: Array, cache: ErrorCache, delta: float = 1.0) -> Array:
    """predictions - targets, cut off at -delta and delta, by K, times dlosses; NaN for an infinite error."""
    with np.errstate(over="ignore", invalid="ignore"):
        nothing = 0 * (2 * cache.errors)  # or NaN: Keras differentiates both halves, and that of the squares is 0 * inf
    return _each(np.clip(cache.errors, -delta, delta) + nothing, dlosses)


def _each(slopes: Array, dlosses: Array) -> Array:
    """The gradient of losses that are means over the last axis: (N, ..., K), (N, ...) -> (N, ..., K)."""
    check_dlosses(dlosses, slopes)
    gradient: Array = slopes * (dlosses / slopes.shape[-1])[..., None]
    return gradient
