"""The loops behind ``curves``: one pass, a vector of numbers at a time, on as many cores as it is worth.

All arrays are flat, of one size and one type. Two for each curve: y = f(x), and dx = dy * f'(x), whose formulas are in
``curves``. Where a curve has corners, both sides are computed and a mask picks. Each loop is written out: one that is
given its formula as a function is never found again in the cache on disk (``benchmarks/NOTES.md``, "Why text").
"""

from __future__ import annotations

from minicnn.ops import logistic
from minicnn.ops.exponential import exp, exp_of_negative, expm1_of_negative
from minicnn.ops.jit import prange
from minicnn.ops.logistic import sigmoid, tanh_of_softplus
from minicnn.ops.normal import normal
from minicnn.ops.turns import BLOCK, turns
from minicnn.ops.vectors import lanes, load, select, splat, store
from minicnn.shapes import Array

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # they keep mean 0 and variance 1 from layer to layer
SELU_BEND = SELU_SCALE * SELU_ALPHA


@turns
def silu(x: Array, y: Array) -> None:
    """x * s, with s = sigmoid(x)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            store(y, i, number * sigmoid(number)[0], left)


@turns
def silu_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy * s * (1 + x (1 - s))."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            share, rest = sigmoid(number)
            store(dx, i, load(dy, i, left) * (share + number * share * rest), left)


@turns
def gelu(x: Array, y: Array) -> None:
    """x * Phi(x)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            store(y, i, number * normal(number)[0], left)


@turns
def gelu_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy * (Phi(x) + x * phi(x))."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            share, density = normal(number)
            store(dx, i, load(dy, i, left) * (share + number * density), left)


@turns
def softplus(x: Array, y: Array) -> None:
    """log(1 + e^x)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            store(y, i, logistic.softplus(load(x, i, left)), left)


@turns
def softplus_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy * sigmoid(x)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            store(dx, i, load(dy, i, left) * sigmoid(load(x, i, left))[0], left)


@turns
def mish(x: Array, y: Array) -> None:
    """x * t, with t = tanh(softplus(x))."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            store(y, i, number * tanh_of_softplus(number)[0], left)


@turns
def mish_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy * (t + x * sigmoid(x) * (1 - t) * (1 + t))."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            t, rest = tanh_of_softplus(number)
            bend = number * sigmoid(number)[0] * rest * (splat(1.0, number) + t)
            store(dx, i, load(dy, i, left) * (t + bend), left)


@turns
def softsign(x: Array, y: Array) -> None:
    """x / (1 + |x|)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero = splat(0.0, number)
            store(y, i, number / (splat(1.0, number) + select(number < zero, zero - number, number)), left)


@turns
def softsign_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy / (1 + |x|)^2."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero = splat(0.0, number)
            below = splat(1.0, number) + select(number < zero, zero - number, number)
            store(dx, i, load(dy, i, left) / (below * below), left)


@turns
def selu(x: Array, y: Array) -> None:
    """scale * x where x > 0, else scale * alpha * (e^x - 1)."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero = splat(0.0, number)
            bent = expm1_of_negative(select(zero < number, zero, number)) * splat(SELU_BEND, number)
            store(y, i, select(zero < number, number * splat(SELU_SCALE, number), bent), left)


@turns
def selu_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy * scale * alpha * e^x where x < 0, else dy * scale: so too at 0 and at NaN, as in TensorFlow."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero = splat(0.0, number)
            bent = exp_of_negative(select(number < zero, number, zero)) * splat(SELU_BEND, number)
            store(dx, i, load(dy, i, left) * select(number < zero, bent, splat(SELU_SCALE, number)), left)


@turns
def exponential(x: Array, y: Array) -> None:
    """e^x."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            store(y, i, exp(load(x, i, left)), left)


@turns
def exponential_backward(dy: Array, x: Array, dx: Array) -> None:
    """dy * e^x, which is 0 and inf where e^x is, as in TensorFlow."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            store(dx, i, load(dy, i, left) * exp(load(x, i, left)), left)


@turns
def clipped(x: Array, shift: float, steps: float, y: Array) -> None:
    """min(max(x + shift, 0), 6) / steps."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number = load(x, i, left)
            zero, six = splat(0.0, number), splat(6.0, number)
            number = number + splat(shift, number)
            number = select(number < zero, zero, number)
            store(y, i, select(six < number, six, number) / splat(steps, number), left)


@turns
def clipped_backward(dy: Array, x: Array, low: float, high: float, steps: float, dx: Array) -> None:
    """dy / steps where low < x < high, else 0. Divided, because 1/6 would be rounded first."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            left = x.size - i
            number, gradient = load(x, i, left), load(dy, i, left)
            zero = splat(0.0, number)
            inside = select(number < splat(high, number), gradient / splat(steps, gradient), zero)
            store(dx, i, select(splat(low, number) < number, inside, zero), left)
