"""Several arrays become one: their sum, their product, or one behind the other.

    add           y = a + b + ...             da = dy
    multiply      y = a * b * ...             da = dy * (the product of all others)
    concatenate   y = a, then b, then ...     da = the part of dy that lies where a lies in y

A sum hands its gradient on to everyone, unchanged: that is why residual networks can be deep. He et al. 2015.

Sums and products also take arrays that differ in size, where all but one have 1, as NumPy does; missing axes are put in
behind the batch, as Keras does: (N, C) counts as (N, 1, 1, C) beside (N, H, W, C). What was used several times that way
gets the sum of its gradients.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minicnn.errors import DtypeError, OptionError, ShapeError, explain
from minicnn.ops.activations import relu_
from minicnn.ops.checks import check_upstream
from minicnn.ops.gemm import floor_of
from minicnn.ops.memory import empty
from minicnn.ops.merging_loops import add_flat, join, multiply_flat, multiply_flat_backward, part
from minicnn.shapes import Array, Shape, check_array


class AddCache(NamedTuple):
    """What was added, by its shapes alone: the gradient of a sum does not depend on the numbers."""

    shapes: tuple[Shape, ...]
    y_shape: Shape


class MultiplyCache(NamedTuple):
    """The factors."""

    arrays: tuple[Array, ...]
    y_shape: Shape


class ConcatenateCache(NamedTuple):
    """The shapes of the parts, and the axis along which they lie one behind the other."""

    shapes: tuple[Shape, ...]
    axis: int


def add(arrays: Sequence[Array], *, relu: bool = False) -> tuple[Array, AddCache]:
    """The sum of one array or more, (N, ...) each, and the cache.

    ``relu`` cuts the result off at 0, for two arrays of one shape while it is written; ``add_backward`` then expects
    the gradient that ``relu_backward`` returned. Cost: one pass over two arrays of one shape, on all cores; other
    arrays take one for each after the first, by NumPy. Raises ShapeError, DtypeError.
    """
    arrays, y_shape = _checked(arrays)
    cache = AddCache(tuple(a.shape for a in arrays), y_shape)
    if cache.shapes == (y_shape, y_shape):
        y = empty(y_shape, arrays[0].dtype)
        floor = floor_of(relu, y.dtype)
        add_flat(3 * y.nbytes, arrays[0].reshape(-1), arrays[1].reshape(-1), floor, y.reshape(-1))
        return y, cache
    y = _fold(np.add, arrays, y_shape)
    return relu_(y) if relu else y, cache


def add_backward(dy: Array, cache: AddCache) -> list[Array]:
    """A gradient for each summand; for those of the shape of y it is ``dy`` itself, and costs nothing. The others take
    a sum over dy each. Raises ShapeError when ``dy`` is not shaped like y.
    """
    dy = check_upstream(dy, cache.y_shape)
    return [_sum_to(dy, shape) for shape in cache.shapes]


def multiply(arrays: Sequence[Array]) -> tuple[Array, MultiplyCache]:
    """The product of one array or more, (N, ...) each, number by number, and the cache. Costs as much as ``add``, and
    raises as it does.
    """
    arrays, y_shape = _checked(arrays)
    cache = MultiplyCache(tuple(arrays), y_shape)
    if not _is_pair(cache):
        return _fold(np.multiply, arrays, y_shape), cache
    y = empty(y_shape, arrays[0].dtype)
    multiply_flat(3 * y.nbytes, arrays[0].reshape(-1), arrays[1].reshape(-1), y.reshape(-1))
    return y, cache


def multiply_backward(dy: Array, cache: MultiplyCache) -> list[Array]:
    """A gradient for each factor. The others are multiplied, not divided out of y: a factor may be 0.

    Cost: one pass for two arrays of one shape; K in any other case take K * (K - 1) products. Raises ShapeError and
    DtypeError when ``dy`` is not shaped like y.
    """
    dy = check_upstream(dy, cache.y_shape, cache.arrays[0].dtype)
    if _is_pair(cache):
        a, b = cache.arrays
        da, db = empty(dy.shape, dy.dtype), empty(dy.shape, dy.dtype)
        multiply_flat_backward(5 * dy.nbytes, *(array.reshape(-1) for array in (dy, a, b, da, db)))
        return [da, db]
    gradients = []
    for place, own in enumerate(cache.arrays):
        others = [_aligned(a, dy.ndim) for i, a in enumerate(cache.arrays) if i != place]
        product = dy
        for other in others:
            product = product * other
        gradients.append(_sum_to(product, own.shape))
    return gradients


def concatenate(arrays: Sequence[Array], axis: int = -1) -> tuple[Array, ConcatenateCache]:
    """One or more arrays one behind the other along ``axis``, the batch being axis 0; in all other axes they agree.

    Cost: every number is read and written once. Raises ShapeError, DtypeError, OptionError.
    """
    _check_all(arrays)
    axis = check_concatenation([a.shape for a in arrays], axis)
    y_shape = concatenated([a.shape for a in arrays], axis)
    y = empty(y_shape, arrays[0].dtype)
    rows, to = _as_rows(y, axis), 0
    for a, b in _by_two([np.ascontiguousarray(array) for array in arrays], axis):
        join(2 * (a.nbytes + b.nbytes), a, b, rows, to)
        to += a.shape[1] + b.shape[1]
    return y, ConcatenateCache(tuple(a.shape for a in arrays), axis)


def concatenate_backward(dy: Array, cache: ConcatenateCache) -> list[Array]:
    """The parts of ``dy``, each where its array lies in y, copied: one pass.

    Raises ShapeError when ``dy`` is not shaped like y.
    """
    dy = check_upstream(dy, concatenated(cache.shapes, cache.axis))
    gradients, rows, at = [empty(shape, dy.dtype) for shape in cache.shapes], _as_rows(dy, cache.axis), 0
    for a, b in _by_two(gradients, cache.axis):
        part(2 * (a.nbytes + b.nbytes), rows, at, a, b)
        at += a.shape[1] + b.shape[1]
    return gradients


def check_concatenation(shapes: Sequence[Shape], axis: int) -> int:
    """``axis`` counted from 0, when arrays of these ``shapes`` (with the batch) can be put together along it."""
    rank = len(shapes[0])
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -rank < axis < rank or axis == 0:
        raise OptionError(explain(f"axis from 1 to {rank - 1}, or below 0, for {rank} axes", repr(axis)))
    axis = int(axis) % rank
    if len({(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}) > 1:
        fix = "Padding or pooling can make them agree."
        raise ShapeError(explain(f"arrays that agree in all axes but {axis}", f"shapes {_listed(shapes)}", fix))
    return axis


def concatenated(shapes: Sequence[Shape], axis: int) -> Shape:
    """The shape of the whole, ``axis`` being counted from 0."""
    return *shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]


def broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape of a sum or product of arrays of these shapes (with the batch). Raises ShapeError."""
    if len(set(shapes)) == 1:
        return shapes[0]
    rank = max(map(len, shapes))
    try:
        found = np.broadcast_shapes(*(align(shape, rank) for shape in shapes))
    except ValueError:
        found = ()
    if not found or any(shape[0] != shapes[0][0] for shape in shapes):
        expected = "arrays (N, ...) of one shape, or with 1 where they differ"
        raise ShapeError(explain(expected, f"shapes {_listed(shapes)}"))
    return found


