"""The loops behind ``layer_norm``: every row of (M, K) is fetched from memory once. The formulas are in ``layer_norm``.

Means and sums are float64. What is summed over the rows, the gradients of gamma and beta, is summed for each block of
rows by itself; there are as many blocks whatever the number of threads, so the bits do not depend on it.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.jit import njit, prange
from minicnn.ops.rows import rows_per_turn
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, load_like, select, splat, store, widen, within
from minicnn.shapes import Array

TOGETHER = 8  # rows added up before their sums are written


@turns
def normalise(x: Array, gamma: Array, beta: Array, epsilon: float, y: Array, mean: Array, inverse: Array) -> None:
    """y, and mean and inverse (M,) of each row."""
    step = rows_per_turn(x.shape[1])
    for block in prange(-(-len(x) // step)):
        for row in range(block * step, min(len(x), (block + 1) * step)):
            _normalise_row(x, row, gamma, beta, epsilon, y, mean, inverse)


@njit
def _normalise_row(
    x: Array, row: int, gamma: Array, beta: Array, epsilon: float, y: Array, mean: Array, inverse: Array
) -> None:
    K = x.shape[1]
    at = row * K
    nothing = splat(0.0, widen(load(x, at, 0)))
    total = nothing
    for k in range(0, K, lanes(x)):
        total = total + widen(load(x, at + k, K - k))
    middle = splat(add_up(total) / K, nothing)
    squares = nothing
    for k in range(0, K, lanes(x)):
        distance = select(within(K - k, nothing), widen(load(x, at + k, K - k)) - middle, nothing)
        squares = distance * distance + squares
    mean[row] = add_up(total) / K
    inverse[row] = 1 / np.sqrt(add_up(squares) / K + epsilon)
    for k in range(0, K, lanes(x)):
        left = K - k
        number = load(x, at + k, left)
        xhat = (number - splat(mean[row], number)) * splat(inverse[row], number)
        store(y, at + k, xhat * load(gamma, k, left) + load(beta, k, left), left)


@turns
def gradients(dy: Array, x: Array, gamma: Array, mean: Array, inverse: Array, dx: Array, partial: Array) -> None:
    """dx, and ``partial`` (blocks, 2, K): the sums of dy * xhat and of dy over each block's rows. What is empty is
    not wanted."""
    step = rows_per_turn(x.shape[1])
    for block in prange(-(-len(x) // step)):
        for first in range(block * step, min(len(x), (block + 1) * step), TOGETHER):
            end = min(len(x), (block + 1) * step, first + TOGETHER)
            if len(dx):
                for row in range(first, end):
                    _gradient_row(dy, x, row, gamma, mean[row], inverse[row], dx)
            if len(partial):
                _add_rows(dy, x, first, end, mean, inverse, partial, block)


@njit
def _gradient_row(dy: Array, x: Array, row: int, gamma: Array, mean: float, inverse: float, dx: Array) -> None:
    K = x.shape[1]
    at = row * K
    middle, scale = splat(mean, load(x, at, 0)), splat(inverse, load(x, at, 0))
    total = splat(0.0, widen(middle))
    product = total
    for k in range(0, K, lanes(x)):
        left = K - k
        g = widen(load(dy, at + k, left) * load(gamma, k, left))  # 0 where nothing is left
        total = total + g
        product = g * widen((load(x, at + k, left) - middle) * scale) + product
    common, along = splat(add_up(total) / K, middle), splat(add_up(product) / K, middle)
    for k in range(0, K, lanes(x)):
        left = K - k
        xhat = (load(x, at + k, left) - middle) * scale
        g = load(dy, at + k, left) * load(gamma, k, left)
        store(dx, at + k, scale * (g - common - xhat * along), left)


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
