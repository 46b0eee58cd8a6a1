"""Normalising channels whose statistics are known: each is moved, stretched and moved again, in one pass.

    y = max(floor, (x - mean) * scale + shift)                scale = gamma / sqrt(variance + epsilon), shift = beta

with mean, scale and shift for each channel, the *factors* (3, C). ``floor`` is 0 for ReLU, minus infinity for none.
The mean is taken off before anything is scaled: x * scale + (shift - mean * scale) would cancel large numbers.

An operation that has just written a few numbers, and knows that they are to be normalised, can do so while they are in
the nearest cache (``normalise_rows``), instead of leaving them to a pass that fetches them from memory again. The
arithmetic is the same, and so are the bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.max_pooling import remains
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, select, splat, store
from minicnn.shapes import Array

ROWS = 64  # per turn of a loop over rows
NARROW = 128  # channels of rows that are taken four at a time; wider ones compete for places of the nearest cache


def factors_of(gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Array:
    """(C,) each -> the factors (3, C) in gamma's dtype, of which the scale is computed in float64."""
    factors = np.empty((3, len(gamma)), gamma.dtype)
    factors[0], factors[2] = mean, beta
    factors[1] = gamma / np.sqrt(variance.astype(np.float64) + epsilon)
    return factors


def no_factors(dtype: np.dtype) -> Array:
    """(3, 0): for a compiled function that shall not normalise."""
    return np.empty((3, 0), dtype)


def add_to_channels(x: Array, shift: Array) -> None:
    """x (..., C) += shift (C,), for a C-contiguous x: the formula above with mean 0 and scale 1."""
    factors = np.stack([np.zeros_like(shift), np.ones_like(shift), shift])
    rows = x.reshape(-1, x.shape[-1])
    normalise(2 * x.nbytes, rows, factors, x.dtype.type(-np.inf), rows)


@turns
def normalise(x: Array, factors: Array, floor: float, y: Array) -> None:
    """The formula above for all of x (M, C), some rows per turn; y may be x."""
    for block in prange(-(-len(x) // ROWS)):
        normalise_rows(x, factors, floor, y, block * ROWS, min(len(x), (block + 1) * ROWS), 0, x.shape[1])


@njit
def normalise_rows(
    x: Array, factors: Array, floor: float, y: Array, first: int, end: int, begin: int, stop: int
) -> None:
    """The same for the rows from ``first`` to ``end``, and of these the channels from ``begin`` to ``stop``."""
    C = x.shape[1]
    fours = (end - first) // 4 if C <= NARROW else 0
    for row in range(first, first + 4 * fours, 4):
        for c in range(begin, stop, lanes(x)):
            at, left = row * C + c, stop - c
            mean, scale, shift = load(factors, c, left), load(factors, C + c, left), load(factors, 2 * C + c, left)
            least = splat(floor, mean)
            x0, x1 = load(x, at, left), load(x, at + C, left)
            x2, x3 = load(x, at + 2 * C, left), load(x, at + 3 * C, left)
            store(y, at, _normalised(x0, mean, scale, shift, least), left)
            store(y, at + C, _normalised(x1, mean, scale, shift, least), left)
            store(y, at + 2 * C, _normalised(x2, mean, scale, shift, least), left)
            store(y, at + 3 * C, _normalised(x3, mean, scale, shift, least), left)
    for row in range(first + 4 * fours, end):
        for c in range(begin, stop, lanes(x)):
            at, left = row * C + c, stop - c
            mean, scale, shift = load(factors, c, left), load(factors, C + c, left), load(factors, 2 * C + c, left)
            store(y, at, _normalised(load(x, at, left), mean, scale, shift, splat(floor, mean)), left)


@njit
def normalise_and_halve(x: Array, at: int, row: int, C: int, factors: Array, floor: float, y: Array, to: int) -> None:
    """The largest of 2x2 pixels with C channels, after normalising: the first begins ``at``, the one below it a ``row``
    further on. Each number is read once, and what is between the two steps is not written."""
    for c in range(0, C, lanes(x)):
        left = C - c
        mean, scale, shift = load(factors, c, left), load(factors, C + c, left), load(factors, 2 * C + c, left)
        least = splat(floor, mean)
        best = _normalised(load(x, at + c, left), mean, scale, shift, least)
        value1 = _normalised(load(x, at + C + c, left), mean, scale, shift, least)
        value2 = _normalised(load(x, at + row + c, left), mean, scale, shift, least)
        value3 = _normalised(load(x, at + row + C + c, left), mean, scale, shift, least)
        best = select(remains(best, value1), best, value1)
        best = select(remains(best, value2), best, value2)
        best = select(remains(best, value3), best, value3)
        store(y, to + c, best, left)


@inline
def _normalised(value: Any, mean: Any, scale: Any, shift: Any, least: Any) -> Any:
    value = (value - mean) * scale + shift
    return select(value <= least, least, value)  # NaN is not below, and stays
