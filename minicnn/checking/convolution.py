"""Conv2D and DepthwiseConv2D: cases, arithmetic, and what goes wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.arithmetic import at, products, taps, total
from minicnn.checking.convolution_mistakes import (
    BACKWARD,
    BIAS,
    CHANNELS,
    DEPTHWISE,
    DILATION,
    EDGE,
    KERNEL,
    LAYOUT,
)
from minicnn.checking.subject import (
    FILLS,
    Arguments,
    Index,
    Results,
    Settings,
    Subject,
    UndefinedError,
    numbers,
)
from minicnn.checking.windows import PADDING, STRIDES, window_of
from minicnn.layers import Conv2D, DepthwiseConv2D
from minicnn.ops.conv2d import conv2d, conv2d_backward
from minicnn.ops.depthwise_conv2d import depthwise_conv2d, depthwise_conv2d_backward
from minicnn.shapes import Array

CHOICES: dict[str, tuple[Any, ...]] = {
    "batch": (1, 2),
    "height": (1, 2, 3, 4, 5, 6, 7),
    "width": (1, 2, 3, 4, 5, 6, 7),
    "channels": (1, 2, 3),
    "filters": (1, 2, 3),
    "kernel_size": ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3)),
    "strides": ((1, 1), (2, 2), (2, 1), (3, 3)),
    "padding": ("valid", "same"),
    "dilation_rate": ((1, 1), (2, 2), (1, 2)),
    "use_bias": (True, False),
    "fill": FILLS,
}
KERNEL_SIZES = ((1, 1), (2, 2), (3, 3), (2, 3), (3, 2))


def _grid(strides: tuple[Any, ...], backward: bool) -> Iterator[Settings]:
    usual = {"batch": 2, "height": 6, "width": 7, "channels": 2, "filters": 3, "fill": "random"}
    for kernel_size, stride, padding in product(KERNEL_SIZES, strides, ("valid", "same")):
        yield usual | {"kernel_size": kernel_size, "strides": stride, "padding": padding}
    for dilation_rate, padding in product(((2, 2), (1, 2)), ("valid", "same")):
        yield usual | {"kernel_size": (2, 3), "dilation_rate": dilation_rate, "padding": padding}
    if not backward:  # whose gradients do not depend on the bias
        yield usual | {"kernel_size": (3, 3), "use_bias": False}
    cube = {"height": 3, "width": 3, "channels": 3, "filters": 3}
    for fill, padding in product(FILLS, ("valid", "same")):  # every size alike: no mix-up of axes ends in an exception
        yield cube | {"batch": 1, "kernel_size": (2, 2), "padding": padding, "fill": fill}
    yield cube | {"batch": 2, "kernel_size": (3, 3), "padding": "same", "fill": "random"}


def _arguments(settings: Settings, rng: np.random.Generator, *, backward: bool, depthwise: bool) -> Arguments:
    channels, filters, fill = settings["channels"], settings["filters"], settings["fill"]
    outputs = channels * filters if depthwise else filters
    bias = numbers((outputs,), fill, rng) * (10 if fill == "counting" else 1)
    arguments = {
        "x": numbers((settings["batch"], settings["height"], settings["width"], channels), fill, rng),
        "kernel": numbers((*settings["kernel_size"], channels, filters), fill, rng),
        "bias": bias if settings["use_bias"] else None,
        **{name: settings[name] for name in ("strides", "padding", "dilation_rate")},
    }
    size = window_of(arguments).output_size(*arguments["x"].shape[1:3])
    return arguments | ({"dy": numbers((settings["batch"], *size, outputs), fill, rng)} if backward else {})


def _options(a: Arguments) -> dict[str, Any]:
    return {name: a[name] for name in ("strides", "padding", "dilation_rate")} | {"algorithm": "im2col"}


def _forward(a: Arguments) -> Results:
    return {"y": conv2d(a["x"], np.ascontiguousarray(a["kernel"]), a["bias"], **_options(a))[0]}


def _backward(a: Arguments) -> Results:
    cache = conv2d(a["x"], np.ascontiguousarray(a["kernel"]), a["bias"], **_options(a))[1]
    if a["dy"].shape[1:3] != cache.window.output_size(*a["x"].shape[1:3]):
        raise UndefinedError
    return _named(conv2d_backward(a["dy"], cache))


def _depthwise_forward(a: Arguments) -> Results:
    return {"y": depthwise_conv2d(a["x"], np.ascontiguousarray(a["kernel"]), a["bias"], **_options(a))[0]}


def _depthwise_backward(a: Arguments) -> Results:
    cache = depthwise_conv2d(a["x"], np.ascontiguousarray(a["kernel"]), a["bias"], **_options(a))[1]
    if a["dy"].shape[1:3] != cache.window.output_size(*a["x"].shape[1:3]):
        raise UndefinedError
    return _named(depthwise_conv2d_backward(a["dy"], cache))


def _named(gradients: tuple[Array | None, ...]) -> Results:
    return {n: g for n, g in zip(("dx", "dkernel", "dbias"), gradients, strict=True) if g is not None}


def _arithmetic(a: Arguments, name: str, index: Index, depthwise: bool = False) -> str:
    every = taps(a["x"].shape, a["kernel"].shape, window_of(a), depthwise=depthwise)
    if name == "y":
        found = [
            [("x", a["x"], tap["x"]), ("kernel", a["kernel"], tap["kernel"])] for tap in every if tap["y"] == index
        ]
        if a["bias"] is None:
            return total(name, index, found)
        return total(name, index, found, at("bias", index[3:]), float(a["bias"][index[3]]))
    if name == "dbias":
        places = [place for place in np.ndindex(a["dy"].shape) if place[3] == index[0]]
        return total(name, index, [[("dy", a["dy"], place)] for place in places])
    factors = ("dy", "kernel") if name == "dx" else ("dy", "x")
    return products(name, index, factors, a, every, "x" if name == "dx" else "kernel")


def _twin(a: Arguments, depthwise: bool = False) -> Conv2D | DepthwiseConv2D:
    options = {name: a[name] for name in ("strides", "padding", "dilation_rate")} | {"use_bias": a["bias"] is not None}
    size, outputs = a["kernel"].shape[:2], a["kernel"].shape[3]
    layer = (
        DepthwiseConv2D(size, depth_multiplier=outputs, **options) if depthwise else Conv2D(outputs, size, **options)
    )
    weights = {f"{layer.name}/kernel": a["kernel"], f"{layer.name}/bias": a["bias"]}
    layer.restore(a["x"].shape[1:], weights)
    return layer


DEFAULTS = {"strides": (1, 1), "padding": "valid", "dilation_rate": (1, 1)}
SINGLE = {"stride": "strides", "dilation": "dilation_rate"}
ALL_STRIDES = CHOICES["strides"]
EQUAL_STRIDES = tuple(pair for pair in ALL_STRIDES if pair[0] == pair[1])  # all that DepthwiseConv2D takes

CONVOLUTIONS = tuple(
    Subject(
        layer="DepthwiseConv2D" if depthwise else "Conv2D",
        direction="backward" if backward else "forward",
        results=("dx", "dkernel", "dbias") if backward else ("y",),
        choices=CHOICES | {"strides": EQUAL_STRIDES if depthwise else ALL_STRIDES},
        grid=partial(_grid, (EQUAL_STRIDES if depthwise else ALL_STRIDES)[:3], backward),
        arguments=partial(_arguments, backward=backward, depthwise=depthwise),
        formula=formula,
        twin=partial(_twin, depthwise=depthwise),
        mistakes=mistakes,
        defaults=DEFAULTS if backward else DEFAULTS | {"bias": None},
        single=SINGLE,
        arithmetic=partial(_arithmetic, depthwise=depthwise),
    )
    for depthwise, backward, formula, mistakes in (
        (False, False, _forward, (*KERNEL, *CHANNELS, *LAYOUT, *PADDING, *STRIDES, DILATION, *BIAS, EDGE)),
        (False, True, _backward, (*CHANNELS[:1], *BACKWARD)),
        (
            True,
            False,
            _depthwise_forward,
            (*KERNEL, *DEPTHWISE, LAYOUT[1], *PADDING, STRIDES[0], DILATION, *BIAS[:3], EDGE),
        ),
        (True, True, _depthwise_backward, BACKWARD),
    )
)
