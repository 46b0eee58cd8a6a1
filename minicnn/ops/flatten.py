"""Flatten: each picture becomes one long row. Nothing is computed; the numbers are only counted differently.

y[n, (h*W + w)*C + c] = x[n, h, w, c]        reading order, channels last: the order in which they lie in memory
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minicnn.ops.checks import as_batch, as_upstream
from minicnn.shapes import Array, Shape


class FlattenCache(NamedTuple):
    """The shape to go back to."""

    x_shape: Shape


def flatten(x: Array) -> tuple[Array, FlattenCache]:
    """(N, ...) -> (N, product of the others), and the cache for ``flatten_backward``. A view where x is contiguous."""
    x = as_batch(x)
    return np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:])), FlattenCache(
        x.shape
    )  # (N, H, W, C) -> (N, H*W*C)


def flatten_backward(dy: Array, cache: FlattenCache) -> Array:
    """(N, product) -> (N, ...). Raises ShapeError when ``dy`` is not shaped like y."""
    dy = as_upstream(dy, (cache.x_shape[0], math.prod(cache.x_shape[1:])), dy.dtype)
    return np.ascontiguousarray(dy).reshape(cache.x_shape)
