"""The loops behind ``activations.softmax``: every row of (M, K) is fetched from memory once.

The formulas are in ``activations``. Sums are float64. Where the vectors of a row end, the lanes that are left count as
minus infinity, of which the exponential is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.exponential import exp
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.rows import rows_per_turn
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, largest, load, select, splat, store, widen, within
from minicnn.shapes import Array


@turns
def softmax(x: Array, y: Array) -> None:
    """y = e^(x - m) / sum of e^(x - m) with m, the largest number of the row."""
    step = rows_per_turn(x.shape[1])
    for block in prange(-(-len(x) // step)):
        for row in range(block * step, min(len(x), (block + 1) * step)):
            _softmax_row(x, row * x.shape[1], y)


@njit
def _softmax_row(x: Array, at: int, y: Array) -> None:
    K = x.shape[1]
    best = splat(-np.inf, load(x, at, 0))
    for k in range(0, K, lanes(x)):
        score = _scores(x, at + k, K - k)
        best = select(best < score, score, best)  # NaN may be passed over: it returns in the sum
    top = splat(largest(best), best)
    total = splat(0.0, widen(best))
    for k in range(0, K, lanes(x)):
        power = exp(_scores(x, at + k, K - k) - top)  # inf - inf is NaN, and so is the sum
        store(y, at + k, power, K - k)
        total = total + widen(power)
    whole = splat(add_up(total), best)
    for k in range(0, K, lanes(x)):
        store(y, at + k, load(y, at + k, K - k) / whole, K - k)


@inline
def _scores(x: Array, at: int, left: int) -> Any:
    numbers = load(x, at, left)
    return select(within(left, numbers), numbers, splat(-np.inf, numbers))


@turns
def softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """dx = y * (d - sum of y * d), d = dy - dy at the largest y of the row, in float64 and rounded once."""
    step = rows_per_turn(dy.shape[1])
    for block in prange(-(-len(dy) // step)):
        for row in range(block * step, min(len(dy), (block + 1) * step)):
            _gradient_row(dy, y, row * dy.shape[1], dx)


@njit
def _gradient_row(dy: Array, y: Array, at: int, dx: Array) -> None:
    K = dy.shape[1]
    reference = _at_the_largest(dy, y, at)
    total = splat(0.0, widen(load(y, at, 0)))
    shift = splat(reference, total)
    for k in range(0, K, lanes(y)):
        probability, gradient = widen(load(y, at + k, K - k)), widen(load(dy, at + k, K - k))
        total = probability * (gradient - shift) + total
    mean = splat(add_up(total), total)
    for k in range(0, K, lanes(y)):
        probability, gradient = widen(load(y, at + k, K - k)), widen(load(dy, at + k, K - k))
        store(dx, at + k, probability * ((gradient - shift) - mean), K - k)


@njit
def _at_the_largest(dy: Array, y: Array, at: int) -> Any:
    """``dy`` where ``y`` is largest; of several such places, any will do."""
    K = dy.shape[1]
    best = splat(0.0, load(y, at, 0))
    there = best
    for k in range(0, K, lanes(y)):
        probability = load(y, at + k, K - k)
        better = best < probability
        best = select(better, probability, best)
        there = select(better, load(dy, at + k, K - k), there)
    return largest(select(best == splat(largest(best), best), there, splat(-np.inf, there)))
