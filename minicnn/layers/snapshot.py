"""Whether layers are as they were: looked at once, and later asked in as few instructions as Python allows.

Layers are open. Their options can be exchanged, their arrays too, or given another shape or order in place; and methods
can be put into a layer or into its class (``written.py``). What was made ready for a network holds only while nothing
of that has happened. What the arrays' numbers are is not asked here: ``ops/conv2d/prepared.Watch`` does that.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np

from minicnn.initializers import Initializer
from minicnn.layers.base import Layer
from minicnn.layers.dense import Dense
from minicnn.layers.written import COMPUTE, as_written
from minicnn.ops.calls import how_it_lies
from minicnn.shapes import Array

NO_OPTIONS = {"params", "state", "name", "has_default_name", "trainable"}  # of a prediction, and initializers

_methods = operator.attrgetter(*COMPUTE)
_dicts = operator.attrgetter("params", "state")


class Snapshot(NamedTuple):
    """Layers, their classes, and what their predictions follow from.

    Dense layers look for their arrays in each prediction. So others may take their place, if they lie in the same way;
    and the old ones are not kept alive by this: a dense kernel can be most of what a machine's memory holds.
    """

    layers: list[Layer]
    classes: list[type[Layer]]
    distinct: list[type[Layer]]  # each class once,
    methods: list[Any]  # and how it computes
    sizes: list[int]  # how many attributes each layer has
    readers: list[Callable[[Any], Any]]  # of each layer's options,
    options: list[Any]  # and these, of all layers
    holders: list[Layer]  # of arrays, dense layers last
    lengths: list[int]  # of their dicts: what learns, and what is watched
    keys: list[str]
    arrays: list[Array]  # but for those of dense layers
    lie: list[Any]  # how arrays lie in memory

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Self | None:
        """None if somebody's own methods compute, or what should be an array, or a dict of them, is none."""
        each = list(dict.fromkeys(layers))
        holders = sorted((layer for layer in each if layer.params or layer.state), key=_is_dense)
        dicts = _dicts_of(holders)
        if not as_written(*each) or not {*map(type, dicts)} <= {dict}:
            return None
        arrays = _values_of(dicts)
        if not all(type(array) is np.ndarray for array in arrays):
            return None
        distinct, readers = list({type(layer) for layer in each}), list(map(_reader, each))
        return cls(
            layers=each,
            classes=list(map(type, each)),
            distinct=distinct,
            methods=list(map(_methods, distinct)),
            sizes=list(map(len, map(vars, each))),
            readers=readers,
            options=_read(readers, each),
            holders=holders,
            lengths=list(map(len, dicts)),
            keys=[*chain.from_iterable(dicts)],
            arrays=_values_of(_dicts_of([layer for layer in holders if not _is_dense(layer)])),
            lie=list(map(how_it_lies, arrays)),
        )

    def holds(self) -> bool:
        """Whether all of it is as it was, and no method was exchanged."""
        try:
            return self._holds()
        except (KeyError, AttributeError):  # an attribute that is gone, an array that is none
            return False

    def _holds(self) -> bool:
        layers, dicts = self.layers, _dicts_of(self.holders)
        options = _read(self.readers, layers)
        return (
            list(map(type, layers)) == self.classes
            and list(map(_methods, self.distinct)) == self.methods
            and list(map(len, map(vars, layers))) == self.sizes
            and all(map(operator.is_, options, self.options))  # one that is equal may be True, and not 1
            and {*map(type, dicts)} <= {dict}
            and list(map(len, dicts)) == self.lengths
            and [*chain.from_iterable(dicts)] == self.keys
            and all(map(operator.is_, arrays := _values_of(dicts), self.arrays))
            and list(map(how_it_lies, arrays)) == self.lie
        )


def _is_dense(layer: Layer) -> bool:
    return type(layer) is Dense


def _reader(layer: Layer) -> Callable[[Any], Any]:
    """What takes a layer's options out of its attributes."""
    names = [n for n, v in vars(layer).items() if n not in NO_OPTIONS and not isinstance(v, Initializer)]
    return operator.itemgetter(*names, names[0])  # two at least: of one, it would not make a tuple


def _read(readers: Sequence[Callable[[Any], Any]], layers: Sequence[Layer]) -> list[Any]:
    return [*chain.from_iterable(map(operator.call, readers, map(vars, layers)))]


def _dicts_of(layers: Sequence[Layer]) -> list[dict[str, Array]]:
    return [*chain.from_iterable(map(_dicts, layers))]


def _values_of(dicts: Sequence[dict[str, Array]]) -> list[Array]:
    """All values, in the order in which they stand there."""
    return [*chain.from_iterable(map(dict.values, dicts))]
