"""A network as an ONNX model, which ONNX Runtime, OpenVINO and many others compute.

ONNX puts channels before pixels, (N, C, H, W), and so do its kernels, (F, C, KH, KW). Three things follow:

- the input is turned round once, at the start, and the output back at the end, so that outsiders see the network as
  minicnn has it; with ``channels_first`` both stay as ONNX has them;
- padding "same" becomes numbers, because Keras puts the odd one after and not all runtimes do;
- Flatten would put numbers into another order. If a dense layer follows, the rows of its kernel are put into that order
  too, which costs nothing later; otherwise pictures are turned back first.

ReLU, batch normalisation and the rest stay nodes of their own: fusing is the runtime's job. Dropout does nothing in
inference and has no node. ``OPERATORS`` has a line per layer. The package ``onnx`` comes with the extra ``files``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain, missing
from minicnn.io.atomic import atomic_write
from minicnn.io.channels_first import TO_FIRST, TO_LAST, turned
from minicnn.layers import LAYERS
from minicnn.layers.base import Layer
from minicnn.ops.unit_normalization import EPSILON
from minicnn.shapes import Array, Shape

OPSET = 17
IR_VERSION = 8  # of the file format: old enough for every reader
PASSING = ("ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Dropout")  # every number for itself, whatever the order


@dataclass(frozen=True)
class Value:
    """What flows: its name in ONNX, its shape as minicnn has it (no batch axis), and whether channels come first.

    ``flattened``: the (H, W, C) whose numbers lie in the order (C, H, W) although the shape is flat.
    """

    name: str
    shape: Shape
    first: bool = False
    flattened: Shape = ()


@dataclass
class Builder:
    """Nodes and constants as they come."""

    helper: Any
    dtype: np.dtype[Any]
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(self.helper.make_node(kind, inputs, [f"{name}:y"], name=name, **attributes))
        return f"{name}:y"

    def constant(self, name: str, array: Any, dtype: Any = None) -> str:
        """Add an array that nodes can name."""
        self.constants[name] = np.ascontiguousarray(array, dtype or self.dtype)
        return name

    def turn(self, value: Value, first: bool) -> Value:
        """Pictures with channels first, or last; anything else as it is."""
        if len(value.shape) != 3 or value.first == first:
            return value
        order = TO_FIRST if first else TO_LAST
        name = self.node("Transpose", [value.name], f"{value.name}:{'first' if first else 'last'}", perm=order)
        return replace(value, name=name, first=first)


Operator = Callable[[Builder, Layer, Value, Mapping[str, Array]], Value]


def write_onnx(path: str | Path, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Write a ``Sequential.config()`` and its weights. The file appears complete or not at all."""
    with atomic_write(path) as file:
        file.write(onnx_model(config, weights).SerializeToString())


def onnx_model(
    config: Mapping[str, Any], weights: Mapping[str, Array], *, batch: int | None = None, channels_first: bool = False
) -> Any:
    """An ``onnx.ModelProto`` with input "x" and output "y", each with a batch axis: any size, or ``batch``.

    Raises OptionError for a layer that has no line in ``OPERATORS`` and for networks beyond protobuf's 2 GB,
    MissingDependencyError without the package onnx.
    """
    onnx = load_onnx()
    if sum(array.nbytes for array in weights.values()) >= 2**31 - 2**20:
        raise OptionError(explain("less than 2 GB of weights for one .onnx file", "more", "Save it as .safetensors."))
    layers = [LAYERS[row["class_name"]](**row["config"]) for row in config["layers"]]
    shape: Shape = tuple(config["input_shape"])
    builder = Builder(onnx.helper, np.dtype(config["dtype"]))
    picture = len(shape) == 3 and channels_first
    value = Value("x", shape, first=picture)
    size = "N" if batch is None else batch
    axes = [[size, *(_as_first(shape) if picture else shape)]]
    for place, layer in enumerate(layers):
        own = {key.split("/", 1)[1]: array for key, array in weights.items() if key.startswith(f"{layer.name}/")}
        translate = OPERATORS.get(type(layer).__name__)
        if translate is None:
            raise OptionError(explain(f"layers among {', '.join(OPERATORS)} to write ONNX", type(layer).__name__))
        if type(layer).__name__ == "Flatten":
            following = next((kind for kind in map(_kind, layers[place + 1 :]) if kind not in PASSING), "")
            value = value if following == "Dense" else builder.turn(value, first=False)
        value = replace(translate(builder, layer, value, own), shape=layer.output_shape(value.shape))
    value = builder.turn(value, first=channels_first)
    builder.nodes.append(onnx.helper.make_node("Identity", [value.name], ["y"], name="y"))
    axes.append([size, *(_as_first(value.shape) if value.first else value.shape)])
    element = onnx.helper.np_dtype_to_tensor_dtype(builder.dtype)
    x, y = (onnx.helper.make_tensor_value_info(name, element, a) for name, a in zip("xy", axes, strict=True))
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in builder.constants.items()]
    graph = onnx.helper.make_graph(builder.nodes, str(config["name"]), [x], [y], constants)
    opset = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="minicnn")


def load_onnx() -> Any:
    """The module onnx. Raises MissingDependencyError, naming the extra, when it is not installed."""
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise missing("onnx", "files", "Writing an ONNX file") from None


def _kind(layer: Layer) -> str:
    return type(layer).__name__


