"""Activations: one formula applied to every number (softmax: every row). Without them a network is one linear map.

    relu(x)       = max(x, 0)                          relu'    = 1 if y > 0 else 0          relu'(0) = 0
    leaky_relu(x) = x if x > 0 else slope * x          leaky'   = 1 if y > 0 else slope
    elu(x)        = x if x > 0 else alpha * (e^x - 1)  elu'     = 1 if y > 0 else y + alpha
    sigmoid(x)    = 1 / (1 + e^-x)                     sigmoid' = y (1 - y)
    tanh(x)       = (e^x - e^-x) / (e^x + e^-x)        tanh'    = 1 - y^2
    softmax(x)_i  = e^x_i / sum over j of e^x_j        dx_i     = y_i (dy_i - sum over j of y_j dy_j)

Every derivative above is written in terms of the **output** y. So the output is all that the backward passes
remember, and since the next layer keeps it as its input anyway, an activation costs no memory of its own.

All of them work on arrays of any shape (N, ...) and cost a pass over it. Softmax along an axis that is not the last one
copies the array first, and back. NaN stays NaN. Raises ShapeError, DtypeError. Sources: Nair and
Hinton 2010 (ReLU), Maas et al. 2013 (leaky ReLU), Clevert et al. 2016 (ELU).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import config

from minicnn.errors import OptionError, explain
from minicnn.ops import activation_loops as loops
from minicnn.ops import softmax_loops
from minicnn.ops.calls import Into, Run
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.memory import empty
from minicnn.ops.rows import as_rows, from_rows
from minicnn.options import number
from minicnn.shapes import Array, Shape


class ActivationCache(NamedTuple):
    """The output: every derivative here is a function of it."""

    y: Array


class LeakyReluCache(NamedTuple):
    """The output, and the slope of its negative side."""

    y: Array
    negative_slope: float


class EluCache(NamedTuple):
    """The output, and minus the value that it approaches for very negative inputs."""

    y: Array
    alpha: float


class SoftmaxCache(NamedTuple):
    """The output, and the axis along which it adds up to one."""

    y: Array
    axis: int


def relu(x: Array) -> tuple[Array, ActivationCache]:
    """max(x, 0): lets positive numbers pass and stops the others."""
    x = check_batch(x)
    y = empty(x.shape, x.dtype)
    loops.relu(2 * x.nbytes, x.reshape(-1), y.reshape(-1))
    return y, ActivationCache(y)


def relu_(y: Array) -> Array:
    """max(y, 0) written over y, a C-contiguous array that nobody reads any more; returns it."""
    loops.relu(2 * y.nbytes, y.reshape(-1), y.reshape(-1))
    return y


def relu_backward(dy: Array, cache: ActivationCache) -> Array:
    """dy where the output is positive, else 0. At exactly 0, where there is no derivative, it is 0, as in Keras."""
    dy = check_upstream(dy, cache.y.shape, cache.y.dtype)
    dx = empty(dy.shape, dy.dtype)
    loops.relu_backward(3 * dy.nbytes, dy.reshape(-1), cache.y.reshape(-1), dx.reshape(-1))
    return dx


def leaky_relu(x: Array, negative_slope: float = 0.3) -> tuple[Array, LeakyReluCache]:
    """x where positive, negative_slope * x elsewhere: what ReLU would silence still learns."""
    x = check_batch(x)
    number("negative_slope", negative_slope, least=0)
    y = empty(x.shape, x.dtype)
    loops.leaky_relu(2 * x.nbytes, x.reshape(-1), float(negative_slope), y.reshape(-1))
    return y, LeakyReluCache(y, negative_slope)


def leaky_relu_backward(dy: Array, cache: LeakyReluCache) -> Array:
    """The slope is not negative, so y is positive exactly where x is."""
    y, negative_slope = cache
    dy = check_upstream(dy, y.shape, y.dtype)
    dx = empty(dy.shape, dy.dtype)
    loops.leaky_relu_backward(3 * dy.nbytes, dy.reshape(-1), y.reshape(-1), float(negative_slope), dx.reshape(-1))
    return dx


def elu(x: Array, alpha: float = 1.0) -> tuple[Array, EluCache]:
    """x where positive, alpha * (e^x - 1) elsewhere.

    e^x - 1 as one function, because e^x minus 1 loses all digits near 0; of the minimum with 0 because e^x overflows
    where it is not wanted.
    """
    x = check_batch(x)
    number("alpha", alpha, least=0)
    y = empty(x.shape, x.dtype)
    loops.elu(2 * x.nbytes, x.reshape(-1), x.dtype.type(alpha), y.reshape(-1))
    return y, EluCache(y, alpha)


def elu_backward(dy: Array, cache: EluCache) -> Array:
    """Left of 0 the derivative is alpha * e^x, which is y + alpha. At NaN it is alpha, as at 0 and as in Keras."""
    y, alpha = cache
    dy = check_upstream(dy, y.shape, y.dtype)
    dx = empty(dy.shape, dy.dtype)
    loops.elu_backward(3 * dy.nbytes, dy.reshape(-1), y.reshape(-1), y.dtype.type(alpha), dx.reshape(-1))
    return dx


def sigmoid(x: Array) -> tuple[Array, ActivationCache]:
    """1 / (1 + e^-x), in (0, 1). Computed from e^-|x|, which lies in (0, 1] and cannot overflow:

    1 / (1 + e^-|x|) for x >= 0, and the same with e^-|x| above the line, e^x / (e^x + 1), for x < 0.
    """
    x = check_batch(x)
    y = empty(x.shape, x.dtype)
    loops.sigmoid(2 * x.nbytes, x.reshape(-1), y.reshape(-1))
    return y, ActivationCache(y)


def sigmoid_backward(dy: Array, cache: ActivationCache) -> Array:
    """dy * y * (1 - y): at most a quarter of dy, which is why deep networks of sigmoids hardly learn."""
    y = cache.y
    dy = check_upstream(dy, y.shape, y.dtype)
    dx = empty(dy.shape, dy.dtype)
    loops.sigmoid_backward(3 * dy.nbytes, dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


def tanh(x: Array) -> tuple[Array, ActivationCache]:
    """The hyperbolic tangent, in (-1, 1)."""
    x = check_batch(x)
    y = empty(x.shape, x.dtype)
    loops.tanh(2 * x.nbytes, x.reshape(-1), y.reshape(-1))
    return y, ActivationCache(y)


def tanh_backward(dy: Array, cache: ActivationCache) -> Array:
    """dy * (1 - y^2), as (1 - y)(1 + y): no rounded square is subtracted where y is close to 1."""
    y = cache.y
    dy = check_upstream(dy, y.shape, y.dtype)
    dx = empty(dy.shape, dy.dtype)
    loops.tanh_backward(3 * dy.nbytes, dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


def softmax(x: Array, axis: int = -1) -> tuple[Array, SoftmaxCache]:
    """Scores -> probabilities along ``axis``: positive, adding up to one.

    The largest score is subtracted first. That changes nothing (it cancels), and e^x can no longer overflow. A row
    with NaN or +inf in it becomes NaN; -inf becomes probability 0.
    """
    x = check_batch(x, least=2)
    check_softmax_axis(x.ndim, axis)
    axes = (axis % x.ndim,)
    rows = as_rows(x, axes)
    y = from_rows(softmax_of(rows.shape, rows.dtype)(rows), x.shape, axes)
    return y, SoftmaxCache(y, axis)


def softmax_of(shape: Shape, dtype: Any) -> Into:
    """The same along the rows of C-contiguous (M, K) of this shape, without asking whether they are."""

    def bind(x: Array, y: Array) -> Run:
        loop = softmax_loops.softmax.bound(2 * x.nbytes, x, y)
        if not config.DISABLE_JIT:
            return loop
        return np.errstate(invalid="ignore", over="ignore")(loop)  # inf - inf is NaN, -3e38 - 3e38 is -inf: both right

    return Into(shape, dtype, bind)


def softmax_backward(dy: Array, cache: SoftmaxCache) -> Array:
    """dx_i = y_i (d_i - sum over j of y_j d_j), where d is dy minus its value at the largest probability.

    Subtracting one number from the whole row changes nothing on paper, because the y_j add up to one. On a computer
    it lets the term with y close to 1 vanish exactly, and what is left are the small ones: with y = (1 - 5e-17,
    5e-17), which float64 keeps as (1, 5e-17), the plain formula answers 0 for the first and this one the true 5e-17.
    """
    y, axis = cache
    dy = check_upstream(dy, y.shape, y.dtype)
    axes = (axis % y.ndim,)
    rows = as_rows(dy, axes)
    dx = empty(rows.shape, dy.dtype)
    softmax_loops.softmax_backward(3 * dy.nbytes, rows, as_rows(y, axes), dx)
    return from_rows(dx, dy.shape, axes)


def linear(x: Array) -> tuple[Array, ActivationCache]:
    """x itself."""
    x = check_batch(x)
    return x, ActivationCache(x)


def linear_backward(dy: Array, cache: ActivationCache) -> Array:
    """dy itself."""
    return check_upstream(dy, cache.y.shape, cache.y.dtype)


def check_softmax_axis(rank: int, axis: int) -> None:
    """``axis`` must be one of the ``rank`` axes, and not the batch: pictures do not compete with each other."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not (-rank < axis < rank and axis != 0):
        choices = f"1 to {rank - 1}, or -1 to {1 - rank}" if rank > 2 else "1 or -1"
        raise OptionError(explain(f"axis as an integer, {choices}, for inputs with {rank} axes", repr(axis)))
