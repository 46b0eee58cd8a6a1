"""Unit normalisation: every vector is brought to length 1, so that only its direction is left.

    y = x * s,    s = min(1 / |x|, 1 / epsilon),    |x| = sqrt(sum of x**2 over the axes)

Two descriptions of a face then differ by an angle alone, and distances between any two lie between 0 and 2. Moving x
along itself does not change y, so of the gradient the part along y is taken away:

    dx = s * (dy - y * sum(dy * y))        s * dy where |x| < epsilon, where s is a constant

As Keras computes it, epsilon is 1e-12: the zero vector stays zero. Sums are taken in float64, so the squares of large
float32 numbers do not overflow (in Keras such a vector becomes 0).
Cost: one pass over memory, forward and backward; axes that are not the last ones of x are brought there first, by a
copy. Source: Schroff, Kalenichenko and Philbin 2015 use it for faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.jit import njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.rows import as_rows, from_rows, rows_per_turn
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, splat, store, widen
from minicnn.shapes import Array, whole

EPSILON = 1e-12  # Keras's constant in UnitNormalization


class UnitNormalizationCache(NamedTuple):
    """The output, each vector's factor s, and the axes that a vector lies along."""

    y: Array
    scale: Array  # the shape of x, with the axes as 1
    axes: tuple[int, ...]


def unit_normalization(x: Array, axes: int | Sequence[int] = -1) -> tuple[Array, UnitNormalizationCache]:
    """(N, ...) -> (N, ...), of length 1 along ``axes``, and the cache. Raises ShapeError, DtypeError, OptionError."""
    x = check_batch(x)
    axes = tuple(sorted(check_axes(axes, x.ndim)))
    rows = as_rows(x, axes)
    y = empty(rows.shape, x.dtype)
    scale = np.empty([1 if axis in axes else size for axis, size in enumerate(x.shape)], x.dtype)
    _normalise(2 * x.nbytes, rows, y, scale.reshape(-1))
    y = from_rows(y, x.shape, axes)
    return y, UnitNormalizationCache(y, scale, axes)


def unit_normalization_backward(dy: Array, cache: UnitNormalizationCache) -> Array:
    """The part of dy across y, times s. Raises ShapeError and DtypeError when ``dy`` is not shaped like y."""
    y, scale, axes = cache
    dy = check_upstream(dy, y.shape, y.dtype)
    rows = as_rows(dy, axes)
    dx = empty(rows.shape, y.dtype)
    largest = y.dtype.type(1 / EPSILON)
    _gradients(3 * y.nbytes, rows, as_rows(y, axes), scale.reshape(-1), largest, dx)
    return from_rows(dx, y.shape, axes)


@turns
def _normalise(x: Array, y: Array, scale: Array) -> None:
    """The rows of x (M, K) times ``scale`` (M,), which is found here."""
    K = x.shape[1]
    step = rows_per_turn(K)
    for block in prange(-(-len(x) // step)):
        first, end = block * step, min(len(x), (block + 1) * step)
        for row in range(first, end):
            length = np.sqrt(_sum_of_products(x, x, row * K))
            scale[row] = 1 / (EPSILON if length < EPSILON else length)  # NaN is not less, and stays
        for row in range(first, end):
            for k in range(0, K, lanes(x)):
                number = load(x, row * K + k, K - k)
                store(y, row * K + k, number * splat(scale[row], number), K - k)


@turns
def _gradients(dy: Array, y: Array, scale: Array, largest: float, dx: Array) -> None:
    """dx of every row; a row whose scale is the ``largest`` there is was shorter than epsilon."""
    K = dy.shape[1]
    step = rows_per_turn(K)
    for block in prange(-(-len(dy) // step)):
        for row in range(block * step, min(len(dy), (block + 1) * step)):
            along = 0.0 if scale[row] >= largest else _sum_of_products(dy, y, row * K)
            for k in range(0, K, lanes(y)):
                direction = load(y, row * K + k, K - k)
                across = load(dy, row * K + k, K - k) - splat(along, direction) * direction
                store(dx, row * K + k, splat(scale[row], direction) * across, K - k)


@njit
def _sum_of_products(a: Array, b: Array, at: int) -> Any:
    """Of the numbers of a row, which begins ``at``, in float64."""
    total = splat(0.0, widen(load(a, at, 0)))
    for k in range(0, a.shape[1], lanes(a)):
        left = a.shape[1] - k
        total = widen(load(a, at + k, left)) * widen(load(b, at + k, left)) + total
    return add_up(total)


def check_axes(axes: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One axis or several of an array with ``rank`` axes, counted from 0. The batch, axis 0, is none of them: pictures
    do not know each other. Raises OptionError.
    """
    several = axes if isinstance(axes, (list, tuple)) else (axes,)
    choices = f"1 to {rank - 1}, or -1 to {1 - rank}" if rank > 2 else "1 or -1"
    found = [whole(axis, "an axis", least=1 - rank, fix=f"Choose axes among {choices}.") for axis in several]
    if not found or not all(axis and axis < rank for axis in found):
        raise OptionError(explain(f"axes among {choices}, for inputs with {rank} axes", repr(axes)))
    counted = tuple(axis % rank for axis in found)
    if len(set(counted)) != len(counted):
        raise OptionError(explain("every axis once", repr(axes)))
    return counted
