"""Layers as ``torch.nn`` modules, weights copied in. Padding that PyTorch cannot express is a module of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.channels_first import CONVOLUTIONS, Step

_ELEMENTWISE: dict[str, Callable[[Any, Step], Any]] = {
    "ReLU": lambda nn, step: nn.ReLU(),
    "LeakyReLU": lambda nn, step: nn.LeakyReLU(step.options["negative_slope"]),
    "ELU": lambda nn, step: nn.ELU(step.options["alpha"]),
    "Sigmoid": lambda nn, step: nn.Sigmoid(),
    "Tanh": lambda nn, step: nn.Tanh(),
    "Softmax": lambda nn, step: nn.Softmax(dim=1),  # of (N, C, H, W) and of (N, C): along the channels
    "Flatten": lambda nn, step: nn.Flatten(),
    "GlobalAveragePooling2D": lambda nn, step: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "GlobalMaxPooling2D": lambda nn, step: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
}
#: activations by Keras's name, and what ``torch.nn.functional`` (or ``torch``) calls them
_FUNCTIONS = {"hard_sigmoid": "hardsigmoid", "exponential": "exp"} | {
    name: name for name in ("silu", "gelu", "mish", "softplus", "softsign", "selu", "relu6")
}
OTHERS = (
    *_ELEMENTWISE,
    "Activation",
    "LayerNormalization",
    "UnitNormalization",
    "AveragePooling2D",
    "UpSampling2D",
    "ZeroPadding2D",
    "Conv2DTranspose",
    "SeparableConv2D",
)
_MOVING = {"moving_mean": "running_mean", "moving_variance": "running_var"}


def modules(torch: Any, step: Step) -> list[Any]:
    """The modules of one layer, whose parameters are in the order of ``learnt``. ValueError where PyTorch has none."""
    found = [*_padding(torch.nn, step), _own(torch, step)]
    own = {key: getattr(found[-1], name) for key, name in _MOVING.items() if key in step.weights}
    own |= zip(learnt(step), found[-1].parameters(), strict=True)
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(step.weights[key])))
    if step.kind == "Conv2DTranspose":
        found.append(_crop(torch, step))
    return found


def learnt(step: Step) -> list[str]:
    """The names of a layer's parameters. Kernels come before a bias, and gamma before beta, as in PyTorch."""
    return [key for key in step.weights if key not in _MOVING]


def _padding(nn: Any, step: Step) -> list[Any]:
    """A module that pads a window's input unevenly, if it must be padded so."""
    top, left, bottom, right = step.pads
    if top == bottom and left == right:
        return []
    if step.kind == "AveragePooling2D":
        raise ValueError("averages over uneven padding are not translated")
    if step.kind == "MaxPooling2D":  # its padding never wins
        return [nn.ConstantPad2d((left, right, top, bottom), -float("inf"))]
    return [nn.ZeroPad2d((left, right, top, bottom))]


def _own(torch: Any, step: Step) -> Any:
    nn, channels = torch.nn, step.input_shape[-1]
    top, left, bottom, right = step.pads
    padding = (top, left) if (top, left) == (bottom, right) else (0, 0)
    bias = "bias" in step.weights
    if step.kind in CONVOLUTIONS:
        filters, options = len(step.weights["kernel"]), {"groups": step.groups, "bias": bias}
        return nn.Conv2d(channels, filters, step.kernel, step.strides, padding, **options)
    if step.kind == "SeparableConv2D":
        depthwise, pointwise = step.weights["depthwise_kernel"].shape, step.weights["pointwise_kernel"].shape
        each = nn.Conv2d(channels, depthwise[0], step.kernel, step.strides, padding, groups=step.groups, bias=False)
        return nn.Sequential(each, nn.Conv2d(pointwise[1], pointwise[0], 1, bias=bias))
    if step.kind == "Conv2DTranspose":
        gaps = tuple(max(0, stride - size) for size, stride in zip(step.kernel, step.strides, strict=True))
        sizes = (channels, step.output_shape[-1], step.kernel, step.strides)
        return nn.ConvTranspose2d(*sizes, output_padding=gaps, bias=bias)
    if step.kind == "Dense":
        return nn.Linear(*step.weights["kernel"].shape[::-1], bias=bias)
    if step.kind == "BatchNormalization":
        return nn.BatchNorm2d(channels, step.options["epsilon"], 1 - step.options["momentum"])
    if step.kind == "LayerNormalization":
        return _layer_norm(torch, channels, step.options["epsilon"])
    if step.kind == "UnitNormalization":
        return _function(torch, lambda x: torch.nn.functional.normalize(x, dim=1))  # along the channels
    if step.kind == "Activation":
        return _activation(torch, step.options["activation"])
    if step.kind == "MaxPooling2D":
        return nn.MaxPool2d(step.kernel, step.strides, padding)
    if step.kind == "AveragePooling2D":
        return nn.AvgPool2d(step.kernel, step.strides, padding, count_include_pad=False)
    if step.kind == "UpSampling2D":
        return nn.Upsample(scale_factor=step.options["size"], mode=step.options["interpolation"])
    if step.kind == "ZeroPadding2D":
        (top, bottom), (left, right) = step.options["padding"]
        return nn.ZeroPad2d((left, right, top, bottom))
    return _ELEMENTWISE[step.kind](nn, step)


def _layer_norm(torch: Any, channels: int, epsilon: float) -> Any:
    """Over the channels, which PyTorch wants last: a view, if pictures are kept that way."""

    class ChannelsLast(torch.nn.LayerNorm):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if x.ndim == 4 else super().forward(x)

    return ChannelsLast(channels, epsilon)


def _function(torch: Any, function: Callable[[Any], Any]) -> Any:
    """A module of what has none in PyTorch."""

    class Function(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return function(x)

    return Function()


def _activation(torch: Any, name: str) -> Any:
    if name not in _FUNCTIONS:
        raise ValueError(f"the activation {name} is not translated")
    called = _FUNCTIONS[name]
    return _function(torch, getattr(torch.nn.functional, called, None) or getattr(torch, called))


def _crop(torch: Any, step: Step) -> Any:
    """A transposed convolution's result without what the padding of the convolution that it turns round would be."""
    top, left, _, _ = step.pads
    rows, columns = step.output_shape[:2]

    class Crop(torch.nn.Module):  # type: ignore[misc]
        def forward(self, y: Any) -> Any:
            return y[:, :, top : top + rows, left : left + columns]

    return Crop()
