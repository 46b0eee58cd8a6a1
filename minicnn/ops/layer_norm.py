"""Layer normalisation: every picture, or every pixel, is brought to mean 0 and variance 1 by its own numbers.

    y = gamma * xhat + beta,    xhat = (x - mean) * inverse,    inverse = 1 / sqrt(variance + epsilon)

Mean and variance are taken over ``axes`` (the channels, usually), for each picture and each place in the other axes
separately. Other pictures have no part in it: unlike batch normalisation it is the same in training and inference, and
needs no statistics that move. gamma and beta have one number for each place along the axes. With M numbers per group:

    dbeta, dgamma = sums of dy and of dy * xhat over all groups
    g             = dy * gamma
    dx            = inverse * (g - mean of g - xhat * mean of (g * xhat))          means over the axes

Sums are taken in float64. Cost: a few passes over x. Source: Ba, Kiros and Hinton 2016.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.unit_normalization import check_axes
from minicnn.shapes import Array, Shape, check_array, check_same_dtype


class LayerNormCache(NamedTuple):
    """The input, gamma, two numbers per group, and the axes that a group lies along."""

    x: Array
    gamma: Array
    mean: Array  # the shape of x, with the axes as 1; so has inverse
    inverse: Array
    axes: tuple[int, ...]


def layer_norm(
    x: Array, gamma: Array, beta: Array, axes: int | tuple[int, ...] = -1, epsilon: float = 1e-3
) -> tuple[Array, LayerNormCache]:
    """(N, ...) -> (N, ...), normalised along ``axes``, and the cache. gamma and beta have just these axes of x.

    Raises ShapeError, DtypeError, OptionError.
    """
    x = check_batch(x, least=2)
    axes = tuple(sorted(check_axes(axes, x.ndim)))
    shape = tuple(x.shape[axis] for axis in axes)
    for name, array in (("gamma", gamma), ("beta", beta)):
        check_array(array, name, len(axes), "one per normalised axis")
        check_same_dtype(array, x, name, "x")
        if array.shape != shape:
            raise ShapeError(explain(f"{name} of shape {shape}, that of the normalised axes", f"shape {array.shape}"))
    mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)
    variance = np.square(x - mean).mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(variance + epsilon)
    cache = LayerNormCache(x, gamma, mean.astype(x.dtype), inverse.astype(x.dtype), axes)
    y: Array = _xhat(cache) * _spread(gamma, axes, x.ndim) + _spread(beta, axes, x.ndim)
    return y, cache


def layer_norm_backward(
    dy: Array, cache: LayerNormCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, ...) -> (dx, dgamma, dbeta). What is switched off comes back as None.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    x, gamma, _, inverse, axes = cache
    dy = check_upstream(dy, x.shape, x.dtype)
    xhat = _xhat(cache)
    dx = None
    if input_gradient:
        g = dy * _spread(gamma, axes, x.ndim)
        common = g.mean(axis=axes, keepdims=True, dtype=np.float64).astype(x.dtype)
        along = (g * xhat).mean(axis=axes, keepdims=True, dtype=np.float64).astype(x.dtype)
        dx = inverse * (g - common - xhat * along)
    if not parameter_gradients:
        return dx, None, None
    return dx, _sum_over_groups(dy * xhat, axes), _sum_over_groups(dy, axes)


def _xhat(cache: LayerNormCache) -> Array:
    xhat: Array = (cache.x - cache.mean) * cache.inverse
    return xhat


def _spread(parameter: Array, axes: tuple[int, ...], rank: int) -> Array:
    """A parameter with 1 where x has its other axes: (H, C), axes (1, 3) -> (1, H, 1, C)."""
    sizes = iter(parameter.shape)
    return parameter.reshape([next(sizes) if axis in axes else 1 for axis in range(rank)])


def _sum_over_groups(values: Array, axes: tuple[int, ...]) -> Array:
    others = tuple(axis for axis in range(values.ndim) if axis not in axes)
    total: Array = values.sum(axis=others, dtype=np.float64).astype(values.dtype)
    return total


def parameter_shape(axes: tuple[int, ...], input_shape: Shape) -> Shape:
    """The shape of gamma and beta for inputs of ``input_shape`` (no batch axis)."""
    return tuple((1, *input_shape)[axis] for axis in sorted(check_axes(axes, len(input_shape) + 1)))
