"""Layers by name, and their weights by address: ``"conv1_1/kernel"``, everywhere.

An address is the name of a layer, "/", and the name of one of its arrays. Files, optimisers, reports and the transfer
to Keras all speak of weights that way.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from minicnn.constructors import explained
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.keras_names import answers_for_keras
from minicnn.layers.base import Layer, Params
from minicnn.options import flag
from minicnn.shapes import Array


class ByAddress(dict[str, Array]):
    """The arrays of a network under their addresses. They are written to in place; this dict does not change, since
    another array in it would be nobody's. Copies are dicts like any other."""

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        fix = "Write into an array, weights['conv1/kernel'][...] = kernel, or call set_weights."
        raise OptionError(explain("the dict of a network's arrays as it is", "a change of it", fix))

    def __setitem__(self, address: str, array: Array) -> None:
        if self.get(address) is not array:  # weights[address] *= 2 puts the same array back, changed in place
            self._refuse()

    __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


@answers_for_keras(
    {
        "trainable_weights": "parameters is a dict of what learns, weights of all; get_weights() is a list.",
        "trainable_variables": "parameters is a dict of what learns, weights of all; get_weights() is a list.",
        "non_trainable_weights": "state is a dict of moving statistics.",
        "variables": "weights is a dict of all arrays by address, 'layer/name'.",
        "save_weights": "save('name.weights.h5') writes the weights alone.",
        "get_config": "config() describes the network.",
        "to_json": "config() describes the network; save() writes it to a file.",
        "input": "symbols()[0] is one like it, to read on; or up_to('name of a layer') is the network up to there.",
        "output": "symbols()[-1] is one like it, to read on; or up_to('name of a layer') is the network up to there.",
        "losses": "Penalties are not part of the loss: an optimizer can decay weights, Adam(weight_decay=1e-4).",
        "inputs": "input_names and input_shape tell of them; symbols() draws the network again, to read on.",
        "outputs": "output_shape tells of them; symbols() draws the network again, to read on.",
        "history": "fit() returns it.",
        "loss": "compiled.loss is what compile() chose.",
        "metrics": "compiled.metrics are what compile() chose.",
        "metrics_names": "evaluate() and train_on_batch() return numbers under their names.",
        "predict_on_batch": "Call the network: model(x).",
        "reset_metrics": "Every epoch and every evaluation counts anew.",
        "pop": "Make a new Sequential(model.layers[:-1]), or ask up_to('name of a layer').",
    }
)
class NamedLayers:
    """The layers of the network ``name``, each once, in the order of data. ``taken`` are names that no layer may have.

    Layers that have only their default name get Keras's numbering: conv2d, conv2d_1, ...
    """

    def __init__(self, name: str, taken: Sequence[str] = ()) -> None:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise OptionError(explain("a name for the network that can be seen", repr(name)))
        self.name = name
        self._layers: list[Layer] = []
        self._owner: dict[str, Layer | None] = dict.fromkeys(taken)  # of every name

    def _take(self, layer: Any) -> None:
        """Count ``layer`` among the network's own, under a name that addresses its weights."""
        if not isinstance(layer, Layer):
            fix = "A network is called instead, sharing its weights: x = Input(...); Model(x, Dense(3)(network(x)))."
            fix = fix if isinstance(layer, NamedLayers) else "For example Conv2D(16, 3)."
            raise OptionError(explain("a minicnn layer", repr(layer), fix))
        if self._owner.get(layer.name) is layer:
            return
        if layer.name in self._owner and layer.has_default_name:
            layer.name = next(name for i in itertools.count(1) if (name := f"{layer.name}_{i}") not in self._owner)
        if layer.name in self._owner:
            raise OptionError(
                explain(
                    "a name for every layer of its own",
                    f"'{layer.name}' twice",
                    "Names address weights: give one with name=...",
                )
            )
        layer.has_default_name = False  # from now on its name is an address: no other network may change it
        self._owner[layer.name] = layer
        self._layers.append(layer)

    @property
    def layers(self) -> list[Layer]:
        """Every layer once. The list is the caller's own, as in Keras: the network does not change with it."""
        return list(self._layers)

    @property
    def parameters(self) -> Params:
        """Every learned array under its address, ``"layer/parameter"``. The arrays themselves, not copies."""
        return self._by_address(lambda layer: layer.params)

    @property
    def state(self) -> Params:
        """Every moving statistic under its address. The arrays themselves, not copies."""
        return self._by_address(lambda layer: layer.state)

    @property
    def weights(self) -> Params:
        """``parameters`` and ``state`` together: what a file must hold."""
        return self._by_address(lambda layer: layer.params | layer.state)

    def _by_address(self, arrays: Callable[[Layer], Params]) -> Params:
        return ByAddress((f"{layer.name}/{key}", a) for layer in self._layers for key, a in arrays(layer).items())

    def set_weights(self, weights: Any) -> None:
        """Copy ``weights`` in, a dict by address. All must be there, with the right shapes; or nothing is changed.

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
    def trainable(self) -> bool:
        """Whether anything learns: any layer, if built with parameters.

        Set, it is set for every layer, as in Keras. A network has no such flag of its own: a layer that is freed
        afterwards learns, where in Keras the network's flag would still hold it.
        """
        return any(layer.trainable for layer in self._layers if layer.params or not layer.built)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = flag("trainable", value)
        for layer in self._layers:
            layer.trainable = value

    @explained
    def get_layer(self, name: str) -> Layer:
        """The layer of that name. Raises OptionError, listing the names there are."""
        layer = self._owner.get(name)
        if layer is not None:
            return layer
        raise OptionError(explain(f"a layer among {', '.join(layer.name for layer in self._layers)}", repr(name)))
