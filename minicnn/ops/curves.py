"""More activations, each a curve f and its slope f': y = f(x), dx = dy * f'(x), for every number by itself.

    silu          x * sigmoid(x)                          s + x s (1 - s), with s = sigmoid(x)
    gelu          x * Phi(x)                              Phi(x) + x * phi(x)   (of the normal distribution)
    softplus      log(1 + e^x)                            sigmoid(x)
    mish          x * t, with t = tanh(softplus(x))       t + x * s (1 - t^2)
    softsign      x / (1 + |x|)                           1 / (1 + |x|)^2
    selu          scale * (x or alpha (e^x - 1))          scale * (1 or alpha e^x)
    exponential   e^x                                     e^x
    relu6         min(max(x, 0), 6)                       1 between 0 and 6
    hard_sigmoid  min(max(x + 3, 0), 6) / 6               1/6 between -3 and 3

Those in ``activations.py`` are the ones that networks here are made of, and remember their output; these remember their
input. Cost: one pass over x. Sources: Hendrycks and Gimpel 2016 (gelu, silu), Misra 2019 (mish), Klambauer et al.
2017 (selu).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numba import config

from minicnn.ops import curve_loops as loops
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.memory import empty
from minicnn.ops.turns import turns
from minicnn.shapes import Array


class Curve(NamedTuple):
    """An activation's loops, each for so many bytes, and what they are told beside their arrays."""

    value: turns
    gradient: turns
    value_options: tuple[float, ...] = ()
    gradient_options: tuple[float, ...] = ()


class CurveCache(NamedTuple):
    """The input, and which curve it went through."""

    x: Array
    curve: Curve


_SILU = Curve(loops.silu, loops.silu_backward)

CURVES: MappingProxyType[str, Curve] = MappingProxyType(
    {
        "silu": _SILU,
        "swish": _SILU,  # another name for it
        "gelu": Curve(loops.gelu, loops.gelu_backward),
        "softplus": Curve(loops.softplus, loops.softplus_backward),
        "mish": Curve(loops.mish, loops.mish_backward),
        "softsign": Curve(loops.softsign, loops.softsign_backward),
        "selu": Curve(loops.selu, loops.selu_backward),
        "exponential": Curve(loops.exponential, loops.exponential_backward),
        "relu6": Curve(loops.clipped, loops.clipped_backward, (0.0, 1.0), (0.0, 6.0, 1.0)),
        "hard_sigmoid": Curve(loops.clipped, loops.clipped_backward, (3.0, 6.0), (-3.0, 3.0, 6.0)),
    }
)


def curve(x: Array, name: str) -> tuple[Array, CurveCache]:
    """f(x) for the curve of that ``name``, (N, ...) -> (N, ...), and the cache. Raises ShapeError, DtypeError."""
    x = check_batch(x)
    chosen, y = CURVES[name], empty(x.shape, x.dtype)
    with _quietly():
        chosen.value(2 * x.nbytes, x.reshape(-1), *chosen.value_options, y.reshape(-1))
    return y, CurveCache(x, chosen)


def curve_backward(dy: Array, cache: CurveCache) -> Array:
    """dy * f'(x). Raises ShapeError and DtypeError when ``dy`` is not shaped like y."""
    x, chosen = cache
    dy = check_upstream(dy, x.shape, x.dtype)
    dx = empty(x.shape, x.dtype)
    with _quietly():
        chosen.gradient(3 * x.nbytes, dy.reshape(-1), x.reshape(-1), *chosen.gradient_options, dx.reshape(-1))
    return dx


def _quietly() -> AbstractContextManager[Any]:
    """Under NUMBA_DISABLE_JIT=1 loops are NumPy's: e^1000 is inf, and 0 times that NaN, as it should be."""
    return np.errstate(over="ignore", invalid="ignore") if config.DISABLE_JIT else nullcontext()
