"""The loops behind ``activations.softmax``: every row of (M, K) is fetched from memory once.

The formulas are in ``activations``. Sums are float64. Where the vectors of a row end, the lanes that are left count as
minus infinity, of which the exponential is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.exponential import exp
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.rows import TOGETHER, rows_per_turn
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, largest, load, select, splat, store, widen, within
from minicnn.shapes import Array


@turns
def softmax(x: Array, y: Array) -> None:
    """y = e^(x - m) / sum of e^(x - m) with m, the largest number of the row."""
    step = rows_per_turn(x.shape[1])
    for block in prange(-(-len(x) // step)):
        _softmax_rows(x, block * step, min(len(x), (block + 1) * step), y)


@njit
def _softmax_rows(x: Array, first: int, end: int, y: Array) -> None:
    K = x.shape[1]
    known = np.empty(TOGETHER, x.dtype)  # of each row: the largest number, then the sum
    for start in range(first, end, TOGETHER):
        stop = min(end, start + TOGETHER)
        for row in range(start, stop):
            known[row - start] = _largest_of_row(x, row * K)
        for row in range(start, stop):
            known[row - start] = _write_powers(x, row * K, known[row - start], y)
        for row in range(start, stop):
            for k in range(0, K, lanes(x)):
                power = load(y, row * K + k, K - k)
                store(y, row * K + k, power / splat(known[row - start], power), K - k)


@njit
def _largest_of_row(x: Array, at: int) -> Any:
    """NaN may be passed over: it returns in the sum."""
    best = splat(-np.inf, load(x, at, 0))
    for k in range(0, x.shape[1], lanes(x)):
        score = _scores(x, at + k, x.shape[1] - k)
        best = select(best < score, score, best)
    return largest(best)


@njit
def _write_powers(x: Array, at: int, top: float, y: Array) -> Any:
    """Returns their sum."""
    shift = splat(top, load(x, at, 0))
    total = splat(0.0, widen(shift))
    for k in range(0, x.shape[1], lanes(x)):
        left = x.shape[1] - k
        power = exp(_scores(x, at + k, left) - shift)  # inf - inf is NaN, and so is the sum
        store(y, at + k, power, left)
        total = total + widen(power)
    return add_up(total)


@inline
def _scores(x: Array, at: int, left: int) -> Any:
    numbers = load(x, at, left)
    if left < lanes(x):
        numbers = select(within(left, numbers), numbers, splat(-np.inf, numbers))
    return numbers


@turns
def softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """dx = y * (d - sum of y * d), d = dy - dy at the largest y of the row, in float64 and rounded once."""
    step = rows_per_turn(dy.shape[1])
    for block in prange(-(-len(dy) // step)):
        _gradient_rows(dy, y, block * step, min(len(dy), (block + 1) * step), dx)


@njit
def _gradient_rows(dy: Array, y: Array, first: int, end: int, dx: Array) -> None:
    K = dy.shape[1]
    shift, total = np.empty(TOGETHER, dy.dtype), np.empty(TOGETHER)
    for start in range(first, end, TOGETHER):
        stop = min(end, start + TOGETHER)
        for row in range(start, stop):
            shift[row - start] = _at_the_largest(dy, y, row * K)
        for row in range(start, stop):
            total[row - start] = _sum_of_products(dy, y, row * K, shift[row - start])
        for row in range(start, stop):
            _write_gradient(dy, y, row * K, shift[row - start], total[row - start], dx)


@njit
def _sum_of_products(dy: Array, y: Array, at: int, reference: float) -> Any:
    total = splat(0.0, widen(load(y, at, 0)))
    shift = splat(reference, total)
    for k in range(0, dy.shape[1], lanes(y)):
        left = dy.shape[1] - k
        total = widen(load(y, at + k, left)) * (widen(load(dy, at + k, left)) - shift) + total
    return add_up(total)


@njit
def _write_gradient(dy: Array, y: Array, at: int, reference: float, total: float, dx: Array) -> None:
    K = dy.shape[1]
    nothing = widen(load(y, at, 0))
    shift, mean = splat(reference, nothing), splat(total, nothing)
    for k in range(0, K, lanes(y)):
        probability, gradient = widen(load(y, at + k, K - k)), widen(load(dy, at + k, K - k))
        store(dx, at + k, probability * ((gradient - shift) - mean), K - k)


@njit
def _at_the_largest(dy: Array, y: Array, at: int) -> Any:
    """``dy`` where ``y`` is largest. Of several such places, which one depends on how many lanes a vector has: it makes
    a difference to last bits, and to what becomes NaN beside an infinite dy."""
    K = dy.shape[1]
    best = splat(0.0, load(y, at, 0))
    there = best
    for k in range(0, K, lanes(y)):
        probability = load(y, at + k, K - k)
        better = best < probability
        best = select(better, probability, best)
        there = select(better, load(dy, at + k, K - k), there)
    return largest(select(best == splat(largest(best), best), there, splat(-np.inf, there)))
