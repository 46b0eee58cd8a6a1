"""The same numbers, counted or ordered differently: reshape and permute. Nothing is computed.

    reshape    y has the numbers of x in the same reading order, in axes of other sizes
    permute    y[n, i, j, k] = x with its axes in another order: axis a of y is axis dims[a] of x

The gradient of each is its way back. A reshape moves nothing in memory, a permutation everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.shapes import Array, Shape, whole


class ReshapeCache(NamedTuple):
    """The shape to go back to, and the one that dy has."""

    x_shape: Shape
    y_shape: Shape


class PermuteCache(NamedTuple):
    """The order of the axes, the batch included, and the shape of y."""

    axes: tuple[int, ...]
    y_shape: Shape


def reshape(x: Array, target: Sequence[int]) -> tuple[Array, ReshapeCache]:
    """(N, ...) -> (N, *target); one size in ``target`` may be -1: whatever is left. A view where x is contiguous.

    Raises ShapeError when the numbers do not fill ``target``, OptionError for sizes that are none.
    """
    x = check_batch(x)
    y = x.reshape(len(x), *filled(target, x.shape[1:]))
    return y, ReshapeCache(x.shape, y.shape)


def reshape_backward(dy: Array, cache: ReshapeCache) -> Array:
    """(N, *target) -> (N, ...). Raises ShapeError when ``dy`` is not shaped like y."""
    return check_upstream(dy, cache.y_shape).reshape(cache.x_shape)


def permute(x: Array, dims: Sequence[int]) -> tuple[Array, PermuteCache]:
    """(N, ...) with its axes in the order ``dims``, counted from 1 behind the batch: (2, 1, 3) swaps rows and columns.

    Raises ShapeError and OptionError.
    """
    x = check_batch(x)
    axes = (0, *check_dims(dims, x.ndim - 1))
    y = np.ascontiguousarray(x.transpose(axes))
    return y, PermuteCache(axes, y.shape)


def permute_backward(dy: Array, cache: PermuteCache) -> Array:
    """The axes back in their old order. Raises ShapeError when ``dy`` is not shaped like y."""
    dy = check_upstream(dy, cache.y_shape)
    return np.ascontiguousarray(dy.transpose(np.argsort(cache.axes)))


def check_target(target: Sequence[int]) -> Shape:
    """Sizes of at least 1, among them at most one -1. Raises OptionError."""
    given = tuple(target) if isinstance(target, (list, tuple, np.ndarray)) else (target,)
    sizes = tuple(whole(size, "a size in target_shape", least=-1 if size == -1 else 1) for size in given)
    if sizes.count(-1) > 1:
        raise OptionError(explain("at most one -1 in target_shape", repr(target)))
    return sizes


def filled(target: Sequence[int], shape: Shape) -> Shape:
    """``target`` with its -1, if any, as the size that is left of ``shape``. Raises ShapeError, OptionError."""
    sizes, numbers = check_target(target), math.prod(shape)
    known = math.prod(size for size in sizes if size != -1)
    if numbers % known or (-1 not in sizes and known != numbers):
        raise ShapeError(explain(f"inputs with as many numbers as target_shape {sizes}", f"{numbers} in {shape}"))
    return tuple(numbers // known if size == -1 else size for size in sizes)


def check_dims(dims: Sequence[int], rank: int | None = None) -> tuple[int, ...]:
    """Each of 1 to ``rank`` once (None: as many as there are). Raises OptionError."""
    axes: list[Any] = list(dims) if isinstance(dims, (list, tuple)) else [None]
    numbers = all(isinstance(axis, (int, np.integer)) and not isinstance(axis, bool) for axis in axes)
    rank = len(axes) if rank is None else rank
    if not numbers or sorted(axes) != list(range(1, rank + 1)):
        raise OptionError(explain(f"dims with each of 1 to {rank} once", repr(dims), "The batch is not among them."))
    return tuple(int(axis) for axis in axes)
