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
float64, in blocks of rows of a fixed size: the result does not depend on the number of threads. Nothing here costs
more than reading and writing: x is read twice forward, x and dy twice backward. Source: Ioffe and Szegedy 2015.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.checks import check_batch, check_epsilon, check_upstream
from minicnn.ops.column_sums import column_products
from minicnn.ops.gemm import floor_of
from minicnn.ops.jit import njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.moments import channel_moments
from minicnn.ops.normalising import ROWS, factors_of, normalise
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, store
from minicnn.shapes import Array, check_array, check_same_dtype


class BatchNormCache(NamedTuple):
    """The input, and three numbers per channel. ``batch_statistics`` says whether mean and variance came from x.

    The batch's own variance stays in float64, as y was made with it: in float32 it is infinite from numbers of 2e19 on,
    and the gradients would be those of another y.
    """

    x: Array
    gamma: Array
    mean: Array
    exact_variance: Array
    epsilon: float
    batch_statistics: bool

    @property
    def variance(self) -> Array:
        """(C,) in the dtype of x, as the moving statistics keep it."""
        return self.exact_variance.astype(self.x.dtype, copy=False)


def batch_norm_training(
    x: Array, gamma: Array, beta: Array, epsilon: float = 1e-3, *, relu: bool = False
) -> tuple[Array, BatchNormCache]:
    """(N, ..., C), (C,), (C,) -> (N, ..., C), normalised with the batch's own statistics, which the cache holds.

    Two passes over x. ``relu`` cuts the result off at 0 while it is written; ``batch_norm_backward`` then expects the
    gradient that ``relu_backward`` returned. Raises ShapeError, DtypeError, OptionError.
    """
    x = _checked(x, epsilon, gamma=gamma, beta=beta)
    mean, variance = channel_moments(x)
    cache = BatchNormCache(x, gamma, mean.astype(x.dtype), variance, epsilon, batch_statistics=True)
    return _normalise(x, factors_of(gamma, beta, mean, variance, epsilon), relu), cache


def batch_norm_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    epsilon: float = 1e-3,
    *,
    relu: bool = False,
) -> tuple[Array, BatchNormCache]:
    """(N, ..., C) and four arrays (C,) -> (N, ..., C), normalised with the given statistics.

    One pass over x. ``relu`` as in training. Raises ShapeError, DtypeError, OptionError.
    """
    x = _checked(x, epsilon, gamma=gamma, beta=beta, mean=mean, variance=variance)
    cache = BatchNormCache(x, gamma, mean, variance, epsilon, batch_statistics=False)
    return _normalise(x, factors_of(gamma, beta, mean, variance, epsilon), relu), cache


def batch_norm_backward(
    dy: Array, cache: BatchNormCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, ..., C) -> (dx, dgamma, dbeta). What is switched off comes back as None.

    Two passes over x and dy; of inference, dx alone is one over dy. Raises ShapeError and DtypeError when ``dy`` is
    not shaped like y.
    """
    x, gamma, mean, variance, epsilon, batch_statistics = cache
    dy = check_upstream(dy, x.shape, x.dtype)
    M = x.size // x.shape[-1]
    inverse = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    scale = (gamma * inverse).astype(x.dtype)
    dx = None
    if input_gradient and not batch_statistics:
        zero = np.zeros_like(scale)
        dx = _normalise(dy, np.stack([zero, scale, zero]), relu=False)
    if not (batch_statistics or parameter_gradients):
        return dx, None, None  # x has no part in it, and is not read
    dbeta, products = column_products(dy, x, mean.astype(np.float64))
    dgamma = products * inverse
    if input_gradient and batch_statistics:
        offset, slope = (dbeta / M).astype(x.dtype), (inverse * dgamma / M).astype(x.dtype)
        dx = empty(x.shape, x.dtype)
        _input_gradient(3 * x.nbytes, _rows(dy), _rows(x), scale, offset, mean, slope, _rows(dx))
    if not parameter_gradients:
        return dx, None, None
    return dx, dgamma.astype(x.dtype), dbeta.astype(x.dtype)


def _normalise(x: Array, factors: Array, relu: bool) -> Array:
    y = empty(x.shape, x.dtype)
    normalise(2 * x.nbytes, _rows(x), factors, floor_of(relu, x.dtype), _rows(y))
    return y


@turns
def _input_gradient(dy: Array, x: Array, scale: Array, offset: Array, mean: Array, slope: Array, dx: Array) -> None:
    """dx = scale * (dy - offset - (x - mean) * slope) in one pass; some rows (of M, C) per turn."""
    for block in prange(-(-len(x) // ROWS)):
        _input_gradient_rows(dy, x, scale, offset, mean, slope, dx, block * ROWS, min(len(x), (block + 1) * ROWS))


@njit
def _input_gradient_rows(
    dy: Array,
    x: Array,
    scale: Array,
    offset: Array,
    mean: Array,
    slope: Array,
    dx: Array,
    first: int,
    end: int,
) -> None:
    C = x.shape[1]
    for row in range(first, end):
        for c in range(0, C, lanes(x)):
            at, left = row * C + c, C - c
            common = (load(x, at, left) - load(mean, c, left)) * load(slope, c, left)
            rest = load(dy, at, left) - load(offset, c, left) - common
            store(dx, at, load(scale, c, left) * rest, left)


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])  # (N, ..., C) -> (M, C)


def _checked(x: Array, epsilon: float, **per_channel: Array) -> Array:
    x = check_batch(x, least=2)
    check_channels(x.shape[-1], x, epsilon, **per_channel)
    return x


def check_channels(channels: int, like: Array, epsilon: float, **per_channel: Array) -> None:
    """Every array must be (channels,), of the dtype of ``like``. Raises ShapeError, DtypeError, OptionError."""
    for name, array in per_channel.items():
        check_array(array, name, 1, "(C,)")
        check_same_dtype(array, like, name, "x")
        if array.shape != (channels,):
            raise ShapeError(
                explain(f"{name} of shape ({channels},), one number per channel of x", f"shape {array.shape}")
            )
    check_epsilon(epsilon)
