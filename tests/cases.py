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
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    SeparableConv2D,
    Sigmoid,
    Softmax,
    Tanh,
    UnitNormalization,
    UpSampling2D,
    ZeroPadding2D,
)
from minicnn.layers.activations import ACTIVATIONS
from minicnn.layers.base import Shapes, Tensors
from minicnn.model import Model
from minicnn.ops.conv2d import ALGORITHMS
from minicnn.sequential import Sequential


def kernel_size_for(algorithm: str) -> int:
    """Rows and columns of a kernel that this convolution algorithm takes: 3, but for those made for another size."""
    return int(getattr(ALGORITHMS[algorithm], "r", 3))


def strides_for(algorithm: str) -> int:
    """Strides that this convolution algorithm takes: 1, but for those made for others."""
    return int(getattr(ALGORITHMS[algorithm], "stride", 1))


@dataclass(frozen=True)
class Case:
    """One row: how to make the layer, and the shape of a batch for it (with the batch axis); of several, a list."""

    id: str
    layer: Callable[[], Layer]
    input_shape: Shapes

    @property
    def shape(self) -> Shapes:
        """``input_shape`` without the batch axis, as layers and networks want it."""
        return [s[1:] for s in self.input_shape] if isinstance(self.input_shape, list) else self.input_shape[1:]

    @property
    def batch(self) -> int:
        return len(self.x()[0]) if isinstance(self.input_shape, list) else self.input_shape[0]

    def built(self, dtype: Any = np.float32, seed: int = 0) -> Layer:
        """The layer with parameters as after training: nothing exactly 0 or 1, variances positive."""
        rng = np.random.default_rng(seed)
        layer = self.layer()
        layer.build(self.shape, rng, dtype)
        for array in (*layer.params.values(), *layer.state.values()):
            if np.ptp(array) == 0:  # as biases and scales begin
                array[...] = rng.uniform(0.5, 1.5, array.shape)
        return layer

    def x(self, dtype: Any = np.float32, seed: int = 1) -> Tensors:
        """A batch of normally distributed numbers, of both signs and without ties; several for a layer that merges."""
        rng = np.random.default_rng(seed)
        if isinstance(self.input_shape, list):
            return [rng.standard_normal(shape).astype(dtype) for shape in self.input_shape]
        return rng.standard_normal(self.input_shape).astype(dtype)

    def network(self) -> Model:
        """The layer alone as a network: a Sequential, or a Model if it merges."""
        layer = self.built()
        if not isinstance(self.input_shape, list):
            return Sequential([layer], input_shape=self.shape)
        inputs = [Input(shape) for shape in self.shape]
        return Model(inputs, layer(inputs))


def row(kind: type[Layer], input_shape: Shapes, **options: Any) -> Case:
    arguments = ",".join(f"{key}={_short(value)}" for key, value in options.items())
    return Case(f"{kind.__name__}({arguments})@{_short(input_shape)}", lambda: kind(**options), input_shape)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_short, value))
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
    algorithms = ("loops", "im2col", "direct", "winograd", "winograd_2x2", "winograd_complex", "winograd_6x6")
    for algorithm, padding in product(algorithms, ("valid", "same")):
        yield row(Conv2D, (2, 7, 5, 3), filters=4, kernel_size=3, padding=padding, algorithm=algorithm)
    for algorithm, padding in product(("direct", "winograd_5x5", "winograd_5x5_4x4"), ("valid", "same")):
        yield row(Conv2D, (2, 7, 6, 3), filters=4, kernel_size=5, padding=padding, algorithm=algorithm)
    for size, padding in product(((7, 6), (8, 9)), ("valid", "same")):
        options = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": padding}
        yield row(Conv2D, (2, *size, 3), algorithm="winograd_stride_2", **options)
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
    for (strides, dilation), padding in product(((2, 2), (3, 2), (2, (1, 3)), ((1, 2), (3, 2))), ("valid", "same")):
        options = {"kernel_size": (3, 2), "strides": strides, "dilation_rate": dilation, "padding": padding}
        yield row(DepthwiseConv2D, (2, 9, 8, 3), depth_multiplier=2, **options)


def _separable_convolutions() -> Iterator[Case]:
    for kernel_size, strides, padding in product((2, (3, 5)), (1, 2), ("valid", "same")):
        options = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
        yield row(SeparableConv2D, (2, 7, 9, 3), filters=4, **options)
    yield row(SeparableConv2D, (1, 6, 5, 2), filters=5, kernel_size=3, depth_multiplier=3)
    yield row(SeparableConv2D, (1, 9, 8, 3), filters=2, kernel_size=3, dilation_rate=2, padding="same")
    yield row(SeparableConv2D, (1, 5, 6, 1), filters=3, kernel_size=3, use_bias=False)
    for (strides, dilation), padding in product(((2, 2), ((2, 1), (1, 3))), ("valid", "same")):
        options = {"kernel_size": 3, "strides": strides, "dilation_rate": dilation, "padding": padding}
        yield row(SeparableConv2D, (2, 9, 8, 3), filters=2, **options)


