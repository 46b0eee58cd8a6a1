"""The same layers for frameworks with channels before pixels: (N, C, H, W), kernels (F, C, KH, KW), dense (out, in).

Padding "same" becomes explicit numbers, since with strides Keras puts the odd one after and others before. A dense
layer behind Flatten is reordered, because (H, W, C) and (C, H, W) flatten in different orders. All of this happens
once, before any clock starts, as a converter would do it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.work import Arrays, Work

Array = NDArray[Any]
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")
#: What every peer was taught.
EVERY_PEER = (*CONVOLUTIONS, "Dense", "MaxPooling2D", "BatchNormalization", "ReLU", "Flatten", "Softmax")
#: {kind: {its kernel: the kind of layer that lays it out alike}}, where that is not the kind itself.
_LAID_OUT_LIKE = {
    "Conv2DTranspose": {"kernel": "Conv2D"},
    "SeparableConv2D": {"depthwise_kernel": "DepthwiseConv2D", "pointwise_kernel": "Conv2D"},
}


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
    options: Mapping[str, Any] = field(default_factory=dict)  # the layer's ``config``
    flattened: tuple[int, ...] = ()  # Dense: the (H, W, C) in front of the Flatten before it
    relu: bool = False  # whether results are cut off at 0


def steps(work: Work, weights: Arrays, others: Collection[str] = ()) -> Iterator[Step]:
    """Every layer of a work, in order. ValueError for a kind that is neither in ``EVERY_PEER`` nor among the ``others``
    that a peer was taught."""
    from minicnn.io.channels_first import turned
    from minicnn.layers import LAYERS

    flattened: tuple[int, ...] = ()
    sizes = work.layers()
    for (kind, name, options), size in zip(work.rows, sizes, strict=True):
        layer = LAYERS[kind](name=name, **options)
        if kind not in (*EVERY_PEER, *others):
            raise ValueError(f"{kind} is not translated")
        own = {key.split("/", 1)[1]: array for key, array in weights.items() if key.startswith(f"{name}/")}
        common: dict[str, Any] = {"input_shape": size.input_shape, "output_shape": size.output_shape}
        common["options"] = layer.config()
        window: Any = getattr(layer, "window", None)
        if window is not None:
            # a transposed convolution's window is that of the convolution from its output to its input
            pixels = size.output_shape if kind == "Conv2DTranspose" else size.input_shape
            (top, bottom), (left, right) = window.pads(*pixels[:2])
            if kind == "Conv2DTranspose":
                bottom, right = top, left  # what is cut off there is up to the output's size
            if window.dilation != (1, 1):
                raise ValueError("dilated layers are not translated")
            common |= {"kernel": window.size, "strides": window.strides, "pads": (top, left, bottom, right)}
        if kind in (*CONVOLUTIONS, "SeparableConv2D"):
            common["groups"] = getattr(layer, "groups", 1) if kind == "Conv2D" else size.input_shape[-1]
        if kind == "Flatten":
            flattened = size.input_shape
        elif kind == "Dense":
            common["flattened"], flattened = flattened, ()
        for key, layout in _kernels(kind).items():
            if key in own:
                own[key] = turned(layout, own[key], common.get("flattened", ()))
        yield Step(kind, name, weights=own, **common)


def fused(found: Iterable[Step]) -> list[Step]:
    """The same computation in fewer steps, for inference: a BatchNormalization right behind a convolution or a dense
    layer becomes part of its kernel and bias, and a ReLU behind either is its ``relu``."""
    done: list[Step] = []
    for step in found:
        before = done[-1] if done and done[-1].kind in (*CONVOLUTIONS, "Dense") and not done[-1].relu else None
        if before is not None and step.kind == "ReLU":
            done[-1] = replace(before, relu=True)
        elif before is not None and step.kind == "BatchNormalization":
            done[-1] = replace(before, weights=_normalised(before.weights, step))
        else:
            done.append(step)
    return done


def _normalised(weights: Arrays, step: Step) -> Arrays:
    """Kernel (F, ...) and bias of a layer that does the normalisation ``step`` behind it too, rounded once."""
    own = {key: array.astype(np.float64) for key, array in step.weights.items()}
    factor = own.get("gamma", 1.0) / np.sqrt(own["moving_variance"] + step.options["epsilon"])
    kernel, bias = weights["kernel"], weights.get("bias", 0.0)
    return {
        "kernel": (kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))).astype(np.float32),
        "bias": ((bias - own["moving_mean"]) * factor + own.get("beta", 0.0)).astype(np.float32),
    }


def _kernels(kind: str) -> dict[str, str]:
    return _LAID_OUT_LIKE.get(kind, {"kernel": kind})


def turned_back(step: Step, key: str, array: Array) -> Array:
    """A weight, or its gradient, as minicnn lays it out."""
    layout = _kernels(step.kind).get(key)
    if layout is None:
        return array
    if layout == "Conv2D":
        return array.transpose(2, 3, 1, 0)
    if layout == "DepthwiseConv2D":
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
