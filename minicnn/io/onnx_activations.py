"""Activations by name, as ONNX's operators: ``CHAINS`` has a line for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from minicnn.io.onnx_builder import Builder, Value
from minicnn.shapes import Array

#: (builder, the input's name, a name for the nodes) -> the output's name
Chain = Callable[[Builder, str, str], str]


def _one(kind: str, **attributes: float) -> Chain:
    return lambda builder, x, name: builder.node(kind, [x], name, **attributes)


def _gated(*gate: str) -> Chain:
    """x * gate(x), the gate being one operator after the other."""

    def chain(builder: Builder, x: str, name: str) -> str:
        g = x
        for kind in gate:
            g = builder.node(kind, [g], f"{name}:{kind.lower()}")
        return builder.node("Mul", [x, g], name)

    return chain


def _gelu(builder: Builder, x: str, name: str) -> str:
    """x * Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2."""
    root, one, half = (
        builder.constant(f"gelu:{label}", value)
        for label, value in (("root", math.sqrt(2)), ("one", 1.0), ("half", 0.5))
    )
    error = builder.node("Erf", [builder.node("Div", [x, root], f"{name}:scaled")], f"{name}:erf")
    phi = builder.node("Mul", [builder.node("Add", [error, one], f"{name}:above"), half], f"{name}:phi")
    return builder.node("Mul", [x, phi], name)


def _relu6(builder: Builder, x: str, name: str) -> str:
    limits = [builder.constant(f"relu6:{value}", value) for value in (0, 6)]
    return builder.node("Clip", [x, *limits], name)


CHAINS: MappingProxyType[str, Chain] = MappingProxyType(
    {
        "linear": lambda builder, x, name: x,
        "relu": _one("Relu"),
        "leaky_relu": _one("LeakyRelu", alpha=0.2),
        "elu": _one("Elu", alpha=1.0),
        "sigmoid": _one("Sigmoid"),
        "tanh": _one("Tanh"),
        "silu": _gated("Sigmoid"),
        "swish": _gated("Sigmoid"),
        "gelu": _gelu,
        "softplus": _one("Softplus"),
        "mish": _gated("Softplus", "Tanh"),
        "softsign": _one("Softsign"),
        "selu": _one("Selu"),
        "exponential": _one("Exp"),
        "relu6": _relu6,
        "hard_sigmoid": _one("HardSigmoid", alpha=1 / 6, beta=0.5),
    }
)


def activation(builder: Builder, layer: Any, value: Value, own: Mapping[str, Array]) -> Value:
    """The layer ``Activation``."""
    if layer.activation == "softmax":
        return replace(value, name=builder.node("Softmax", [value.name], layer.name, axis=value.axis(-1)))
    return replace(value, name=CHAINS[layer.activation](builder, value.name, layer.name))
