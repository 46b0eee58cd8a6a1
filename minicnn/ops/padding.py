"""Zero padding: a frame of zeros around each picture.

    y[n, top + h, left + w, c] = x[n, h, w, c], and 0 in the frame
    dx[n, h, w, c] = dy[n, top + h, left + w, c]

The gradient loses its frame again: zeros that were added have nothing to learn.
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.errors import OptionError, explain
from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.ops.copying import clear, copy
from minicnn.ops.jit import prange
from minicnn.ops.memory import empty
from minicnn.ops.turns import turns
from minicnn.shapes import Array, Pads, Shape, pair


class ZeroPad2DCache(NamedTuple):
    """Where the picture lies inside its frame."""

    x_shape: Shape
    padding: Pads


def zero_pad2d(x: Array, padding: Pads) -> tuple[Array, ZeroPad2DCache]:
    """(N, H, W, C) -> (N, top + H + bottom, left + W + right, C) and the cache for ``zero_pad2d_backward``.

    ``padding`` is ((top, bottom), (left, right)). Cost: x is read and y written, once each.
    Raises OptionError, ShapeError, DtypeError.
    """
    x = check_pictures(x)
    (top, bottom), (left, right) = check_pads(padding)
    N, H, W, C = x.shape
    y = empty((N, top + H + bottom, left + W + right, C), x.dtype)
    _frame(2 * y.nbytes, x, top, left, y)
    return y, ZeroPad2DCache(x.shape, ((top, bottom), (left, right)))


def zero_pad2d_backward(dy: Array, cache: ZeroPad2DCache) -> Array:
    """The part of dy that lies over the picture, copied: one pass.

    Raises ShapeError when ``dy`` is not shaped like y.
    """
    (N, H, W, C), ((top, bottom), (left, right)) = cache
    dy = check_upstream(dy, (N, top + H + bottom, left + W + right, C))
    dx = empty((N, H, W, C), dy.dtype)
    _take_out(2 * dx.nbytes, dy, top, left, dx)
    return dx


@turns
def _frame(x: Array, top: int, left: int, y: Array) -> None:
    """One output row per turn, written from left to right."""
    _, H, W, C = x.shape
    N, OH, OW, _ = y.shape
    for row in prange(N * OH):
        n, h = row // OH, row % OH - top
        to, before, inside = row * OW * C, left * C, W * C
        if 0 <= h < H:
            clear(y, to, before)
            copy(x, (n * H + h) * inside, inside, y, to + before)
            clear(y, to + before + inside, OW * C - before - inside)
        else:
            clear(y, to, OW * C)


@turns
def _take_out(dy: Array, top: int, left: int, dx: Array) -> None:
    """One row of the picture per turn."""
    N, H, W, C = dx.shape
    _, OH, OW, _ = dy.shape
    for row in prange(N * H):
        n, h = row // H, row % H
        copy(dy, ((n * OH + top + h) * OW + left) * C, W * C, dx, row * W * C)


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
