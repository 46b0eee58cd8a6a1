"""The same layers for frameworks with channels before pixels: (N, C, H, W), kernels (F, C, KH, KW), dense (out, in).

Padding "same" becomes explicit numbers, since with strides Keras puts the odd one after and others before. A dense
layer behind Flatten is reordered, because (H, W, C) and (C, H, W) flatten in different orders. All of this happens
once, before any clock starts, as a converter would do it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.work import Arrays, Work

Array = NDArray[Any]
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")


@dataclass(frozen=True)
class Step:
    """One layer. ``kernel``: (KH, KW); ``pads``: (top, left, bottom, right); ``weights`` in channels-first layouts."""

    kind: str
    name: str
    input_shape: tuple[int, ...]  # (H, W, C) or (units,), as minicnn says it
    output_shape: tuple[int, ...]
    weights: Arrays = field(default_factory=dict)
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    epsilon: float = 1e-3
    momentum: float = 0.99
    flattened: tuple[int, ...] = ()  # Dense: the (H, W, C) in front of the Flatten before it


def steps(work: Work, weights: Arrays) -> Iterator[Step]:
    """Every layer of a work, in order. ValueError for a kind that no peer was taught."""
    from minicnn.io.channels_first import turned
    from minicnn.layers import LAYERS

    flattened: tuple[int, ...] = ()
    sizes = work.layers()
    for (kind, name, options), size in zip(work.rows, sizes, strict=True):
        layer = LAYERS[kind](name=name, **options)
        own = {key.split("/", 1)[1]: array for key, array in weights.items() if key.startswith(f"{name}/")}
        common: dict[str, Any] = {"input_shape": size.input_shape, "output_shape": size.output_shape}
        if kind in (*CONVOLUTIONS, "MaxPooling2D"):
            window: Any = layer.window  # type: ignore[attr-defined]
            (top, bottom), (left, right) = window.pads(*size.input_shape[:2])
            if window.dilation != (1, 1):
                raise ValueError("dilated layers are not translated")
            common |= {"kernel": window.size, "strides": window.strides, "pads": (top, left, bottom, right)}
        if kind in CONVOLUTIONS:
            common["groups"] = size.input_shape[-1] if kind == "DepthwiseConv2D" else getattr(layer, "groups", 1)
        if kind == "BatchNormalization":
            config = layer.config()
            common |= {"epsilon": config["epsilon"], "momentum": config["momentum"]}
        elif kind == "Flatten":
            flattened = size.input_shape
        elif kind == "Dense":
            common["flattened"], flattened = flattened, ()
        elif kind not in (*CONVOLUTIONS, "MaxPooling2D", "ReLU", "Softmax"):
            raise ValueError(f"{kind} is not translated")
        if "kernel" in own:
            own["kernel"] = turned(kind, own["kernel"], common.get("flattened", ()))
        yield Step(kind, name, weights=own, **common)


def turned_back(step: Step, key: str, array: Array) -> Array:
    """A weight, or its gradient, as minicnn lays it out."""
    if key != "kernel":
        return array
    if step.kind == "Conv2D":
        return array.transpose(2, 3, 1, 0)
    if step.kind == "DepthwiseConv2D":
        channels = step.input_shape[-1]
        return array.reshape(channels, -1, *array.shape[2:]).transpose(2, 3, 0, 1)
    if len(step.flattened) == 3:
        rows, columns, channels = step.flattened
        return array.T.reshape(channels, rows, columns, -1).transpose(1, 2, 0, 3).reshape(array.shape[::-1])
    return array.T


def to_channels_first(x: Array) -> Array:
    """(N, H, W, C) -> (N, C, H, W), copied; other ranks as they are."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else np.ascontiguousarray(x)


def to_channels_last(y: Array) -> Array:
    """(N, C, H, W) -> (N, H, W, C); other ranks as they are."""
    return y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
