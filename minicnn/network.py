"""Network: a graph of layers with everything it holds, from the shapes that flow through it to its weights.

``graph.py`` says how layers are connected, ``passes.py`` how data and gradients flow. Here the graph gets its weights,
each under its address (``"conv1_1/kernel"``).
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from minicnn import passes, prediction
from minicnn.errors import DtypeError, OptionError, ShapeError, StateError, explain
from minicnn.given import as_numbers
from minicnn.graph import Graph
from minicnn.layers.base import INFERENCE, Cache, Context, Gradients, Layer, Params, Shapes, Tensors
from minicnn.layers.symbolic import Input, SymbolicTensor
from minicnn.named_layers import NamedLayers
from minicnn.shapes import Array, Shape, float_dtype, sizes, whole


class Network(NamedLayers):
    """A graph of layers, its inputs' names, and its number type. ``Model`` adds what people do with a network.

    Data go in and come out as one array, or where the graph has several inputs or outputs as a list of them. Shapes
    have no batch axis. Initial weights follow from ``seed`` and each layer's name alone. Layers that have only their
    default name get Keras's numbering within this network: conv2d, conv2d_1, ...
    """

    def __init__(self, graph: Graph, input_names: Sequence[str], *, name: str, dtype: str, seed: int) -> None:
        super().__init__(name, input_names)
        self.dtype = float_dtype(dtype)
        self.seed = whole(seed, "seed", least=0)
        self.graph = graph
        self.input_names = tuple(input_names)
        if len(set(self.input_names)) < len(self.input_names):
            raise OptionError(explain("a name for every input of its own", ", ".join(self.input_names)))
        self.shapes: list[Shape] = []  # of every value; none before the network is built
        for layer in graph.path:
            self._take(layer)

    # -- building ----------------------------------------------------------------------------------------------------

    def build(self, input_shape: Shapes, weights: Mapping[str, Array] | None = None) -> Shapes:
        """Create every layer's parameters for inputs of ``input_shape``, or take ``weights`` without a copy.

        Returns the shape of the output. Of several inputs or outputs, a list of shapes.
        """
        input_shapes = self._as_shapes(input_shape)
        shapes = self.graph.shapes(input_shapes)  # raises where shapes do not fit, before anything is made
        self.weight_shapes(input_shape)
        done: set[int] = set()
        for node in self.graph.nodes:
            layer, shape = node.layer, node.pick(shapes)
            if layer.built and (weights is None or id(layer) in done):
                self._adopt(layer, shape)
            elif weights is not None:
                layer.restore(shape, weights)
            else:
                layer.build(shape, np.random.default_rng([self.seed, zlib.crc32(layer.name.encode())]), self.dtype)
            done.add(id(layer))
        self.shapes = shapes
        return self.output_shape

    def _adopt(self, layer: Layer, shape: Shapes) -> None:
        """A layer that was built before keeps its weights, if they fit what stands here."""
        for key, array in (layer.params | layer.state).items():
            if array.dtype != self.dtype:
                raise DtypeError(
                    explain(f"'{layer.name}/{key}' in {self.dtype}", str(array.dtype), f"Use dtype='{array.dtype}'.")
                )
        needed = {key: w.shape for key, w in (layer.parameter_specs(shape) | layer.state_specs(shape)).items()}
        if needed != {key: array.shape for key, array in (layer.params | layer.state).items()}:
            fix = "A layer keeps its weights wherever it stands; they must fit."
            raise ShapeError(explain(f"inputs {layer.input_shape} for the built layer '{layer.name}'", f"{shape}", fix))
        layer.input_shape = shape

    def weight_shapes(self, input_shape: Shapes) -> dict[str, Shape]:
        """Every weight's shape under its address, for inputs of ``input_shape``. Allocates nothing."""
        shapes = self.graph.shapes(self._as_shapes(input_shape))
        found: dict[str, Shape] = {}
        for node in self.graph.nodes:
            shape = node.pick(shapes)
            specs = node.layer.parameter_specs(shape) | node.layer.state_specs(shape)
            found |= {f"{node.layer.name}/{key}": spec.shape for key, spec in specs.items()}
        return found

    def _as_shapes(self, input_shape: Shapes) -> tuple[Shape, ...]:
        several = self._each(input_shape, self.graph.inputs, "input_shape")
        return tuple(sizes(shape, "input_shape") for shape in several)

    def require_built(self) -> None:
        if not self.shapes:
            raise StateError(
                explain(
                    f"'{self.name}' to be built",
                    "a model that does not know its input's shape",
                    "Give input_shape when making it, or call build(input_shape).",
                )
            )

    @property
    def path(self) -> list[Layer]:
        """The layers in the order of data; one that is used twice stands here twice."""
        return self.graph.path

    @property
    def input_shape(self) -> Shapes | None:
        """Shape of an input, of several a list; None until the network is built."""
        return one_or_all(self.shapes[: self.graph.inputs]) if self.shapes else None

    @property
    def output_shape(self) -> Shapes:
        """Shape of an output, of several a list."""
        self.require_built()
        return one_or_all([self.shapes[value] for value in self.graph.outputs])

    # -- the two passes ----------------------------------------------------------------------------------------------

    def forward(self, x: Tensors, context: Context = INFERENCE) -> tuple[Tensors, list[Cache]]:
        """The output, and one cache per use of a layer."""
        outputs, caches = passes.forward(self.graph, self.as_inputs(x), context)
        return one_or_all(outputs), caches

    def infer(self, x: Tensors) -> Tensors:
        """Inference on one batch; keeps no cache."""
        return one_or_all(prediction.infer(self.graph, self.as_inputs(x)))

    def backward(
        self, dy: Tensors, caches: list[Cache], *, input_gradient: bool = False
    ) -> tuple[Tensors | None, Gradients]:
        """(dx or None, the gradient of every trainable parameter under its address)."""
        dys = self._each(dy, len(self.graph.outputs), "dy")
        dx, gradients = passes.backward(self.graph, dys, caches, input_gradient=input_gradient)
        return (None if dx is None else one_or_all(dx)), gradients

    def as_inputs(self, x: Tensors) -> list[Array]:
        """Numbers of any real type, in the network's dtype; anything else is an error that says what fits."""
        self.require_built()
        several = self._each(x, self.graph.inputs, "x")
        arrays = [self._as_input(part, shape) for part, shape in zip(several, self.shapes, strict=False)]
        if len({len(array) for array in arrays}) > 1:
            raise ShapeError(explain("as many of every input", f"{[len(array) for array in arrays]}"))
        return arrays

    def next_state(self, caches: list[Cache]) -> Params:
        """Moving statistics after a training step, under their addresses."""
        return passes.next_state(self.graph, caches)

    def _each(self, x: Tensors, count: int, what: str) -> list[Any]:
        """``x`` as a list with one array for each of ``count`` inputs or outputs."""
        if count == 1:
            return [x]
        if not isinstance(x, (list, tuple)) or len(x) != count:
            received = f"{len(x)} of them" if isinstance(x, (list, tuple)) else type(x).__name__
            raise ShapeError(explain(f"{what} as a list of {count} for '{self.name}'", received))
        return list(x)

    def _as_input(self, x: Any, shape: Shape) -> Array:
        if (
            type(x) is np.ndarray
            and x.dtype == self.dtype
            and x.shape[1:] == shape
            and x.ndim
            and x.size
            and x.flags.c_contiguous
        ):
            return x  # all that follows would find nothing to do; for one small picture, finding that out takes a while
        x = as_numbers(x)
        if x.shape[1:] != shape or x.ndim < 1 or len(x) == 0:
            fix = "A single picture needs a batch axis: x[None]." if x.shape == shape else ""
            expected = f"inputs (N, {', '.join(map(str, shape))}) with N >= 1 for '{self.name}'"
            raise ShapeError(explain(expected, f"shape {x.shape}", fix))
        return np.ascontiguousarray(x, dtype=self.dtype)

    # -- copies and descriptions -------------------------------------------------------------------------------------

    def symbols(self, x: Tensors | None = None) -> list[SymbolicTensor]:
        """The network drawn once more, on ``x`` or on new inputs: a symbolic tensor for each of its values.

        New layers can read on from any of them: ``Model(tensors[0], Dense(3)(tensors[-2]))`` shares all layers but the
        last.
        """
        if x is None:
            self.require_built()
            inputs = zip(self.shapes, self.input_names, strict=False)
            x = one_or_all([Input(shape, name=name) for shape, name in inputs])
        tensors: list[Any] = self._each(x, self.graph.inputs, "inputs")
        for node in self.graph.nodes:
            tensors.append(node.layer(node.pick(tensors)))
        return tensors

    def astype(self, dtype: str) -> Self:
        """A copy of the network, weights included, that computes in ``dtype``; not compiled."""
        self.require_built()
        chosen = float_dtype(dtype)
        twin = self._twin()
        twin.dtype = chosen
        for layer in twin.layers:
            layer.params = {key: array.astype(dtype) for key, array in layer.params.items()}
            layer.state = {key: array.astype(dtype) for key, array in layer.state.items()}
        return twin

    def _twin(self) -> Self:
        return copy.deepcopy(self)

    def config(self) -> dict[str, Any]:
        """What makes this network again, without its weights; only what JSON can hold.

        ``nodes`` are [name of a layer, the numbers of the values it reads]: see ``minicnn.graph``.
        """
        return {
            "name": self.name,
            "dtype": str(self.dtype),
            "seed": self.seed,
            "input_names": self.input_names,
            "input_shape": self.input_shape,
            "layers": [{"class_name": type(layer).__name__, "config": layer.config()} for layer in self.layers],
            "nodes": [[node.layer.name, node.sources] for node in self.graph.nodes],
            "outputs": self.graph.outputs,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The network that ``config`` describes, not built: no arrays yet. Layer classes come from LAYERS alone.

        Raises OptionError, LookupError, TypeError or ValueError for a description that is none.
        """
        graph, names = Graph.from_config(config), tuple(map(str, config["input_names"]))
        model = cls.__new__(cls)  # __init__ is for symbolic tensors
        Network.__init__(model, graph, names, name=config["name"], dtype=config["dtype"], seed=config["seed"])
        return model


def one_or_all(items: Sequence[Any]) -> Any:
    """The only item, or all of them as a list."""
    return items[0] if len(items) == 1 else list(items)
