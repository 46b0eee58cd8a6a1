"""Flatten: each picture becomes one long row. Nothing is computed; the numbers are only counted differently.

    y[n, (h*W + w)*C + c] = x[n, h, w, c]

Reading order with channels last, as they lie in memory; so nothing moves either.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minicnn.ops.checks import check_batch, check_upstream
from minicnn.shapes import Array, Shape


class FlattenCache(NamedTuple):
    """The shape to go back to."""

    x_shape: Shape


def flatten(x: Array) -> tuple[Array, FlattenCache]:
    """(N, ...) -> (N, product of the others), and the cache for ``flatten_backward``. A view where x is contiguous."""
    x = check_batch(x)
    y = x.reshape(len(x), math.prod(x.shape[1:]))  # (N, H, W, C) -> (N, H*W*C)
    return y, FlattenCache(x.shape)


def flatten_backward(dy: Array, cache: FlattenCache) -> Array:
    """(N, product) -> (N, ...). Raises ShapeError when ``dy`` is not shaped like y."""
    dy = check_upstream(dy, (cache.x_shape[0], math.prod(cache.x_shape[1:])))
    return dy.reshape(cache.x_shape)
