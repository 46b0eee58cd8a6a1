"""Layers that take pictures, as ONNX's operators: channels come first in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minicnn.io.channels_first import turned
from minicnn.io.onnx_builder import Builder, Operator, Value, kind
from minicnn.shapes import Array


def _window(layer: Any, value: Value) -> dict[str, Any]:
    (top, bottom), (left, right) = layer.window.pads(*value.shape[:2])
    return {"kernel_shape": layer.window.size, "strides": layer.window.strides, "pads": (top, left, bottom, right)}


def convolution(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """Conv2D, and DepthwiseConv2D as one with as many groups as channels."""
    groups = value.shape[-1] if kind(layer) == "DepthwiseConv2D" else layer.groups
    value = builder.turn(value, first=True)
    kernel = builder.constant(f"{layer.name}:kernel", turned(kind(layer), own["kernel"]))
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    window = _window(layer, value) | {"dilations": layer.window.dilation, "group": groups}
    return replace(value, name=builder.node("Conv", [value.name, kernel, *bias], layer.name, **window))


def separable(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """Two convolutions: each channel for itself, then each pixel."""
    value = builder.turn(value, first=True)
    depthwise = builder.constant(f"{layer.name}:depthwise", turned("DepthwiseConv2D", own["depthwise_kernel"]))
    pointwise = builder.constant(f"{layer.name}:pointwise", turned("Conv2D", own["pointwise_kernel"]))
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    window = _window(layer, value) | {"dilations": layer.window.dilation, "group": value.shape[-1]}
    between = builder.node("Conv", [value.name, depthwise], f"{layer.name}:channels", **window)
    return replace(value, name=builder.node("Conv", [between, pointwise, *bias], layer.name))


def transposed(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """ONNX says what is cut off at the end, or added there, where Keras says how large the picture becomes."""
    value = builder.turn(value, first=True)
    kernel = builder.constant(f"{layer.name}:kernel", turned("Conv2D", own["kernel"]))  # -> (C, F, KH, KW)
    bias = [builder.constant(f"{layer.name}:bias", own["bias"])] if "bias" in own else []
    sizes = layer.output_shape(value.shape)[:2]
    starts = [before for before, _ in layer.window.pads(*sizes)]
    stamped = [
        stride * (size - 1) + span
        for size, stride, span in zip(value.shape, layer.window.strides, layer.window.span, strict=False)
    ]
    over = [full - start - size for full, start, size in zip(stamped, starts, sizes, strict=True)]
    window = {
        "kernel_shape": layer.window.size,
        "strides": layer.window.strides,
        "dilations": layer.window.dilation,
        "pads": (*starts, *(max(rest, 0) for rest in over)),
        "output_padding": [max(-rest, 0) for rest in over],
    }
    return replace(value, name=builder.node("ConvTranspose", [value.name, kernel, *bias], layer.name, **window))


def pooling(node: str, **attributes: Any) -> Operator:
    """Pooling over windows by ``node``."""

    def translate(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
        value = builder.turn(value, first=True)
        window = _window(layer, value)
        return replace(value, name=builder.node(node, [value.name], layer.name, **window, **attributes))

    return translate


def global_pooling(node: str) -> Operator:
    """Pooling over whole pictures by ``node``; without their axes of size 1, unless the layer keeps them."""

    def translate(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
        value = builder.turn(value, first=True)
        name = builder.node(node, [value.name], layer.name)  # (N, C, 1, 1)
        if layer.keepdims:
            return replace(value, name=name)
        return Value(builder.node("Flatten", [name], f"{layer.name}:flat"), ())

    return translate


def padding(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """Zeros around every channel."""
    value = builder.turn(value, first=True)
    (top, bottom), (left, right) = layer.padding
    pads = builder.constant(f"{layer.name}:pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    return replace(value, name=builder.node("Pad", [value.name, pads], layer.name))


def up_sampling(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """Pixels as blocks, or blended where their middles lie."""
    value = builder.turn(value, first=True)
    scales = builder.constant(f"{layer.name}:scales", [1, 1, *layer.size], np.float32)
    how = (
        {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        if layer.interpolation == "nearest"
        else {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    )
    return replace(value, name=builder.node("Resize", [value.name, "", scales], layer.name, **how))
