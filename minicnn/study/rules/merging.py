"""How layers explain themselves where ways through a network meet: sums, products, and one behind the other.

Sizes of 1 are repeated, and (N, C) counts as (N, 1, 1, C): what was repeated gets the sum of its gradients.
"""

from __future__ import annotations

import itertools

from minicnn.layers import Add, Concatenate, Multiply
from minicnn.ops.merging import align
from minicnn.shapes import Array, Shape
from minicnn.study.explanation import Factor, Index, Terms, Worked
from minicnn.study.places import at, combinations, place
from minicnn.study.use import Rule, Use, copied, handed_back


def _in_source(shape: Shape, positions: Array) -> Array:
    """Places in y -> places in an input of ``shape`` that is repeated to y's size."""
    rank = positions.shape[1]
    sizes, missing = align(shape, rank), rank - len(shape)
    axes = [axis for axis in range(rank) if axis == 0 or axis > missing]
    return at(*(positions[:, axis] if sizes[axis] > 1 else 0 * positions[:, axis] for axis in axes))


def _in_y(use: Use, index: Index, source: int) -> Array:
    """All places in y that one number of an input is repeated to."""
    sizes = align(use.xs[source].shape, use.y.ndim)
    where = align(
        tuple(i + 1 for i in index), use.y.ndim
    )  # counted from 1, so that axes put in are at their first place
    axes = zip(sizes, where, use.y.shape, strict=True)
    return at(*combinations(*(range(full) if size == 1 else [i - 1] for size, i, full in axes)))


def _each(use: Use, positions: Array, *, leave_out: int = -1) -> tuple[Factor, ...]:
    inputs = [source for source in range(len(use.xs)) if source != leave_out]
    return tuple(use.x(_in_source(use.xs[source].shape, positions), source) for source in inputs)


def _added(use: Use, index: Index) -> Worked:
    return Worked("y = the sum of all inputs", tuple(Terms.of(x) for x in _each(use, place(index))))


def _added_input(use: Use, index: Index, source: int) -> Worked:
    return handed_back(use, _in_y(use, index, source), "dx = the sum of dy over all y that x was added to")


def _multiplied(use: Use, index: Index) -> Worked:
    return Worked("y = the product of all inputs", (Terms.of(*_each(use, place(index))),))


def _multiplied_input(use: Use, index: Index, source: int) -> Worked:
    positions = _in_y(use, index, source)
    terms = Terms.of(use.upstream(positions), *_each(use, positions, leave_out=source))
    return Worked("dx = the sum of dy * (the other inputs) over all y that x multiplied", (terms,))


def _starts(use: Use) -> tuple[int, list[int]]:
    """(axis, where each input starts along it)."""
    axis = use.cache.axis
    return axis, [0, *itertools.accumulate(x.shape[axis] for x in use.xs)]


def _concatenated(use: Use, index: Index) -> Worked:
    axis, starts = _starts(use)
    source = max(k for k in range(len(use.xs)) if starts[k] <= index[axis])
    inside = tuple(i - starts[source] if a == axis else i for a, i in enumerate(index))
    return copied(use, place(inside), f"y = a copy of x{source}", source)


def _concatenated_input(use: Use, index: Index, source: int) -> Worked:
    axis, starts = _starts(use)
    return handed_back(
        use, at(*(i + starts[source] if a == axis else i for a, i in enumerate(index))), "dx = a copy of dy"
    )


RULES = {
    Add: Rule(_added, _added_input),
    Multiply: Rule(_multiplied, _multiplied_input),
    Concatenate: Rule(_concatenated, _concatenated_input),
}