def _transposed_convolutions() -> Iterator[Case]:
    for kernel_size, strides, padding in product((1, 2, 3, (5, 2)), (1, 2, (3, 1)), ("valid", "same")):
        options = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
        yield row(Conv2DTranspose, (2, 5, 4, 3), filters=2, **options)
    for kernel_size, extra, padding in product((3, (1, 5)), (0, 1, (2, 1)), ("valid", "same")):
        options = {"kernel_size": kernel_size, "output_padding": extra, "padding": padding}
        yield row(Conv2DTranspose, (2, 4, 3, 3), filters=2, strides=3, **options)
    yield row(Conv2DTranspose, (2, 4, 3, 3), filters=2, kernel_size=2, strides=3, output_padding=1, padding="same")
    for dilation, padding in product((2, (1, 3)), ("valid", "same")):
        yield row(Conv2DTranspose, (2, 5, 4, 3), filters=2, kernel_size=(3, 2), dilation_rate=dilation, padding=padding)
    yield row(Conv2DTranspose, (1, 3, 4, 1), filters=1, kernel_size=3, use_bias=False)
    yield row(Conv2DTranspose, (1, 9, 7, 17), filters=16, kernel_size=3, padding="same")  # enough for Winograd
    for algorithm in ("loops", "im2col", "direct", "winograd", "winograd_2x2", "winograd_complex", "winograd_6x6"):
        yield row(Conv2DTranspose, (2, 5, 4, 3), filters=2, kernel_size=3, padding="same", algorithm=algorithm)
    for padding in ("valid", "same"):
        options = {"filters": 2, "kernel_size": 3, "strides": 2, "padding": padding}
        yield row(Conv2DTranspose, (2, 5, 4, 3), algorithm="winograd_stride_2", **options)


def _up_samplings() -> Iterator[Case]:
    for size, interpolation in product((1, 2, 3, (1, 4), (3, 2)), ("nearest", "bilinear")):
        yield row(UpSampling2D, (2, 5, 3, 4), size=size, interpolation=interpolation)
    yield row(UpSampling2D, (2, 1, 1, 3), size=(3, 2), interpolation="bilinear")


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
    for name in ACTIVATIONS:
        yield row(Activation, (2, 5, 3, 4), activation=name)


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
    yield row(BatchNormalization, (2, 5, 3), gamma_initializer="zeros", moving_mean_initializer="random_normal")
    for center, scale in product((True, False), (True, False)):
        yield row(LayerNormalization, (3, 5, 2, 14), center=center, scale=scale)
    yield row(LayerNormalization, (9, 6), epsilon=1e-5)
    yield row(LayerNormalization, (2, 5, 3, 4), axis=(1, 3))
    yield row(LayerNormalization, (2, 5, 3, 4), axis=(-1, -3))
    yield row(LayerNormalization, (2, 5, 3, 4), axis=1)
    for target in ((12, 5), (-1,), (3, -1, 2), (5, 3, 4, 1)):
        yield row(Reshape, (2, 5, 3, 4), target_shape=target)
    for dims in ((2, 1, 3), (3, 1, 2), (1, 2, 3)):
        yield row(Permute, (2, 5, 3, 4), dims=dims)
    yield row(UnitNormalization, (3, 7))
    yield row(UnitNormalization, (2, 5, 3, 4))
    yield row(UnitNormalization, (2, 5, 3, 4), axis=(1, -2))


def _mergers() -> Iterator[Case]:
    same = (2, 5, 3, 4)
    for kind in (Add, Multiply):
        yield row(kind, [same])
        yield row(kind, [same, same])
        yield row(kind, [(3, 7), (3, 7), (3, 7)])
        yield row(kind, [same, (2, 1, 1, 4)])
        yield row(kind, [(2, 5, 1, 1), (2, 1, 3, 4), same])
        yield row(kind, [(2, 4), same])  # as (2, 1, 1, 4)
    yield row(Concatenate, [(2, 5, 3, 4)])
    yield row(Concatenate, [(2, 5, 3, 4), (2, 5, 3, 1), (2, 5, 3, 2)])
    yield row(Concatenate, [(3, 7), (3, 2)])
    yield row(Concatenate, [(2, 5, 3, 4), (2, 1, 3, 4)], axis=1)
    yield row(Concatenate, [(2, 5, 3, 4), (2, 5, 2, 4)], axis=-2)


FAMILIES = (
    *(_others, _mergers, _activations, _poolings, _up_samplings),
    *(_convolutions, _depthwise_convolutions, _separable_convolutions, _transposed_convolutions),
)
CASES: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family())
