"""Global pooling: one number per channel and picture, whatever the picture's size.

    average:  y[n, c] = 1/(H*W) * sum over h, w of x[n, h, w, c]        dx[n, h, w, c] = dy[n, c] / (H*W)
    max:      y[n, c] = max over h, w of x[n, h, w, c]                  dx = dy where x is the maximum, else 0

Where the maximum occurs k times, each of them gets dy / k. (Max pooling with a window gives it all to the first. Both
are what TensorFlow does: one is its pooling operation, the other its general maximum.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.shapes import Array, Shape


class GlobalAveragePool2DCache(NamedTuple):
    """The shape over which the gradient is spread."""

    x_shape: Shape
    keepdims: bool


class GlobalMaxPool2DCache(NamedTuple):
    """``is_maximum`` (N, H, W, C), bool: the places that share the gradient."""

    is_maximum: Array
    keepdims: bool


def global_average_pool2d(x: Array, *, keepdims: bool = False) -> tuple[Array, GlobalAveragePool2DCache]:
    """(N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``. One pass over x. Raises ShapeError, DtypeError.

    Summed along the columns first, then along the rows: two short sums round less than one long one.
    """
    x = check_pictures(x)
    _, H, W, _ = x.shape
    y: Array = x.sum(axis=2, keepdims=True).sum(axis=1, keepdims=keepdims) / x.dtype.type(H * W)
    return (y if keepdims else y[:, 0]), GlobalAveragePool2DCache(x.shape, keepdims)


def global_average_pool2d_backward(dy: Array, cache: GlobalAveragePool2DCache) -> Array:
    """(N, C) or (N, 1, 1, C) -> dx (N, H, W, C): every pixel had the same share. Raises ShapeError."""
    N, H, W, C = cache.x_shape
    dy = check_upstream(dy, (N, 1, 1, C) if cache.keepdims else (N, C))
    share = dy.reshape(N, 1, 1, C) / dy.dtype.type(H * W)  # (N, C) -> (N, 1, 1, C)
    return np.ascontiguousarray(np.broadcast_to(share, cache.x_shape))


def global_max_pool2d(x: Array, *, keepdims: bool = False) -> tuple[Array, GlobalMaxPool2DCache]:
    """(N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``. Two passes over x. Raises ShapeError, DtypeError."""
    x = check_pictures(x)
    y = x.max(axis=(1, 2), keepdims=True)
    return (y if keepdims else y[:, 0, 0]), GlobalMaxPool2DCache(x == y, keepdims)


def global_max_pool2d_backward(dy: Array, cache: GlobalMaxPool2DCache) -> Array:
    """(N, C) or (N, 1, 1, C) -> dx (N, H, W, C). Where the maximum is NaN, dx is NaN, as in TensorFlow."""
    is_maximum, keepdims = cache
    N, _, _, C = is_maximum.shape
    dy = check_upstream(dy, (N, 1, 1, C) if keepdims else (N, C))
    ties = is_maximum.sum(axis=(1, 2), keepdims=True)  # (N, 1, 1, C); 0 where the maximum is NaN, which equals nothing
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = is_maximum / ties.astype(dy.dtype)
    dx: Array = shares * dy.reshape(N, 1, 1, C)  # (N, C) -> (N, 1, 1, C)
    return dx
