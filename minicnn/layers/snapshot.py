"""Whether layers are as they were: looked at once, and later asked in as few instructions as Python allows.

Layers are open. Their options can be exchanged, their arrays too, or given another shape or order in place; and methods
can be put into a layer or into its class (``written.py``). What was made ready for a network holds only while nothing
of that has happened. What the arrays' numbers are is not asked here: ``ops/conv2d/prepared.Watch`` does that.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self
from weakref import ref

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.dense import Dense
from minicnn.layers.written import COMPUTE, as_written
from minicnn.shapes import Array

_how_it_lies = operator.attrgetter("shape", "strides", "dtype")
_methods = operator.attrgetter(*COMPUTE)


class Snapshot(NamedTuple):
    """Layers, their classes, and everything they have.

    Arrays of dense layers are not kept alive by this, when somebody puts others in their place: their kernels can be
    most of what a machine's memory holds. (NumPy does not resize an array to which there is a weak reference.)
    """

    layers: list[Layer]
    classes: list[type[Layer]]
    distinct: list[type[Layer]]  # each class once,
    methods: list[Any]  # and how it computes
    attributes: list[Any]  # of all layers
    dicts: list[dict[str, Array]]  # of arrays, which are among the attributes
    arrays: list[Array]
    dense_dicts: list[dict[str, Array]]
    dense_arrays: list[ref[Array]]
    lie: list[Any]  # how arrays lie in memory, those of dense layers last

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Self | None:
        """None if somebody's own methods compute, or what should be an array is none."""
        each = list(dict.fromkeys(layers))
        dicts = [held for layer in each if type(layer) is not Dense for held in (layer.params, layer.state)]
        dense_dicts = [layer.params for layer in each if type(layer) is Dense]
        arrays, dense_arrays = _values_of(dicts), _values_of(dense_dicts)
        if not as_written(*each) or not all(type(array) is np.ndarray for array in (*arrays, *dense_arrays)):
            return None
        distinct = list({type(layer) for layer in each})
        return cls(
            each,
            list(map(type, each)),
            distinct,
            list(map(_methods, distinct)),
            _values_of(map(vars, each)),
            dicts,
            arrays,
            dense_dicts,
            list(map(ref, dense_arrays)),
            list(map(_how_it_lies, (*arrays, *dense_arrays))),
        )

    def holds(self) -> bool:
        """Whether all of it is as it was, and no method was exchanged."""
        return (
            list(map(type, self.layers)) == self.classes
            and list(map(_methods, self.distinct)) == self.methods
            and _same(_values_of(map(vars, self.layers)), self.attributes)
            and _same(_values_of(self.dicts), self.arrays)
            and _same(dense := _values_of(self.dense_dicts), [old() for old in self.dense_arrays])
            and list(map(_how_it_lies, (*self.arrays, *dense))) == self.lie
        )


def _values_of(dicts: Iterable[dict[str, Any]]) -> list[Any]:
    """All values, in the order in which they stand there."""
    return [*chain.from_iterable(map(dict.values, dicts))]


def _same(now: list[Any], then: list[Any]) -> bool:
    """Whether these are the same objects. An equal one may be of another type: 1 and True."""
    return len(now) == len(then) and all(map(operator.is_, now, then))
