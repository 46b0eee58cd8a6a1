"""Batch normalisation: every channel is brought to mean 0 and variance 1, then to a learned scale and offset.

    y = gamma * (x - mean) * inverse + beta              inverse = 1 / sqrt(variance + epsilon), everything per channel

In **training**, mean and variance are those of the batch, over all axes but the last (M numbers per channel). They
depend on x, so every number of a channel has a part in the gradient of every other one. With
xhat = (x - mean) * inverse:

    dbeta  = sum of dy
    dgamma = sum of dy * xhat
    dx     = gamma * inverse * (dy - dbeta / M - xhat * dgamma / M)

The two terms that are subtracted are what dy has in common with a constant and with xhat: moving a whole channel up,
or stretching it, changes nothing, because the normalisation takes it back. In **inference**, mean and variance are
given numbers, and only dx = gamma * inverse * dy is left.

The variance is the mean squared distance from the mean (divided by M, not M - 1), as in Keras. Sums are taken in
float64, in blocks of rows of a fixed size: the result does not depend on the number of threads. Source: Ioffe and
Szegedy 2015.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.jit import njit_parallel, prange
from minicnn.shapes import Array, check_array, check_same_dtype

BLOCK = 1024  # rows per partial sum


class BatchNormCache(NamedTuple):
    """The input, and four numbers per channel. ``batch_statistics`` says whether mean and variance came from x."""

    x: Array
    gamma: Array
    mean: Array
    variance: Array
    epsilon: float
    batch_statistics: bool


def batch_norm_training(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-3) -> tuple[Array, BatchNormCache]:
    """(N, ..., C), (C,), (C,) -> (N, ..., C), normalised with the batch's own statistics, which the cache holds.

    Three passes over x. Raises ShapeError, DtypeError, OptionError.
    """
    x = _checked(x, epsilon, gamma=gamma, beta=beta)
    rows = _rows(x)
    M = len(rows)
    zero = np.zeros(x.shape[-1])
    mean = _channel_sums(rows, zero, rows, zero)[0] / M
    rest, squares = _channel_sums(rows, mean, rows, mean)
    # rest would be 0 but for the rounding of the mean; taking it out of the squares leaves the variance exact to the
    # last digits
    variance = (squares - rest * rest / M) / M
    cache = BatchNormCache(x, gamma, mean.astype(x.dtype), variance.astype(x.dtype), epsilon, batch_statistics=True)
    return _normalise(x, gamma, beta, mean, variance, epsilon), cache


def batch_norm_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float = 1e-3
) -> tuple[Array, BatchNormCache]:
    """(N, ..., C) and four arrays (C,) -> (N, ..., C), normalised with the given statistics.

    One pass over x. Raises ShapeError, DtypeError, OptionError.
    """
    x = _checked(x, epsilon, gamma=gamma, beta=beta, mean=mean, variance=variance)
    cache = BatchNormCache(x, gamma, mean, variance, epsilon, batch_statistics=False)
    return _normalise(x, gamma, beta, mean, variance, epsilon), cache


def batch_norm_backward(
    dy: Array, cache: BatchNormCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, ..., C) -> (dx, dgamma, dbeta). What is switched off comes back as None. Two passes over x and dy.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    x, gamma, mean, variance, epsilon, batch_statistics = cache
    dy = check_upstream(dy, x.shape, x.dtype)
    M = x.size // x.shape[-1]
    centre = mean.astype(np.float64)
    inverse = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    dbeta, products = _channel_sums(_rows(dy), np.zeros(len(mean)), _rows(x), centre)
    dgamma = products * inverse
    dx = None
    if input_gradient:
        scale = (gamma * inverse).astype(x.dtype)
        if batch_statistics:
            offset, slope = (dbeta / M).astype(x.dtype), (inverse * dgamma / M).astype(x.dtype)
            dx = np.empty(x.shape, x.dtype)
            _input_gradient(_rows(dy), _rows(x), scale, offset, mean, slope, dx.reshape(-1, len(mean)))
        else:
            dx = dy * scale
    if not parameter_gradients:
        return dx, None, None
    return dx, dgamma.astype(x.dtype), dbeta.astype(x.dtype)


def _normalise(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Array:
    """The mean is taken off before anything is scaled: x * scale + (beta - mean * scale) would cancel large numbers."""
    scale = gamma / np.sqrt(variance.astype(np.float64) + epsilon)
    y = np.empty(x.shape, x.dtype)
    _scale_and_shift(_rows(x), mean.astype(x.dtype), scale.astype(x.dtype), beta, y.reshape(-1, len(mean)))
    return y


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])  # (N, ..., C) -> (M, C)


def _channel_sums(a: Array, a_centre: Array, b: Array, b_centre: Array) -> tuple[Array, Array]:
    """Per channel, in float64: the sum of (a - a_centre), and the sum of (a - a_centre) * (b - b_centre)."""
    partial = np.zeros((-(-len(a) // BLOCK), 2, a.shape[1]))
    _block_sums(a, a_centre, b, b_centre, partial)
    sums, products = partial.sum(axis=0)
    return sums, products


@njit_parallel
def _block_sums(a: Array, a_centre: Array, b: Array, b_centre: Array, partial: Array) -> None:
    """One block of rows per turn. ``partial`` (blocks, 2, C) comes in as zeros."""
    for block in prange(len(partial)):
        for row in range(block * BLOCK, min(len(a), (block + 1) * BLOCK)):
            for c in range(a.shape[1]):
                distance = a[row, c] - a_centre[c]
                partial[block, 0, c] += distance
                partial[block, 1, c] += distance * (b[row, c] - b_centre[c])


@njit_parallel
def _scale_and_shift(x: Array, mean: Array, scale: Array, beta: Array, y: Array) -> None:
    """y = (x - mean) * scale + beta in one pass, one row (M, C) per turn."""
    for row in prange(len(x)):
        for c in range(x.shape[1]):
            y[row, c] = (x[row, c] - mean[c]) * scale[c] + beta[c]


@njit_parallel
def _input_gradient(dy: Array, x: Array, scale: Array, offset: Array, mean: Array, slope: Array, dx: Array) -> None:
    """dx = scale * (dy - offset - (x - mean) * slope) in one pass, one row (M, C) per turn."""
    for row in prange(len(x)):
        for c in range(x.shape[1]):
            dx[row, c] = scale[c] * (dy[row, c] - offset[c] - (x[row, c] - mean[c]) * slope[c])


def _checked(x: Array, epsilon: float, **per_channel: Array) -> Array:
    x = check_batch(x, least=2)
    for name, array in per_channel.items():
        check_array(array, name, 1, "(C,)")
        check_same_dtype(array, x, name, "x")
        if array.shape != x.shape[-1:]:
            raise ShapeError(
                explain(f"{name} of shape ({x.shape[-1]},), one number per channel of x", f"shape {array.shape}")
            )
    if not epsilon > 0:
        raise OptionError(explain("epsilon > 0", repr(epsilon), "It keeps a constant channel from dividing by zero."))
    return x