def _as_first(shape: Shape) -> Shape:
    return (shape[2], *shape[:2])


def _axis(value: Value, axis: int) -> int:
    """An axis as minicnn counts it (batch 0, channels last) -> where it is in ONNX."""
    axis %= len(value.shape) + 1
    return TO_FIRST.index(axis) if value.first else axis


def _window(builder: Builder, layer: Any, value: Value) -> dict[str, Any]:
    (top, bottom), (left, right) = layer.window.pads(*value.shape[:2])
    return {"kernel_shape": layer.window.size, "strides": layer.window.strides, "pads": (top, left, bottom, right)}


def _convolution(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    groups = value.shape[-1] if _kind(layer) == "DepthwiseConv2D" else layer.groups
    value = builder.turn(value, first=True)
    kernel = builder.constant(f"{layer.name}:kernel", turned(_kind(layer), own["kernel"]))
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    window = _window(builder, layer, value) | {"dilations": layer.window.dilation, "group": groups}
    return replace(value, name=builder.node("Conv", [value.name, kernel, *bias], layer.name, **window))


def _pooling(kind: str, **attributes: Any) -> Operator:
    def translate(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
        value = builder.turn(value, first=True)
        window = _window(builder, layer, value)
        return replace(value, name=builder.node(kind, [value.name], layer.name, **window, **attributes))

    return translate


def _global_pooling(kind: str) -> Operator:
    def translate(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
        value = builder.turn(value, first=True)
        name = builder.node(kind, [value.name], layer.name)  # (N, C, 1, 1)
        if layer.keepdims:
            return replace(value, name=name)
        return Value(builder.node("Flatten", [name], f"{layer.name}:flat"), ())

    return translate


def _padding(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    value = builder.turn(value, first=True)
    (top, bottom), (left, right) = layer.padding
    pads = builder.constant(f"{layer.name}:pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    return replace(value, name=builder.node("Pad", [value.name, pads], layer.name))


def _dense(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    if len(value.shape) == 1:
        kernel = builder.constant(f"{layer.name}:kernel", turned("Dense", own["kernel"], value.flattened))
        return Value(builder.node("Gemm", [value.name, kernel, *bias], layer.name, transB=1), ())
    value = builder.turn(value, first=False)  # each position for itself: channels must be last
    kernel = builder.constant(f"{layer.name}:kernel", own["kernel"])
    name = builder.node("MatMul", [value.name, kernel], layer.name)
    return Value(builder.node("Add", [name, *bias], f"{layer.name}:added") if bias else name, ())


def _batch_normalization(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    if len(value.shape) not in (1, 3):  # ONNX has the channels on axis 1
        order = [0, len(value.shape), *range(1, len(value.shape))]
        value = replace(value, name=builder.node("Transpose", [value.name], f"{layer.name}:first", perm=order))
    value = builder.turn(value, first=True)
    mean = own["moving_mean"]
    filled = {"gamma": np.ones_like(mean), "beta": np.zeros_like(mean), **own}
    keys = ("gamma", "beta", "moving_mean", "moving_variance")
    inputs = [value.name, *(builder.constant(f"{layer.name}:{key}", filled[key]) for key in keys)]
    name = builder.node("BatchNormalization", inputs, layer.name, epsilon=layer.epsilon)
    if len(value.shape) not in (1, 3):
        back = [0, *range(2, len(value.shape) + 1), 1]
        name = builder.node("Transpose", [name], f"{layer.name}:last", perm=back)
    return replace(value, name=name)


def _elementwise(kind: str, **options: str) -> Operator:
    """``options``: {attribute in ONNX: attribute of the layer}."""

    def translate(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
        attributes = {key: getattr(layer, name) for key, name in options.items()}
        return replace(value, name=builder.node(kind, [value.name], layer.name, **attributes))

    return translate


def _softmax(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    return replace(value, name=builder.node("Softmax", [value.name], layer.name, axis=_axis(value, layer.axis)))


def _unit_normalization(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    axes = [_axis(value, axis) for axis in layer.axes]
    length = builder.node("ReduceL2", [value.name], f"{layer.name}:length", axes=axes, keepdims=1)
    least = builder.node("Max", [length, builder.constant(f"{layer.name}:least", EPSILON)], f"{layer.name}:above")
    return replace(value, name=builder.node("Div", [value.name, least], layer.name))


def _flatten(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
    return Value(builder.node("Flatten", [value.name], layer.name), (), flattened=value.shape if value.first else ())


def _nothing(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
    return value


OPERATORS: dict[str, Operator] = {
    "Dense": _dense,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "ZeroPadding2D": _padding,
    "MaxPooling2D": _pooling("MaxPool"),
    "AveragePooling2D": _pooling("AveragePool", count_include_pad=0),
    "GlobalMaxPooling2D": _global_pooling("GlobalMaxPool"),
    "GlobalAveragePooling2D": _global_pooling("GlobalAveragePool"),
    "Flatten": _flatten,
    "ReLU": _elementwise("Relu"),
    "LeakyReLU": _elementwise("LeakyRelu", alpha="negative_slope"),
    "ELU": _elementwise("Elu", alpha="alpha"),
    "Sigmoid": _elementwise("Sigmoid"),
    "Tanh": _elementwise("Tanh"),
    "Softmax": _softmax,
    "Dropout": _nothing,
    "BatchNormalization": _batch_normalization,
    "UnitNormalization": _unit_normalization,
}
