"""Sequential: layers in a row, each one's output the next one's input.

Forward, the data walks through the layers and every layer leaves a cache behind. Backward, the gradient walks through
the same layers from the last to the first, and each turns the gradient of its output into the gradient of its input:

    y  = f3(f2(f1(x)))        dx = f1'(f2'(f3'(dy)))
"""

from __future__ import annotations

import copy
import itertools
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from minicnn.compiled import Compiled
from minicnn.errors import DtypeError, LoadError, MinicnnError, OptionError, ShapeError, explain
from minicnn.fusion import fuse
from minicnn.io.models import read_config, read_weights
from minicnn.layers import LAYERS
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Params
from minicnn.model import Model
from minicnn.shapes import Array, Shape, float_dtype, whole


class Sequential(Model):
    """A network whose layers stand in a row.

    ``input_shape`` has no batch axis: ``(200, 200, 1)``. Without it, the parameters are made when the first data
    arrive. Initial weights follow from ``seed`` and each layer's name alone. Layers that have only their default name
    get Keras's numbering: conv2d, conv2d_1, ... One layer object may stand in several places: it then shares its
    weights, and its gradients add up.
    """

    def __init__(
        self,
        layers: Sequence[Layer] = (),
        *,
        input_shape: Shape | None = None,
        name: str = "sequential",
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__((), name=name, dtype=dtype, seed=seed)
        self.path: list[Layer] = []  # in the order of data; self.layers holds each object once
        for layer in layers:
            self.add(layer)
        if input_shape is not None:
            self.build(tuple(input_shape))

    def add(self, layer: Layer) -> None:
        """Put a layer at the end."""
        if not isinstance(layer, Layer):
            raise OptionError(explain("a minicnn layer", repr(layer), "For example Conv2D(16, 3)."))
        if self.input_shape is not None:
            raise OptionError(explain("layers to be added before the model is built", f"'{layer.name}' after it"))
        self.path.append(layer)
        if any(layer is other for other in self.layers):
            return
        taken = {other.name for other in self.layers}
        if layer.name in taken and layer.has_default_name:
            layer.name = next(name for i in itertools.count(1) if (name := f"{layer.name}_{i}") not in taken)
        if layer.name in taken:
            raise OptionError(
                explain("a name for every layer of its own", f"'{layer.name}' twice", "Names address weights.")
            )
        layer.has_default_name = False  # from now on its name is an address: no other model may change it
        self.layers.append(layer)

    def build(self, input_shape: Shape, weights: Mapping[str, Array] | None = None) -> Shape:
        """Create the parameters for inputs of ``input_shape`` (no batch axis), or take ``weights`` without a copy."""
        if not self.path:
            raise OptionError(explain("a model with layers", "an empty Sequential", "Add layers before building."))
        input_shape = tuple(whole(size, "a size in input_shape") for size in input_shape)
        self._weight_shapes(input_shape)  # raises where shapes do not fit, before anything is made
        shape = input_shape
        for layer in self.path:
            if weights is not None:
                shape = layer.restore(shape, weights)
            elif layer.built:
                shape = self._adopt(layer, shape)
            else:
                rng = np.random.default_rng([self.seed, zlib.crc32(layer.name.encode())])
                shape = layer.build(shape, rng, self.dtype)
        self.input_shape = input_shape
        self._output_shape = shape
        return shape

    def _adopt(self, layer: Layer, shape: Shape) -> Shape:
        """A layer that was built before keeps its weights, if they fit what stands here."""
        for key, array in (layer.params | layer.state).items():
            if array.dtype != self.dtype:
                raise DtypeError(
                    explain(f"'{layer.name}/{key}' in {self.dtype}", str(array.dtype), f"Use dtype='{array.dtype}'.")
                )
        if layer.params and shape != layer.input_shape:
            fix = "A layer with weights takes the same shape wherever it stands."
            raise ShapeError(explain(f"inputs {layer.input_shape} for the built layer '{layer.name}'", f"{shape}", fix))
        layer.input_shape = shape
        return layer.output_shape(shape)

    @property
    def output_shape(self) -> Shape:
        self.require_built()
        return self._output_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, list[Cache]]:
        y = self._as_input(x)
        caches: list[Cache] = []
        for stage in fuse(self.path):
            y, own = stage.forward(y, context)
            caches += own
        return y, caches

    def __call__(self, x: Array) -> Array:
        y = self._as_input(x)
        for stage in fuse(self.path):
            y = stage(y)
        return y

    def backward(self, dy: Array, caches: list[Cache], *, input_gradient: bool = False) -> tuple[Array | None, Params]:
        lowest = 0 if input_gradient else self._lowest_trainable()
        gradients: Params = {}
        upstream: Array | None = dy
        for position in range(len(self.path) - 1, lowest - 1, -1):
            layer = self.path[position]
            assert upstream is not None
            upstream, own = layer.backward(
                upstream, caches[position], input_gradient=input_gradient or position > lowest
            )
            for key, gradient in own.items():
                address = f"{layer.name}/{key}"
                gradients[address] = gradients[address] + gradient if address in gradients else gradient
        return (upstream if input_gradient else None), gradients

    def _lowest_trainable(self) -> int:
        """Below this position nobody needs a gradient, so backward stops there."""
        learning = (i for i, layer in enumerate(self.path) if layer.trainable and layer.params)
        return next(learning, len(self.path))

    def next_state(self, caches: list[Cache]) -> Params:
        return {
            f"{layer.name}/{key}": value
            for layer, cache in zip(self.path, caches, strict=True)
            for key, value in layer.next_state(cache).items()
        }

    def astype(self, dtype: str) -> Self:
        self.require_built()
        chosen = float_dtype(dtype)
        twin = copy.deepcopy(self, {id(self._compiled): None})  # without the optimiser and all it remembers
        twin.dtype = chosen
        for layer in twin.layers:
            layer.params = {key: array.astype(dtype) for key, array in layer.params.items()}
            layer.state = {key: array.astype(dtype) for key, array in layer.state.items()}
        return twin

    def config(self) -> dict[str, Any]:
        """What makes this network again, without its weights; shared layers cannot be written down this way."""
        if len(self.path) != len(self.layers):
            raise OptionError(
                explain("each layer once, to write the network down", "a layer that stands in two places")
            )
        return {
            "name": self.name,
            "dtype": str(self.dtype),
            "seed": self.seed,
            "input_shape": self.input_shape,
            "layers": [{"class_name": type(layer).__name__, "config": layer.config()} for layer in self.layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The network that ``config`` describes, not built: no arrays yet. Layer classes come from LAYERS alone."""
        layers = []
        for row in config["layers"]:
            if row["class_name"] not in LAYERS:
                raise OptionError(explain(f"layers among {', '.join(LAYERS)}", repr(row["class_name"])))
            layers.append(LAYERS[row["class_name"]](**row["config"]))
        return cls(layers, name=config["name"], dtype=config["dtype"], seed=config["seed"])

    @classmethod
    def load(cls, path: str | Path, *, allow_nan: bool = False) -> Self:
        """A network that ``save`` wrote, ready to predict, and to go on training if it was compiled.

        The file is not trusted: every array's shape and dtype is compared with what the architecture needs before
        room is made for it, and nothing in the file is ever run. Raises LoadError, naming the file and the reason;
        also for weights that are NaN or infinite, unless ``allow_nan``.
        """
        config, training = read_config(path, cls.__name__)
        try:
            model = cls.from_config(config)
            input_shape = tuple(whole(size, "input_shape") for size in config["input_shape"])
            shapes = model._weight_shapes(input_shape)
            slots = {address: shapes[address.split("/", 1)[1]] for address in training["slots"]} if training else {}
        except (MinicnnError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise LoadError(f"Cannot load '{path}': its description of the model is damaged ({error}).") from error
        weights, remembered = read_weights(path, shapes, model.dtype, slots, allow_nan=allow_nan)
        try:
            model.build(input_shape, weights)
            if training:
                model._compiled = Compiled.resume(training, remembered)
        except (MinicnnError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise LoadError(f"Cannot load '{path}': its training cannot be resumed ({error}).") from error
        return model

    def _weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Every weight's shape under its address, for inputs of ``input_shape``. Allocates nothing."""
        shapes: dict[str, Shape] = {}
        shape = input_shape
        for layer in self.path:
            output = layer.output_shape(shape)
            specs = layer.parameter_specs(shape) | layer.state_specs(shape)
            shapes |= {f"{layer.name}/{key}": spec.shape for key, spec in specs.items()}
            shape = output
        return shapes

    def _as_input(self, x: Array) -> Array:
        """Numbers of any real type, in the model's dtype; anything else is an error that says what fits."""
        self.require_built()
        x = np.asarray(x)
        assert self.input_shape is not None
        if x.dtype.kind not in "fiub":
            raise DtypeError(explain("numbers", f"dtype {x.dtype}", "Convert pictures with x.astype('float32')."))
        if x.shape[1:] != self.input_shape or x.ndim < 1 or len(x) == 0:
            fix = "A single picture needs a batch axis: x[None]." if x.shape == self.input_shape else ""
            raise ShapeError(
                explain(
                    f"inputs (N, {', '.join(map(str, self.input_shape))}) with N >= 1 for '{self.name}'",
                    f"shape {x.shape}",
                    fix,
                )
            )
        return np.ascontiguousarray(x, dtype=self.dtype)
