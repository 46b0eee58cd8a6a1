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

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.dense import Dense
from minicnn.layers.written import COMPUTE, as_written
from minicnn.ops.calls import how_it_lies
from minicnn.shapes import Array

_methods = operator.attrgetter(*COMPUTE)


class Snapshot(NamedTuple):
    """Layers, their classes, and everything they have.

    Dense layers look for their arrays in each prediction. So others may take their place, if they lie in the same way;
    and the old ones are not kept alive by this: a dense kernel can be most of what a machine's memory holds.
    """

    layers: list[Layer]
    classes: list[type[Layer]]
    distinct: list[type[Layer]]  # each class once,
    methods: list[Any]  # and how it computes
    others: list[Layer]  # than dense ones: their attributes, among which are the dicts of arrays
    names: list[str]
    attributes: list[Any]
    dicts: list[dict[str, Array]]
    keys: list[str]
    arrays: list[Array]
    dense: list[Layer]
    dense_attributes: list[Any]  # names too; without ``params``
    dense_keys: list[str]
    lie: list[Any]  # how arrays lie in memory, those of dense layers last

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Self | None:
        """None if somebody's own methods compute, or what should be an array, or a dict of them, is none."""
        each = list(dict.fromkeys(layers))
        held = [arrays for layer in each for arrays in (layer.params, layer.state)]
        if not as_written(*each) or not all(type(arrays) is dict for arrays in held):
            return None
        if not all(type(array) is np.ndarray for array in _values_of(held)):
            return None
        distinct = list({type(layer) for layer in each})
        others, dense = ([layer for layer in each if (type(layer) is Dense) == dense] for dense in (False, True))
        dicts = [arrays for layer in others for arrays in (layer.params, layer.state)]
        params = [layer.params for layer in dense]
        arrays, of_dense = _values_of(dicts), _values_of(params)
        return cls(
            layers=each,
            classes=list(map(type, each)),
            distinct=distinct,
            methods=list(map(_methods, distinct)),
            others=others,
            names=_keys_of(map(vars, others)),
            attributes=_values_of(map(vars, others)),
            dicts=dicts,
            keys=_keys_of(dicts),
            arrays=arrays,
            dense=dense,
            dense_attributes=_of_dense(dense),
            dense_keys=_keys_of(params),
            lie=list(map(how_it_lies, (*arrays, *of_dense))),
        )

    def holds(self) -> bool:
        """Whether all of it is as it was, and no method was exchanged."""
        return (
            list(map(type, self.layers)) == self.classes
            and list(map(_methods, self.distinct)) == self.methods
            and _same(_values_of(map(vars, self.others)), self.attributes)
            and _keys_of(map(vars, self.others)) == self.names
            and _same(_values_of(self.dicts), self.arrays)
            and _keys_of(self.dicts) == self.keys
            and self._dense_holds()
        )

    def _dense_holds(self) -> bool:
        """The same of dense layers; and how all arrays lie."""
        params = [layer.params for layer in self.dense]
        if not _same(_of_dense(self.dense), self.dense_attributes) or not all(type(held) is dict for held in params):
            return False
        of_dense = _values_of(params)
        return (
            _keys_of(params) == self.dense_keys
            and all(type(array) is np.ndarray for array in of_dense)
            and list(map(how_it_lies, (*self.arrays, *of_dense))) == self.lie
        )


def _values_of(dicts: Iterable[dict[str, Any]]) -> list[Any]:
    """All values, in the order in which they stand there."""
    return [*chain.from_iterable(map(dict.values, dicts))]


def _keys_of(dicts: Iterable[dict[str, Any]]) -> list[str]:
    return [*chain.from_iterable(dicts)]


def _of_dense(layers: Iterable[Layer]) -> list[Any]:
    """Names and values of what dense layers have beside their ``params``."""
    return [each for layer in layers for item in list(vars(layer).items()) if item[0] != "params" for each in item]


def _same(now: list[Any], then: list[Any]) -> bool:
    """Whether these are the same objects. An equal one may be of another type: 1 and True."""
    return len(now) == len(then) and all(map(operator.is_, now, then))
