"""Each layer as ONNX's operators: ``OPERATORS`` has a line per layer. See ``onnx_file.py`` for the order of axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minicnn.io.channels_first import TO_FIRST, TO_LAST, turned
from minicnn.layers.base import Layer
from minicnn.ops.unit_normalization import EPSILON
from minicnn.shapes import Array, Shape


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


def kind(layer: Layer) -> str:
    """The name of its class."""
    return type(layer).__name__


def _axis(value: Value, axis: int) -> int:
    """An axis as minicnn counts it (batch 0, channels last) -> where it is in ONNX."""
    axis %= len(value.shape) + 1
    return TO_FIRST.index(axis) if value.first else axis


def _window(builder: Builder, layer: Any, value: Value) -> dict[str, Any]:
    (top, bottom), (left, right) = layer.window.pads(*value.shape[:2])
    return {"kernel_shape": layer.window.size, "strides": layer.window.strides, "pads": (top, left, bottom, right)}


def _convolution(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    groups = value.shape[-1] if kind(layer) == "DepthwiseConv2D" else layer.groups
    value = builder.turn(value, first=True)
    kernel = builder.constant(f"{layer.name}:kernel", turned(kind(layer), own["kernel"]))
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    window = _window(builder, layer, value) | {"dilations": layer.window.dilation, "group": groups}
    return replace(value, name=builder.node("Conv", [value.name, kernel, *bias], layer.name, **window))


def _pooling(node: str, **attributes: Any) -> Operator:
    def translate(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
        value = builder.turn(value, first=True)
        window = _window(builder, layer, value)
        return replace(value, name=builder.node(node, [value.name], layer.name, **window, **attributes))

    return translate


def _global_pooling(node: str) -> Operator:
    def translate(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
        value = builder.turn(value, first=True)
        name = builder.node(node, [value.name], layer.name)  # (N, C, 1, 1)
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


def _elementwise(node: str, **options: str) -> Operator:
    """``options``: {attribute in ONNX: attribute of the layer}."""

    def translate(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
        attributes = {key: getattr(layer, name) for key, name in options.items()}
        return replace(value, name=builder.node(node, [value.name], layer.name, **attributes))

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