def align(shape: Shape, rank: int) -> Shape:
    """(N, C) -> (N, 1, 1, C) for rank 4."""
    return *shape[:1], *(1,) * (rank - len(shape)), *shape[1:]


def _is_pair(cache: MultiplyCache) -> bool:
    """Two of one shape: the usual product, which goes in one pass."""
    return [a.shape for a in cache.arrays] == [cache.y_shape, cache.y_shape]


def _as_rows(array: Array, axis: int) -> Array:
    """The array as a matrix: a row holds what lies side by side along ``axis`` and the axes behind it."""
    return array.reshape(math.prod(array.shape[:axis]), -1)


def _by_two(arrays: Sequence[Array], axis: int) -> Iterator[tuple[Array, Array]]:
    """Two arrays at a time, as rows; an odd one with nothing."""
    rows = [_as_rows(array, axis) for array in arrays]
    yield from itertools.zip_longest(rows[::2], rows[1::2], fillvalue=rows[-1][:, :0])


def _fold(operation: np.ufunc, arrays: Sequence[Array], y_shape: Shape) -> Array:
    """The first with the second, what comes of it with the third, and so on, in the order given."""
    total, *others = (_aligned(a, len(y_shape)) for a in arrays)
    if not others:
        return total.copy()
    own = False  # whether total may be written over
    for other in others:
        shape = np.broadcast_shapes(total.shape, other.shape)
        y = total if own and total.shape == shape else empty(shape, total.dtype)
        operation(total, other, out=y)
        total, own = y, True
    return total


def _checked(arrays: Sequence[Array]) -> tuple[list[Array], Shape]:
    """The arrays, each C-contiguous, and the shape of what they add up to."""
    _check_all(arrays)
    return [np.ascontiguousarray(a) for a in arrays], broadcast_shape([a.shape for a in arrays])


def _check_all(arrays: Sequence[Array]) -> None:
    if not isinstance(arrays, (list, tuple)) or not arrays:
        received = "none" if isinstance(arrays, (list, tuple)) else type(arrays).__name__
        raise ShapeError(explain("a list of one array or more", received))
    for array in arrays:
        check_array(array, "each of them", max(1, np.ndim(array)), "(N, ...)")
    if len({array.dtype for array in arrays}) > 1:
        raise DtypeError(explain("arrays of one dtype", ", ".join(str(array.dtype) for array in arrays)))


def _aligned(array: Array, rank: int) -> Array:
    return array.reshape(align(array.shape, rank))


def _sum_to(dy: Array, shape: Shape) -> Array:
    """The sum of ``dy`` over all axes in which ``shape`` has 1, or which it lacks, taken in float64."""
    if dy.shape == shape:
        return dy
    aligned = align(shape, dy.ndim)
    axes = tuple(axis for axis, size in enumerate(aligned) if size != dy.shape[axis])
    total: Array = dy.sum(axis=axes, keepdims=True, dtype=np.float64).astype(dy.dtype)
    return total.reshape(shape)


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))
