"""Layer normalisation: every picture, or every pixel, is brought to mean 0 and variance 1 by its own numbers.

    y = gamma * xhat + beta,    xhat = (x - mean) * inverse,    inverse = 1 / sqrt(variance + epsilon)

Mean and variance are taken over ``axes`` (the channels, usually), for each picture and each place in the other axes
separately. Other pictures have no part in it: unlike batch normalisation it is the same in training and inference, and
needs no statistics that move. gamma and beta have one number for each place along the axes. With M numbers per group:

    dbeta, dgamma = sums of dy and of dy * xhat over all groups
    g             = dy * gamma
    dx            = inverse * (g - mean of g - xhat * mean of (g * xhat))          means over the axes

Sums are taken in float64. Cost: one pass over memory, forward and backward; for groups of more than a thousand numbers
dgamma and dbeta take a pass of their own. Axes that are not the last ones of x are brought there first, by a copy.
Source: Ba, Kiros and Hinton 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops import layer_norm_loops as loops
from minicnn.ops.checks import check_batch, check_epsilon, check_upstream
from minicnn.ops.memory import empty
from minicnn.ops.rows import as_rows, from_rows, rows_per_turn
from minicnn.ops.unit_normalization import check_axes
from minicnn.shapes import Array, Shape, check_array, check_same_dtype

FEWEST_ROWS = 16  # of a block that has sums of its own


class LayerNormCache(NamedTuple):
    """The input, gamma, two numbers per group, and the axes that a group lies along."""

    x: Array
    gamma: Array
    mean: Array  # the shape of x, with the axes as 1; so has inverse
    inverse: Array
    axes: tuple[int, ...]


def layer_norm(
    x: Array, gamma: Array, beta: Array, axes: int | Sequence[int] = -1, epsilon: float = 1e-3
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
    rows = as_rows(x, axes)
    y = empty(rows.shape, x.dtype)
    mean, inverse = np.empty((2, len(rows)), x.dtype)
    loops.normalise(2 * x.nbytes, rows, _row(gamma), _row(beta), check_epsilon(epsilon), y, mean, inverse)
    groups = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return from_rows(y, x.shape, axes), LayerNormCache(x, gamma, mean.reshape(groups), inverse.reshape(groups), axes)


def layer_norm_backward(
    dy: Array, cache: LayerNormCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, ...) -> (dx, dgamma, dbeta). What is switched off comes back as None.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    x, gamma, _, _, axes = cache
    mean, inverse = cache.mean.reshape(-1), cache.inverse.reshape(-1)
    rows, gradient = as_rows(x, axes), as_rows(check_upstream(dy, x.shape, x.dtype), axes)
    dx = empty(rows.shape if input_gradient else (0, rows.shape[1]), x.dtype)
    together = rows_per_turn(rows.shape[1])
    few = together < FEWEST_ROWS  # blocks of so few rows would be as large as x together
    partial = np.zeros((0 if few or not parameter_gradients else -(-len(rows) // together), 2, rows.shape[1]))
    work = (2 + input_gradient) * x.nbytes
    loops.gradients(work, gradient, rows, _row(gamma), mean, inverse, dx, partial)
    moved = from_rows(dx, x.shape, axes) if input_gradient else None
    if not parameter_gradients:
        return moved, None, None
    totals = partial.sum(axis=0)
    if few:
        loops.sums_along_columns(2 * x.nbytes, gradient, rows, mean, inverse, totals)
    dgamma, dbeta = totals.astype(x.dtype).reshape(2, *gamma.shape)
    return moved, dgamma, dbeta


def _row(parameter: Array) -> Array:
    """One number for each place along the axes, as they lie in a row of x."""
    return np.ascontiguousarray(parameter).reshape(-1)


def parameter_shape(axes: tuple[int, ...], input_shape: Shape) -> Shape:
    """The shape of gamma and beta for inputs of ``input_shape`` (no batch axis)."""
    return tuple((1, *input_shape)[axis] for axis in sorted(check_axes(axes, len(input_shape) + 1)))
