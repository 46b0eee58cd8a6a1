"""Storable: a network that is looked at as a table, that gives and takes its weights as a list, and that is written to
a file and read again.

What the formats of files are is in ``minicnn.io.models``; here is what of a network goes into them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from minicnn.compiled import Compiled
from minicnn.constructors import explained
from minicnn.errors import LoadError, MinicnnError, ShapeError, explain
from minicnn.given import as_numbers
from minicnn.io.keras_graph import keras_order
from minicnn.io.models import read_config, read_weights, write_model
from minicnn.layers import LAYERS
from minicnn.losses import LOSSES
from minicnn.metrics import METRICS
from minicnn.network import Network
from minicnn.optimizers import OPTIMIZERS
from minicnn.shapes import Array
from minicnn.summary import summary_text

#: Where a file speaks of classes by their names, and the only ones that it may speak of
KNOWN: dict[str, tuple[str, Mapping[str, type]]] = {
    "layers": ("layers", LAYERS),
    "optimizer": ("an optimizer", OPTIMIZERS),
    "loss": ("a loss", LOSSES),
    "metrics": ("metrics", METRICS),
}


class Storable(Network):
    """A network and, if it was compiled, how it is trained."""

    _compiled: Compiled | None = None

    def __repr__(self) -> str:
        count = f"{len(self.layers)} layer{'s'[: len(self.layers) != 1]}"
        size = f"{self.count_params():,} parameters" if self.shapes else "not built"
        return f"<{type(self).__name__} '{self.name}': {count}, {size}>"

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of the layers: output shape, parameters, multiplications, and what each reads."""
        self.require_built()
        print_fn(summary_text(self))

    def count_params(self) -> int:
        """Numbers in all layers, moving statistics included (as Keras counts)."""
        self.require_built()
        return sum(array.size for array in self.weights.values())

    def get_weights(self) -> list[Array]:
        """Copies of all arrays as a list, in Keras's order: layer by layer, those furthest from the outputs first."""
        self.require_built()
        return [self.weights[address].copy() for address in self._keras_addresses()]

    def set_weights(self, weights: Mapping[str, Array] | Sequence[Array]) -> None:
        """Copy ``weights`` in: a dict by address, or a list in the order of ``get_weights``, which is Keras's.

        All of them must be there, with the right shapes; otherwise nothing is changed. Raises ShapeError that names
        every address that does not fit, and DtypeError for what are no numbers. Other real types are converted.
        """
        self.require_built()
        if not isinstance(weights, Mapping):
            addresses = self._keras_addresses()
            expected = f"a dict by address, or a list of {len(addresses)} arrays, for '{self.name}'"
            if not isinstance(weights, (list, tuple)):
                raise ShapeError(explain(expected, type(weights).__name__, "weights and get_weights() are such."))
            if len(weights) != len(addresses):
                raise ShapeError(explain(expected, f"a list of {len(weights)}"))
            weights = dict(zip(addresses, map(as_numbers, weights), strict=True))
        super().set_weights(weights)

    def _keras_addresses(self) -> list[str]:
        return [f"{layer.name}/{key}" for layer in keras_order(self.graph) for key in (*layer.params, *layer.state)]

    @explained
    def save(self, path: str | Path) -> None:
        """Write architecture and weights to one file. The ending of its name says how: see ``minicnn.io.models``.

        ``.npz`` alone also keeps how training went so far. The file appears complete or not at all.
        ``minicnn.load_model`` is the way back. Raises OptionError for another ending, or a layer that the format does
        not know.
        """
        self.require_built()
        training = None if self._compiled is None else self._compiled.state()
        write_model(path, type(self).__name__, self.config(), self.weights, training)

    @explained
    def load_weights(self, path: str | Path, *, allow_nan: bool = False) -> None:
        """Take over the weights of a file, whose network must have the same layers with weights: told by their names if
        those were given, else by their order, which is Keras's in its files (``io/keras_places.py``).

        Reads what ``save`` writes but ``.onnx``, and Keras's files with and without a network. All of it is read and
        checked before the first weight changes, so for a moment both are in memory. Raises LoadError, naming the file
        and the reason; also for NaN and infinity, unless ``allow_nan``.
        """
        self.require_built()
        own = self.weights
        shapes = {address: array.shape for address, array in own.items()}
        arrays, _ = read_weights(path, shapes, self.dtype, None, graph=self.graph, allow_nan=allow_nan)
        for address, array in own.items():
            array[...] = arrays[address]

    @classmethod
    def load(cls, path: str | Path, *, allow_nan: bool = False) -> Self:
        """A network that ``save`` wrote, ready to predict, and to go on training if it was compiled.

        The file is not trusted: every array's shape and dtype is compared with what the architecture needs before
        room is made for it, and nothing in the file is ever run. Raises LoadError, naming the file and the reason;
        also for weights that are NaN or infinite, unless ``allow_nan``.
        """
        config, training = read_config(path, cls.__name__)
        _refuse_own_classes(path, {**config, **(training or {})})
        try:
            model = cls.from_config(config)
            shapes = model.weight_shapes(config["input_shape"])
            slots = {address: shapes[address.split("/", 1)[1]] for address in training["slots"]} if training else {}
        except (MinicnnError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise LoadError(f"Cannot load '{path}': its description of the model is damaged ({error}).") from error
        weights, remembered = read_weights(path, shapes, model.dtype, slots, allow_nan=allow_nan)
        try:
            model.build(config["input_shape"], weights)
            if training:
                model._compiled = Compiled.resume(training, remembered)
        except (MinicnnError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise LoadError(f"Cannot load '{path}': its training cannot be resumed ({error}).") from error
        return model

    def _twin(self) -> Self:
        return copy.deepcopy(self, {id(self._compiled): None})  # neither the optimiser nor what it remembers


def _refuse_own_classes(path: str | Path, about: Mapping[str, Any]) -> None:
    """Nothing is wrong with a file whose layers or loss are somebody's own; but no code is run because a file asks for
    it."""
    for part, (kind, known) in KNOWN.items():
        rows = about.get(part)
        named = [row.get("class_name") for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]
        classes = {*known, *(cls.__name__ for cls in known.values())}
        own = sorted({name for name in named if isinstance(name, str) and name not in classes})
        if own:
            fix = "If a class of that name is yours: build the network in code, then call its load_weights(path)."
            raise LoadError(
                f"Cannot load '{path}': {explain(f'{kind} that minicnn has', f'{str(own)[1:-1]:.200}', fix)}"
            )
