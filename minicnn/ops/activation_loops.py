"""The loops behind ``activations``: one pass, a vector of numbers at a time, on as many cores as it is worth.

All arrays are flat, of one size and one type. Formulas are in ``activations``. A choice between two of them is made
without a branch: both are computed, and a mask picks.
"""

from __future__ import annotations

from minicnn.ops import logistic
from minicnn.ops.exponential import expm1_of_negative
from minicnn.ops.jit import njit, prange
from minicnn.ops.turns import BLOCK, turns
from minicnn.ops.vectors import lanes, load, select, splat, store, widen
from minicnn.shapes import Array


@turns
def relu(x: Array, y: Array) -> None:
    """0 where x <= 0, else x: so NaN stays. ``y`` may be ``x``."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero = splat(0.0, number)
            store(y, i, select(number <= zero, zero, number), left)


@turns
def relu_backward(dy: Array, y: Array, dx: Array) -> None:
    """dy where y > 0, else 0. ``dx`` may be ``dy``."""
    for block in prange(-(-dy.size // BLOCK)):
        first = block * BLOCK
        gate_numbers(dy, first, y, first, dx, first, min(BLOCK, dy.size - first))


@njit
def gate_numbers(dy: Array, at: int, y: Array, beside: int, dx: Array, to: int, count: int) -> None:
    """The same for ``count`` numbers, from the places ``at``, ``beside`` and ``to`` on."""
    for i in range(0, count, lanes(dy)):
        left = count - i
        gradient = load(dy, at + i, left)
        zero = splat(0.0, gradient)
        store(dx, to + i, select(zero < load(y, beside + i, left), gradient, zero), left)


@turns
def leaky_relu(x: Array, slope: float, y: Array) -> None:
    """x where x > 0, else slope * x; in float64, because a slope such as 0.3 would be rounded before the product is."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            wide = widen(number)
            store(y, i, select(splat(0.0, number) < number, wide, wide * splat(slope, wide)), left)


@turns
def leaky_relu_backward(dy: Array, y: Array, slope: float, dx: Array) -> None:
    """dy where y > 0, else slope * dy."""
    for block in prange(-(-dy.size // BLOCK)):
        for i in range(block * BLOCK, min(dy.size, (block + 1) * BLOCK), lanes(dy)):
            left = dy.size - i
            gradient = load(dy, i, left)
            wide = widen(gradient)
            store(dx, i, select(splat(0.0, gradient) < load(y, i, left), wide, wide * splat(slope, wide)), left)


@turns
def elu(x: Array, alpha: float, y: Array) -> None:
    """x where x > 0, else alpha * (e^x - 1)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero = splat(0.0, number)
            bent = expm1_of_negative(select(zero < number, zero, number)) * splat(alpha, number)
            store(y, i, select(zero < number, number, bent), left)


@turns
def elu_backward(dy: Array, y: Array, alpha: float, dx: Array) -> None:
    """dy where y > 0, else dy * (y + alpha); dy * alpha at NaN, which is not below 0, as in TensorFlow."""
    for block in prange(-(-dy.size // BLOCK)):
        for i in range(block * BLOCK, min(dy.size, (block + 1) * BLOCK), lanes(dy)):
            left = dy.size - i
            gradient, number = load(dy, i, left), load(y, i, left)
            zero = splat(0.0, number)
            bent = gradient * (select(number < zero, number, zero) + splat(alpha, number))
            store(dx, i, select(zero < number, gradient, bent), left)


@turns
def sigmoid(x: Array, y: Array) -> None:
    """1 / (1 + e^-x)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            store(y, i, logistic.sigmoid(load(x, i, left))[0], left)


@turns
def sigmoid_backward(dy: Array, y: Array, dx: Array) -> None:
    """dy * y * (1 - y)."""
    for block in prange(-(-dy.size // BLOCK)):
        for i in range(block * BLOCK, min(dy.size, (block + 1) * BLOCK), lanes(dy)):
            left = dy.size - i
            number = load(y, i, left)
            store(dx, i, load(dy, i, left) * number * (splat(1.0, number) - number), left)


@turns
def tanh(x: Array, y: Array) -> None:
    """(e^x - e^-x) / (e^x + e^-x)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            store(y, i, logistic.tanh(load(x, i, left)), left)


@turns
def tanh_backward(dy: Array, y: Array, dx: Array) -> None:
    """dy * (1 - y) * (1 + y)."""
    for block in prange(-(-dy.size // BLOCK)):
        for i in range(block * BLOCK, min(dy.size, (block + 1) * BLOCK), lanes(dy)):
            left = dy.size - i
            number = load(y, i, left)
            one = splat(1.0, number)
            store(dx, i, load(dy, i, left) * ((one - number) * (one + number)), left)
