"""Layers by name, and their weights by address: ``"conv1_1/kernel"``, everywhere.

An address is the name of a layer, "/", and the name of one of its arrays. Files, optimisers, reports and the transfer
to Keras all speak of weights that way.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.layers.base import Layer, Params
from minicnn.shapes import Array


class NamedLayers:
    """The layers of the network ``name``, each once, in the order of data. ``taken`` are names that no layer may have.

    Layers that have only their default name get Keras's numbering: conv2d, conv2d_1, ...
    """

    def __init__(self, name: str, taken: Sequence[str] = ()) -> None:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise OptionError(explain("a name for the network that can be seen", repr(name)))
        self.name = name
        self.layers: list[Layer] = []
        self._owner: dict[str, Layer | None] = dict.fromkeys(taken)  # of every name

    def _take(self, layer: Layer) -> None:
        """Count ``layer`` among the network's own, under a name that addresses its weights."""
        if not isinstance(layer, Layer):
            raise OptionError(explain("a minicnn layer", repr(layer), "For example Conv2D(16, 3)."))
        if self._owner.get(layer.name) is layer:
            return
        if layer.name in self._owner and layer.has_default_name:
            layer.name = next(name for i in itertools.count(1) if (name := f"{layer.name}_{i}") not in self._owner)
        if layer.name in self._owner:
            raise OptionError(
                explain("a name for every layer of its own", f"'{layer.name}' twice", "Names address weights.")
            )
        layer.has_default_name = False  # from now on its name is an address: no other network may change it
        self._owner[layer.name] = layer
        self.layers.append(layer)

    @property
    def parameters(self) -> Params:
        """Every learned array under its address, ``"layer/parameter"``. The arrays themselves, not copies."""
        return {f"{layer.name}/{key}": array for layer in self.layers for key, array in layer.params.items()}

    @property
    def state(self) -> Params:
        """Every moving statistic under its address. The arrays themselves, not copies."""
        return {f"{layer.name}/{key}": array for layer in self.layers for key, array in layer.state.items()}

    @property
    def weights(self) -> Params:
        """``parameters`` and ``state`` together: what a file must hold."""
        return {
            f"{layer.name}/{key}": array for layer in self.layers for key, array in (layer.params | layer.state).items()
        }

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Copy ``weights`` in. All of them must be there, with the right shapes; otherwise nothing is changed.

        Raises ShapeError that names every address that does not fit. Numbers of another real type are converted.
        """
        own, weights = self.weights, {address: np.asarray(array) for address, array in weights.items()}
        problems = [f"missing {address}" for address in own.keys() - weights.keys()]
        problems += [f"unknown {address}" for address in weights.keys() - own.keys()]
        for address in own.keys() & weights.keys():
            came, needed = weights[address], own[address].shape
            if came.shape != needed or came.dtype.kind not in "fiub":
                problems.append(f"{address} is {came.dtype} of shape {came.shape}, needs numbers of shape {needed}")
        if problems:
            raise ShapeError(explain(f"weights that fit '{self.name}'", "; ".join(sorted(problems))))
        for address, array in own.items():
            array[...] = weights[address]

    @property
    def parameter_count(self) -> int:
        return sum(array.size for array in self.weights.values())

    def get_layer(self, name: str) -> Layer:
        """The layer of that name. Raises OptionError, listing the names there are."""
        layer = self._owner.get(name)
        if layer is not None:
            return layer
        raise OptionError(explain(f"a layer among {', '.join(layer.name for layer in self.layers)}", repr(name)))
