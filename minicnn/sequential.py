"""Sequential: layers in a row, each one's output the next one's input.

    y = f3(f2(f1(x)))

Most networks are that. How the data walk through the layers, and the gradients back, is in ``passes.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from minicnn.errors import MinicnnError, OptionError, explain
from minicnn.graph import Graph
from minicnn.layers import layers_from
from minicnn.layers.base import Layer, Shapes
from minicnn.layers.symbolic import DEFAULT_INPUT, SymbolicTensor
from minicnn.model import Model
from minicnn.network import Network
from minicnn.shapes import Array, Shape


class Sequential(Model):
    """A network whose layers stand in a row.

    ``input_shape`` has no batch axis: ``(200, 200, 1)``. An ``Input`` at the head of ``layers`` says the same, as in
    Keras. Without either, ``fit`` and ``train_on_batch`` make the parameters for the first data. Initial weights follow
    from ``seed`` and each layer's name alone. Layers that have only their default name get Keras's numbering: conv2d,
    conv2d_1, ... One layer object may stand in several places: it then shares its weights, and its gradients add up.
    """

    def __init__(
        self,
        layers: Iterable[Layer | SymbolicTensor] = (),
        *,
        input_shape: Shape | None = None,
        name: str = "sequential",
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        Network.__init__(self, Graph.row(()), (DEFAULT_INPUT,), name=name, dtype=dtype, seed=seed)
        if not isinstance(layers, Iterable):
            raise OptionError(explain("a list of layers", repr(layers), "A single one is a list too: [layer]."))
        self._input: Shape | None = None  # what an Input said that was added
        rows: list[Any] = list(layers)
        if rows and _is_input(rows[0]):
            if input_shape is not None:
                raise OptionError(explain("input_shape, or an Input in front", "both", "Leave one of them out."))
            input_shape = rows.pop(0).shape
        for layer in rows:
            self.add(layer)
        if input_shape is not None:
            self.build(input_shape)

    def add(self, layer: Layer | SymbolicTensor) -> None:
        """Put a layer at the end, or an ``Input`` in front of all. What was built before keeps its weights.

        Raises OptionError for what is no layer, and ShapeError, changing nothing, for one that does not fit.
        """
        if isinstance(layer, SymbolicTensor):
            if not _is_input(layer) or self.graph.nodes or self._input:
                fix = "A network that branches is drawn: Model(inputs, outputs)."
                raise OptionError(explain("layers, and one Input in front of them", repr(layer), fix))
            self._input = layer.shape
            return
        reads = self.output_shape if self.shapes else self._input
        before = self.graph, list(self._layers), dict(self._owner)
        own = dict(vars(layer)) if isinstance(layer, Layer) else {}
        try:
            self._take(layer)
            self.graph = self.graph.followed_by(layer)
            if reads is not None:
                self.build(self.shapes[0] if self.shapes else reads)
        except MinicnnError:
            self.graph, self._layers, self._owner = before
            for name, value in own.items():
                setattr(layer, name, value)
            raise

    def build(self, input_shape: Shapes, weights: Mapping[str, Array] | None = None) -> Shapes:
        if not self.graph.nodes:
            raise OptionError(explain("a model with layers", "an empty Sequential", "Add layers before building."))
        return super().build(input_shape, weights)

    def config(self) -> dict[str, Any]:
        """What makes this network again, without its weights; shared layers cannot be written down this way."""
        if len(self.path) != len(self.layers):
            raise OptionError(
                explain(
                    "each layer once, to write the network down",
                    "a layer that stands in two places",
                    "A Model, drawn by calling layers on an Input, can hold it: Model(x, layer(layer(x))).",
                )
            )
        config = super().config()
        return {key: config[key] for key in ("name", "dtype", "seed", "input_shape", "layers")}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The network that ``config`` describes, not built: no arrays yet. Layer classes come from LAYERS alone."""
        layers = layers_from(config["layers"])
        return cls(layers, name=config["name"], dtype=config["dtype"], seed=config["seed"])


def _is_input(thing: object) -> bool:
    return isinstance(thing, SymbolicTensor) and thing.layer is None
