"""Zero padding: a frame of zeros around each picture.

    y[n, top + h, left + w, c] = x[n, h, w, c], and 0 in the frame
    dx[n, h, w, c] = dy[n, top + h, left + w, c]

The gradient loses its frame again: zeros that were added have nothing to learn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.memory import empty
from minicnn.shapes import Array, Pads, Shape, pair


class ZeroPad2DCache(NamedTuple):
    """Where the picture lies inside its frame."""

    x_shape: Shape
    padding: Pads


def zero_pad2d(x: Array, padding: Pads) -> tuple[Array, ZeroPad2DCache]:
    """(N, H, W, C) -> (N, top + H + bottom, left + W + right, C) and the cache for ``zero_pad2d_backward``.

    ``padding`` is ((top, bottom), (left, right)). Raises OptionError, ShapeError, DtypeError.
    """
    x = check_pictures(x)
    (top, bottom), (left, right) = check_pads(padding)
    N, H, W, C = x.shape
    y = empty((N, top + H + bottom, left + W + right, C), x.dtype)
    y[:, top : top + H, left : left + W] = x
    y[:, :top] = y[:, top + H :] = 0  # only the frame: np.zeros would write the picture's place twice
    y[:, top : top + H, :left] = y[:, top : top + H, left + W :] = 0
    return y, ZeroPad2DCache(x.shape, ((top, bottom), (left, right)))


def zero_pad2d_backward(dy: Array, cache: ZeroPad2DCache) -> Array:
    """The part of dy that lies over the picture. Raises ShapeError when ``dy`` is not shaped like y."""
    (N, H, W, C), ((top, bottom), (left, right)) = cache
    dy = check_upstream(dy, (N, top + H + bottom, left + W + right, C))
    return np.ascontiguousarray(dy[:, top : top + H, left : left + W])


def check_pads(padding: object) -> Pads:
    """What people write -> ((top, bottom), (left, right)). One number is for all sides, two are for (rows, columns).

    >>> check_pads(1), check_pads((1, 2)), check_pads(((0, 1), (2, 3)))
    (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((0, 1), (2, 3)))
    """
    try:
        rows, columns = padding if isinstance(padding, (tuple, list)) else (padding, padding)
        return pair(rows, "padding", least=0), pair(columns, "padding", least=0)
    except (OptionError, TypeError, ValueError):
        raise OptionError(
            explain(
                "padding as n, (rows, columns) or ((top, bottom), (left, right)), whole numbers of at least 0",
                repr(padding),
            )
        ) from None
