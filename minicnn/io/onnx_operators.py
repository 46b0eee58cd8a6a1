"""Each layer as ONNX's operators: ``OPERATORS`` has a line per layer. See ``onnx_file.py`` for the order of axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minicnn.io import onnx_pictures as pictures
from minicnn.io.channels_first import turned
from minicnn.io.onnx_activations import activation
from minicnn.io.onnx_builder import Builder, Operator, Value
from minicnn.layers.base import Layer
from minicnn.ops.unit_normalization import EPSILON
from minicnn.shapes import Array


def _dense(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    if len(value.shape) == 1:
        order = "".join(f":{size}" for size in value.flattened)  # a shared layer may read several
        kernel = builder.constant(f"{layer.name}:kernel{order}", turned("Dense", own["kernel"], value.flattened))
        return Value(builder.node("Gemm", [value.name, kernel, *bias], layer.name, transB=1), ())
    value = builder.turn(value, first=False)  # each position for itself: channels must be last
    kernel = builder.constant(f"{layer.name}:matrix", own["kernel"])
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


def _layer_normalization(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """From its parts: ONNX's own wants the axes at the end, and in float32."""
    value = builder.turn(value, first=False)
    sizes, name = (1, *value.shape), layer.name
    axes = sorted(axis % len(sizes) for axis in layer.axes)
    mean = builder.node("ReduceMean", [value.name], f"{name}:mean", axes=axes, keepdims=1)
    centred = builder.node("Sub", [value.name, mean], f"{name}:centred")
    squares = builder.node("Mul", [centred, centred], f"{name}:squares")
    variance = builder.node("ReduceMean", [squares], f"{name}:variance", axes=axes, keepdims=1)
    above = builder.node("Add", [variance, builder.constant(f"{name}:epsilon", layer.epsilon)], f"{name}:above")
    root = builder.node("Sqrt", [above], f"{name}:root")
    y = builder.node("Div", [centred, root], name)
    spread = [size if axis in axes else 1 for axis, size in enumerate(sizes)]
    for key, operator in (("gamma", "Mul"), ("beta", "Add")):
        if key in own:
            # A shared layer may read several ranks, and each wants axes of size 1 elsewhere.
            weight = builder.constant(f"{name}:{key}:{len(sizes)}", own[key].reshape(spread))
            y = builder.node(operator, [y, weight], f"{name}:{key}")
    return replace(value, name=y)


def _elementwise(node: str, **options: str) -> Operator:
    """``options``: {attribute in ONNX: attribute of the layer}."""

    def translate(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
        attributes = {key: getattr(layer, name) for key, name in options.items()}
        return replace(value, name=builder.node(node, [value.name], layer.name, **attributes))

    return translate


def _softmax(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    return replace(value, name=builder.node("Softmax", [value.name], layer.name, axis=value.axis(layer.axis)))


def _unit_normalization(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    axes = [value.axis(axis) for axis in layer.axes]
    length = builder.node("ReduceL2", [value.name], f"{layer.name}:length", axes=axes, keepdims=1)
    least = builder.node("Max", [length, builder.constant(f"{layer.name}:least", EPSILON)], f"{layer.name}:above")
    return replace(value, name=builder.node("Div", [value.name, least], layer.name))


def _flatten(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
    return Value(builder.node("Flatten", [value.name], layer.name), (), flattened=value.shape if value.first else ())


def _reshape(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    value = builder.turn(value, first=False)
    shape = layer.output_shape(value.shape)
    sizes = builder.constant(f"shape:{'x'.join(map(str, shape))}", [0, *shape], np.int64)  # 0: the batch as it is
    return Value(builder.node("Reshape", [value.name, sizes], layer.name), shape)


def _permute(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    value = builder.turn(value, first=False)
    name = builder.node("Transpose", [value.name], layer.name, perm=[0, *layer.dims])
    return Value(name, layer.output_shape(value.shape))


def _together(builder: Builder, values: list[Value]) -> list[Value]:
    """With channels at one place: first if all are pictures and one of them has them there."""
    first = all(len(value.shape) == 3 for value in values) and any(value.first for value in values)
    return [builder.turn(value, first) for value in values]


def _of_all(node: str) -> Operator:
    """Sums and products: two at a time, with axes of 1 put in behind the batch where some are missing."""

    def translate(builder: Builder, layer: Layer, values: list[Value], own: Mapping[str, Array]) -> Value:
        values, names = _together(builder, values), []
        rank = max(len(value.shape) for value in values)
        for value in values:
            missing = list(range(1, 1 + rank - len(value.shape)))
            name = value.name
            if missing:
                axes = builder.constant(f"axes:{len(missing)}", missing, np.int64)
                name = builder.node("Unsqueeze", [name, axes], f"{name}:{rank}")
            names.append(name)
        y = names[0]
        for name in names[1:]:
            y = builder.node(node, [y, name], layer.name)
        return replace(values[0], name=y)

    return translate


def _concatenate(builder: Builder, layer: Any, values: list[Value], own: Mapping[str, Array]) -> Value:
    values = _together(builder, values)
    names = [value.name for value in values]
    return replace(values[0], name=builder.node("Concat", names, layer.name, axis=values[0].axis(layer.axis)))


def _nothing(builder: Builder, layer: Layer, value: Value, own: Mapping[str, Array]) -> Value:
    return value


OPERATORS: dict[str, Operator] = {
    "Dense": _dense,
    "Conv2D": pictures.convolution,
    "DepthwiseConv2D": pictures.convolution,
    "SeparableConv2D": pictures.separable,
    "Conv2DTranspose": pictures.transposed,
    "UpSampling2D": pictures.up_sampling,
    "ZeroPadding2D": pictures.padding,
    "MaxPooling2D": pictures.pooling("MaxPool"),
    "AveragePooling2D": pictures.pooling("AveragePool", count_include_pad=0),
    "GlobalMaxPooling2D": pictures.global_pooling("GlobalMaxPool"),
    "GlobalAveragePooling2D": pictures.global_pooling("GlobalAveragePool"),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Add": _of_all("Add"),
    "Multiply": _of_all("Mul"),
    "Concatenate": _concatenate,
    "Activation": activation,
    "ReLU": _elementwise("Relu"),
    "LeakyReLU": _elementwise("LeakyRelu", alpha="negative_slope"),
    "ELU": _elementwise("Elu", alpha="alpha"),
    "Sigmoid": _elementwise("Sigmoid"),
    "Tanh": _elementwise("Tanh"),
    "Softmax": _softmax,
    "Dropout": _nothing,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "UnitNormalization": _unit_normalization,
}
