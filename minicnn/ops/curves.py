"""More activations, each a curve f and its slope f': y = f(x), dx = dy * f'(x), for every number by itself.

    silu          x * sigmoid(x)                          s + y (1 - s), with s = sigmoid(x)
    gelu          x * Phi(x)                              Phi(x) + x * phi(x)   (of the normal distribution)
    softplus      log(1 + e^x)                            sigmoid(x)
    mish          x * t, with t = tanh(softplus(x))       t + x * s (1 - t^2)
    softsign      x / (1 + |x|)                           1 / (1 + |x|)^2
    selu          scale * (x or alpha (e^x - 1))          scale * (1 or alpha e^x)
    exponential   e^x                                     e^x
    relu6         min(max(x, 0), 6)                       1 between 0 and 6
    hard_sigmoid  min(max(x + 3, 0), 6) / 6               1/6 between -3 and 3

Those in ``activations.py`` are the ones that networks here are made of, and remember their output; these remember their
input. Cost: a few passes over x. Sources: Hendrycks and Gimpel 2016 (gelu, silu), Misra 2019 (mish), Klambauer et al.
2017 (selu).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.memory import empty
from minicnn.shapes import Array

PIECE = 1 << 13  # numbers: 64 KB in float64

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # they keep mean 0 and variance 1 from layer to layer


class Curve(NamedTuple):
    """An activation, and its gradient for (dy, x): dy times the slope at x, rounded as seldom as can be."""

    value: Callable[[Array], Array]
    gradient: Callable[[Array, Array], Array]


class CurveCache(NamedTuple):
    """The input, and which curve it went through."""

    x: Array
    curve: Curve


def _sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x). SciPy is loaded where it is needed: most networks never do, and it takes time at every start."""
    from scipy.special import expit

    y: Array = expit(x)
    return y


def _normal(x: Array) -> Array:
    """Phi(x), the share of the normal distribution below x."""
    from scipy.special import ndtr

    y: Array = ndtr(x)
    return y


def _softplus(x: Array) -> Array:
    total: Array = np.logaddexp(x, x.dtype.type(0))
    return total


def _mish_slope(x: Array) -> Array:
    t = np.tanh(_softplus(x))
    slope: Array = t + x * _sigmoid(x) * (1 - t) * (1 + t)
    return slope


def _gelu_slope(x: Array) -> Array:
    density = np.exp(-x * x / 2) * x.dtype.type(1 / math.sqrt(2 * math.pi))
    slope: Array = _normal(x) + x * density
    return slope


def _silu_slope(x: Array) -> Array:
    s = _sigmoid(x)
    slope: Array = s + x * s * (1 - s)
    return slope


def _selu(x: Array) -> Array:
    bent = x.dtype.type(SELU_SCALE * SELU_ALPHA) * np.expm1(np.minimum(x, 0))
    y: Array = np.where(x > 0, x.dtype.type(SELU_SCALE) * x, bent)
    return y


def _selu_slope(x: Array) -> Array:
    bent = x.dtype.type(SELU_SCALE * SELU_ALPHA) * np.exp(np.minimum(x, 0))
    slope: Array = np.where(x < 0, bent, x.dtype.type(SELU_SCALE))  # at 0 and NaN the right side's, as in TensorFlow
    return slope


def _between(low: float, high: float, steps: float) -> Callable[[Array, Array], Array]:
    """The gradient of a slope of 1/steps from ``low`` to ``high``. Divided, because 1/6 would be rounded first."""
    return lambda dy, x: np.where((low < x) & (x < high), dy / dy.dtype.type(steps), dy.dtype.type(0))


def _times(slope: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda dy, x: dy * slope(x)


def _exponential(x: Array) -> Array:
    return _exactly(np.exp, x)


def _exponential_gradient(dy: Array, x: Array) -> Array:
    return _exactly(lambda dy, x: dy * np.exp(x), dy, x)


def _exactly(formula: Callable[..., Array], *arrays: Array) -> Array:
    """``formula`` of each number of arrays of one shape, in float64 and rounded once; some at a time, so that they stay
    in the cache."""
    y, flat = empty(arrays[0].shape, arrays[0].dtype), [array.reshape(-1) for array in arrays]
    for start in range(0, y.size, PIECE):
        piece = slice(start, start + PIECE)
        y.reshape(-1)[piece] = formula(*(array[piece].astype(np.float64, copy=False) for array in flat))
    return y


CURVES: MappingProxyType[str, Curve] = MappingProxyType(
    {
        "silu": Curve(lambda x: x * _sigmoid(x), _times(_silu_slope)),
        "swish": Curve(lambda x: x * _sigmoid(x), _times(_silu_slope)),  # another name for it
        "gelu": Curve(lambda x: x * _normal(x), _times(_gelu_slope)),
        "softplus": Curve(_softplus, _times(_sigmoid)),
        "mish": Curve(lambda x: x * np.tanh(_softplus(x)), _times(_mish_slope)),
        "softsign": Curve(lambda x: x / (1 + np.abs(x)), lambda dy, x: dy / (1 + np.abs(x)) ** 2),
        "selu": Curve(_selu, _times(_selu_slope)),
        "exponential": Curve(_exponential, _exponential_gradient),
        "relu6": Curve(lambda x: np.clip(x, 0, 6), _between(0, 6, 1)),
        "hard_sigmoid": Curve(lambda x: np.clip(x + 3, 0, 6) / 6, _between(-3, 3, 6)),
    }
)


def curve(x: Array, name: str) -> tuple[Array, CurveCache]:
    """f(x) for the curve of that ``name``, (N, ...) -> (N, ...), and the cache. Raises ShapeError, DtypeError."""
    x = check_batch(x)
    chosen = CURVES[name]
    with np.errstate(over="ignore", invalid="ignore"):  # e^1000 is inf, and 0 times that NaN: as it should be
        return chosen.value(x), CurveCache(x, chosen)


def curve_backward(dy: Array, cache: CurveCache) -> Array:
    """dy * f'(x). Raises ShapeError and DtypeError when ``dy`` is not shaped like y."""
    x, chosen = cache
    dy = check_upstream(dy, x.shape, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return chosen.gradient(dy, x)
