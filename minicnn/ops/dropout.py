"""Dropout: in training, numbers are silenced at random, so that no feature can rely on a particular other one.

    y = x * keep / (1 - rate)        keep is 1 with probability 1 - rate, else 0
    dx = dy * keep / (1 - rate)

"Inverted": what is kept is enlarged during training, so the expected sum stays what it was and inference does nothing
at all.
Source: Srivastava et al. 2014.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.ops.checks import check_batch, check_upstream
from minicnn.ops.jit import prange
from minicnn.ops.memory import empty
from minicnn.ops.turns import BLOCK, turns
from minicnn.ops.vectors import lanes, load, load_like, select, splat, store
from minicnn.options import number
from minicnn.shapes import Array


class DropoutCache(NamedTuple):
    """Which numbers were kept (bool, the shape of x), and at which rate."""

    keep: Array
    rate: float


def dropout(x: Array, rate: float, rng: np.random.Generator) -> tuple[Array, DropoutCache]:
    """(N, ...) -> (N, ...), each number dropped with probability ``rate``, and the cache for ``dropout_backward``.

    The draws are float32 in any case, so a float64 run from the same seed drops the same numbers. Dropped is 0, even
    where x is NaN. Cost: one thread draws the mask, which takes longest; then one pass over x, on all cores. Raises
    OptionError for a rate outside [0, 1], ShapeError, DtypeError.
    """
    x = check_batch(x)
    rate = check_rate(rate)
    keep = rng.random(x.shape, dtype=np.float32) >= rate
    return _scaled(x, keep, rate), DropoutCache(keep, rate)


def dropout_backward(dy: Array, cache: DropoutCache) -> Array:
    """The gradient takes the paths that were open. One pass over dy.

    Raises ShapeError when ``dy`` is not shaped like y.
    """
    keep, rate = cache
    dy = check_upstream(dy, keep.shape)
    return _scaled(dy, keep, rate)


def _scaled(x: Array, keep: Array, rate: float) -> Array:
    if rate == 1:
        return np.zeros(x.shape, x.dtype)
    y, kept = empty(x.shape, x.dtype), keep.reshape(-1).view(np.uint8)
    _scale_kept(2 * x.nbytes, x.reshape(-1), kept, x.dtype.type(1 / (1 - rate)), y.reshape(-1))
    return y


@turns
def _scale_kept(x: Array, keep: Array, scale: float, y: Array) -> None:
    """x * scale where ``keep`` is 1, else 0, without a branch: no processor foresees a random one."""
    for block in prange(-(-x.size // BLOCK)):
        for i in range(block * BLOCK, min(x.size, (block + 1) * BLOCK), lanes(x)):
            value = load(x, i, x.size - i)
            kept = load_like(keep, i, x.size - i, value) == splat(np.uint8(1), value)
            store(y, i, select(kept, value * splat(scale, value), splat(0.0, value)), x.size - i)


def check_rate(rate: float) -> float:
    """A probability, as a float. Raises OptionError."""
    return number("rate", rate, least=0, most=1, fix="0.5 drops half of the numbers.")
