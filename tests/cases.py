"""The table of layers under test: one row per layer and choice of options.

A row buys the contract test, the gradient check, parity with Keras, saving and loading, and a benchmark; a test fails
when a public layer has no row. Sizes are odd and differ on every axis, because even squares hide where padding goes
and which axis is which. They are small, because there are many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minicnn.layers import (
    ELU,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    UnitNormalization,
    ZeroPadding2D,
)
from minicnn.shapes import Array, Shape


@dataclass(frozen=True)
class Case:
    """One row: how to make the layer, and the shape of a batch for it (with the batch axis)."""

    id: str
    layer: Callable[[], Layer]
    input_shape: Shape

    def built(self, dtype: Any = np.float32, seed: int = 0) -> Layer:
        """The layer with parameters as after training: nothing exactly 0 or 1, variances positive."""
        rng = np.random.default_rng(seed)
        layer = self.layer()
        layer.build(self.input_shape[1:], rng, dtype)
        for array in (*layer.params.values(), *layer.state.values()):
            array[...] = rng.uniform(0.5, 1.5, array.shape) if array.ndim == 1 else array
        return layer

    def x(self, dtype: Any = np.float32, seed: int = 1) -> Array:
        """A batch of normally distributed numbers, of both signs and without ties."""
        return np.random.default_rng(seed).standard_normal(self.input_shape).astype(dtype)


def row(kind: type[Layer], input_shape: Shape, **options: Any) -> Case:
    arguments = ",".join(f"{key}={_short(value)}" for key, value in options.items())
    return Case(f"{kind.__name__}({arguments})@{_short(input_shape)}", lambda: kind(**options), input_shape)


def _short(value: Any) -> str:
    return "x".join(map(_short, value)) if isinstance(value, tuple) else str(value)


def _convolutions() -> Iterator[Case]:
    for kernel_size, strides, padding in product((1, 2, 3, 5, (2, 3)), (1, 2, (3, 1)), ("valid", "same")):
        yield row(Conv2D, (2, 7, 6, 3), filters=4, kernel_size=kernel_size, strides=strides, padding=padding)
    for kernel_size, dilation, padding in product((2, 3, (3, 1)), (2, (1, 3)), ("valid", "same")):
        yield row(Conv2D, (2, 9, 8, 2), filters=3, kernel_size=kernel_size, dilation_rate=dilation, padding=padding)
    for groups, strides, padding in product((2, 3), (1, 2), ("valid", "same")):
        shape = (1, 7, 5, 6)
        yield row(Conv2D, shape, filters=12, kernel_size=3, strides=strides, padding=padding, groups=groups)
    yield row(Conv2D, (1, 9, 7, 4), filters=4, kernel_size=3, dilation_rate=2, padding="same", groups=4)
    yield row(Conv2D, (3, 5, 7, 1), filters=1, kernel_size=3, use_bias=False)
    yield row(Conv2D, (1, 7, 11, 3), filters=2, kernel_size=(5, 3), strides=(2, 3), padding="same", use_bias=False)
    yield row(Conv2D, (1, 5, 5, 2), filters=2, kernel_size=5)
    yield row(Conv2D, (1, 1, 1, 3), filters=2, kernel_size=3, padding="same")
    yield row(Conv2D, (1, 13, 13, 3), filters=2, kernel_size=2, strides=3, padding="same")
    for algorithm, padding in product(("loops", "im2col", "direct", "winograd", "winograd_2x2"), ("valid", "same")):
        yield row(Conv2D, (2, 7, 5, 3), filters=4, kernel_size=3, padding=padding, algorithm=algorithm)
    shapes: tuple[dict[str, Any], ...] = (
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": (2, 3), "strides": (1, 3)},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "groups": 2},
    )
    for algorithm, options in product(("loops", "im2col", "direct"), shapes):
        yield row(Conv2D, (2, 7, 5, 4), filters=4, padding="same", algorithm=algorithm, **options)
    yield row(
        Conv2D, (1, 9, 11, 16), filters=17, kernel_size=3, padding="same"
    )  # enough channels for "auto"'s Winograd


def _depthwise_convolutions() -> Iterator[Case]:
    for kernel_size, strides, padding in product((2, 3, (3, 5)), (1, 2, 3), ("valid", "same")):
        yield row(DepthwiseConv2D, (2, 7, 9, 3), kernel_size=kernel_size, strides=strides, padding=padding)
    for depth, padding in product((2, 3), ("valid", "same")):
        yield row(DepthwiseConv2D, (1, 6, 5, 2), kernel_size=3, depth_multiplier=depth, padding=padding)
    yield row(DepthwiseConv2D, (1, 9, 8, 3), kernel_size=3, dilation_rate=2, padding="same")
    yield row(DepthwiseConv2D, (1, 5, 6, 1), kernel_size=3, use_bias=False, depth_multiplier=2)


def _poolings() -> Iterator[Case]:
    for kind in (MaxPooling2D, AveragePooling2D):
        yield row(kind, (1, 25, 25, 2))  # 25 -> 12, as in VGG's last pooling of a 200x200 picture
        for pool_size, strides, padding in product((1, 2, 3, (2, 3)), (None, 1, 2, (3, 1)), ("valid", "same")):
            yield row(kind, (2, 7, 9, 3), pool_size=pool_size, strides=strides, padding=padding)
        yield row(kind, (1, 5, 6, 1), pool_size=(5, 6))
        yield row(kind, (3, 13, 8, 2), pool_size=5, strides=(3, 4), padding="same")
    for kind, keepdims in product((GlobalMaxPooling2D, GlobalAveragePooling2D), (False, True)):
        yield row(kind, (3, 5, 7, 4), keepdims=keepdims)
        yield row(kind, (1, 1, 1, 2), keepdims=keepdims)


def _activations() -> Iterator[Case]:
    for kind in (ReLU, LeakyReLU, ELU, Sigmoid, Tanh, Softmax):
        yield row(kind, (3, 7))
        yield row(kind, (2, 5, 3, 4))
    yield row(LeakyReLU, (3, 7), negative_slope=0.01)
    yield row(LeakyReLU, (3, 7), negative_slope=0.0)
    yield row(ELU, (3, 7), alpha=0.3)
    yield row(Softmax, (2, 5, 3, 4), axis=1)
    yield row(Softmax, (2, 5, 3, 4), axis=-2)


def _others() -> Iterator[Case]:
    yield row(Dense, (3, 7), units=5)
    yield row(Dense, (1, 4), units=1, use_bias=False)
    yield row(Dense, (2, 5, 3, 4), units=6)
    yield row(Dense, (17, 130), units=33)
    yield row(Flatten, (2, 5, 3, 4))
    yield row(Flatten, (3, 7))
    for padding in (1, 0, (2, 1), ((0, 1), (2, 3))):
        yield row(ZeroPadding2D, (2, 5, 3, 2), padding=padding)
    for rate in (0.0, 0.25, 0.5):
        yield row(Dropout, (3, 5, 7), rate=rate)
    for center, scale in product((True, False), (True, False)):
        yield row(BatchNormalization, (3, 5, 7, 4), center=center, scale=scale)
    yield row(BatchNormalization, (9, 6), momentum=0.6, epsilon=1e-5)
    yield row(BatchNormalization, (2, 5, 3), axis=2)
    yield row(UnitNormalization, (3, 7))
    yield row(UnitNormalization, (2, 5, 3, 4))
    yield row(UnitNormalization, (2, 5, 3, 4), axis=(1, -2))


CASES: tuple[Case, ...] = tuple(
    case for family in (_others, _activations, _poolings, _convolutions, _depthwise_convolutions) for case in family()
)
