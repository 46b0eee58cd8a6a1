"""The loops behind ``layer_norm``: every row of (M, K) is fetched from memory once. The formulas are in ``layer_norm``.

Means and sums are float64. What is summed over the rows, the gradients of gamma and beta, is summed for each block of
rows by itself; there are as many blocks whatever the number of threads, so the bits do not depend on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.jit import njit, prange
from minicnn.ops.rows import TOGETHER, rows_per_turn
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, load_like, select, splat, store, widen, within
from minicnn.shapes import Array

COLUMNS = 512  # per turn; their sums stay in the nearest cache


@turns
def normalise(x: Array, gamma: Array, beta: Array, epsilon: float, y: Array, mean: Array, inverse: Array) -> None:
    """y, and mean and inverse (M,) of each row."""
    step = rows_per_turn(x.shape[1])
    for block in prange(-(-len(x) // step)):
        _normalise_rows(x, block * step, min(len(x), (block + 1) * step), gamma, beta, epsilon, y, mean, inverse)


@njit
def _normalise_rows(
    x: Array, first: int, end: int, gamma: Array, beta: Array, epsilon: float, y: Array, mean: Array, inverse: Array
) -> None:
    K = x.shape[1]
    exact = np.empty(TOGETHER)
    for start in range(first, end, TOGETHER):
        stop = min(end, start + TOGETHER)
        for row in range(start, stop):
            exact[row - start] = _sum_of_row(x, row * K) / K
        for row in range(start, stop):
            variance = _squares_of_row(x, row * K, exact[row - start]) / K
            mean[row], inverse[row] = exact[row - start], 1 / np.sqrt(variance + epsilon)
        for row in range(start, stop):
            _write_row(x, row * K, gamma, beta, mean[row], inverse[row], y)


@njit
def _sum_of_row(x: Array, at: int) -> Any:
    total = splat(0.0, widen(load(x, at, 0)))
    for k in range(0, x.shape[1], lanes(x)):
        total = total + widen(load(x, at + k, x.shape[1] - k))
    return add_up(total)


@njit
def _squares_of_row(x: Array, at: int, mean: float) -> Any:
    """The sum of (x - mean)^2."""
    nothing = splat(0.0, widen(load(x, at, 0)))
    middle, total = splat(mean, nothing), nothing
    for k in range(0, x.shape[1], lanes(x)):
        left = x.shape[1] - k
        distance = widen(load(x, at + k, left)) - middle
        if left < lanes(x):
            distance = select(within(left, distance), distance, nothing)
        total = distance * distance + total
    return add_up(total)


@njit
def _write_row(x: Array, at: int, gamma: Array, beta: Array, mean: float, inverse: float, y: Array) -> None:
    middle, scale = splat(mean, load(x, at, 0)), splat(inverse, load(x, at, 0))
    for k in range(0, x.shape[1], lanes(x)):
        left = x.shape[1] - k
        xhat = (load(x, at + k, left) - middle) * scale
        store(y, at + k, xhat * load(gamma, k, left) + load(beta, k, left), left)


@turns
def gradients(dy: Array, x: Array, gamma: Array, mean: Array, inverse: Array, dx: Array, partial: Array) -> None:
    """dx, and ``partial`` (blocks, 2, K): the sums of dy * xhat and of dy over each block's rows. What is empty is
    not wanted."""
    step = rows_per_turn(x.shape[1])
    for block in prange(-(-len(x) // step)):
        _gradients_of_block(dy, x, block * step, min(len(x), (block + 1) * step), gamma, mean, inverse, dx, partial)


@njit
def _gradients_of_block(
    dy: Array, x: Array, first: int, end: int, gamma: Array, mean: Array, inverse: Array, dx: Array, partial: Array
) -> None:
    means = np.empty((2, TOGETHER), x.dtype)
    for start in range(first, end, TOGETHER):
        stop = min(end, start + TOGETHER)
        if len(dx):
            _input_gradient(dy, x, start, stop, gamma, mean, inverse, means, dx)
        if len(partial):
            _add_rows(dy, x, start, stop, mean, inverse, partial, first // rows_per_turn(x.shape[1]))


@turns
def sums_along_columns(dy: Array, x: Array, mean: Array, inverse: Array, totals: Array) -> None:
    """``totals`` (2, K): the same sums, where a block would have few rows, as they are long: some columns per turn."""
    K = x.shape[1]
    for turn in prange(-(-K // COLUMNS)):
        end = min(K, (turn + 1) * COLUMNS)
        for k in range(turn * COLUMNS, end, lanes(x)):
            dgamma = splat(0.0, widen(load(x, 0, 0)))
            dbeta = dgamma
            for row in range(len(x)):
                number = load(x, row * K + k, end - k)
                gradient = widen(load(dy, row * K + k, end - k))
                xhat = (number - splat(mean[row], number)) * splat(inverse[row], number)
                dgamma = gradient * widen(xhat) + dgamma
                dbeta = dbeta + gradient
            store(totals, k, dgamma, end - k)
            store(totals, K + k, dbeta, end - k)


@njit
def _input_gradient(
    dy: Array, x: Array, first: int, end: int, gamma: Array, mean: Array, inverse: Array, means: Array, dx: Array
) -> None:
    """First dx holds g = dy * gamma: rounded once, as its mean was made of it, so that they can cancel."""
    K = x.shape[1]
    for row in range(first, end):
        total, product = _write_g(dy, x, row * K, gamma, mean[row], inverse[row], dx)
        means[0, row - first], means[1, row - first] = total / K, product / K
    for row in range(first, end):
        middle, scale = splat(mean[row], load(x, 0, 0)), splat(inverse[row], load(x, 0, 0))
        common, along = splat(means[0, row - first], middle), splat(means[1, row - first], middle)
        for k in range(0, K, lanes(x)):
            at, left = row * K + k, K - k
            xhat = (load(x, at, left) - middle) * scale
            store(dx, at, scale * (load(dx, at, left) - common - xhat * along), left)


@njit
def _write_g(dy: Array, x: Array, at: int, gamma: Array, mean: float, inverse: float, dx: Array) -> tuple[Any, Any]:
    """Returns the sums of g and of g * xhat over one row."""
    middle, scale = splat(mean, load(x, at, 0)), splat(inverse, load(x, at, 0))
    total = splat(0.0, widen(middle))
    product = total
    for k in range(0, x.shape[1], lanes(x)):
        left = x.shape[1] - k
        g = load(dy, at + k, left) * load(gamma, k, left)  # 0 where nothing is left
        store(dx, at + k, g, left)
        total = total + widen(g)
        xhat = (load(x, at + k, left) - middle) * scale
        if lanes(x) > left:  # what is loaded as 0 may be infinitely far from the mean, and 0 times that is NaN
            xhat = select(within(left, xhat), xhat, splat(0.0, xhat))
        product = widen(g) * widen(xhat) + product
    return add_up(total), add_up(product)


@njit
def _add_rows(
    dy: Array, x: Array, first: int, end: int, mean: Array, inverse: Array, partial: Array, block: int
) -> None:
    """Sums of a few rows, which lie in the nearest cache, are added to those of the block."""
    K = x.shape[1]
    for k in range(0, K, lanes(x)):
        left = K - k
        to_gamma, to_beta = 2 * block * K + k, (2 * block + 1) * K + k
        like = widen(load(x, 0, 0))
        dgamma, dbeta = load_like(partial, to_gamma, left, like), load_like(partial, to_beta, left, like)
        for row in range(first, end):
            number = load(x, row * K + k, left)
            gradient = widen(load(dy, row * K + k, left))
            xhat = (number - splat(mean[row], number)) * splat(inverse[row], number)
            dgamma = gradient * widen(xhat) + dgamma
            dbeta = dbeta + gradient
        store(partial, to_gamma, dgamma, left)
        store(partial, to_beta, dbeta, left)
