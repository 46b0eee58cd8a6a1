"""Unit normalisation: every vector is brought to length 1, so that only its direction is left.

    y = x * s,    s = min(1 / |x|, 1 / epsilon),    |x| = sqrt(sum of x**2 over the axes)

Two descriptions of a face then differ by an angle alone, and distances between any two lie between 0 and 2. Moving x
along itself does not change y, so of the gradient the part along y is taken away:

    dx = s * (dy - y * sum(dy * y))        s * dy where |x| < epsilon, where s is a constant

As Keras computes it, epsilon is 1e-12: the zero vector stays zero. Sums are taken in float64, so the squares of large
float32 numbers do not overflow (in Keras such a vector becomes 0).
Cost: two passes over x. Source: Schroff, Kalenichenko and Philbin 2015 use it for faces.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.shapes import Array

EPSILON = 1e-12  # Keras's constant in UnitNormalization


class UnitNormalizationCache(NamedTuple):
    """The output, each vector's factor s, and the axes that a vector lies along."""

    y: Array
    scale: Array  # the shape of x, with the axes as 1
    axes: tuple[int, ...]


def unit_normalization(x: Array, axes: int | tuple[int, ...] = -1) -> tuple[Array, UnitNormalizationCache]:
    """(N, ...) -> (N, ...), of length 1 along ``axes``, and the cache. Raises ShapeError, DtypeError, OptionError."""
    x = check_batch(x)
    axes = check_axes(axes, x.ndim)
    squares = np.square(x, dtype=np.float64).sum(axis=axes, keepdims=True)
    scale = (1 / np.maximum(np.sqrt(squares), EPSILON)).astype(x.dtype)
    y: Array = x * scale
    return y, UnitNormalizationCache(y, scale, axes)


def unit_normalization_backward(dy: Array, cache: UnitNormalizationCache) -> Array:
    """The part of dy across y, times s. Raises ShapeError and DtypeError when ``dy`` is not shaped like y."""
    y, scale, axes = cache
    dy = check_upstream(dy, y.shape, y.dtype)
    along = np.sum(dy * y, axis=axes, keepdims=True, dtype=np.float64).astype(y.dtype)
    constant = scale >= scale.dtype.type(1 / EPSILON)
    dx: Array = scale * (dy - np.where(constant, 0, along) * y)
    return dx


def check_axes(axes: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One axis or several of an array with ``rank`` axes, counted from 0. The batch, axis 0, is none of them: pictures
    do not know each other. Raises OptionError.
    """
    several = axes if isinstance(axes, tuple) else (axes,)
    if not several or not all(-rank < axis < rank and axis for axis in several):
        choices = f"1 to {rank - 1}, or -1 to {1 - rank}" if rank > 2 else "1 or -1"
        raise OptionError(explain(f"axes among {choices}, for inputs with {rank} axes", repr(axes)))
    counted = tuple(axis % rank for axis in several)
    if len(set(counted)) != len(counted):
        raise OptionError(explain("every axis once", repr(axes)))
    return counted
