"""The convolution layers: what becomes of their arguments, which algorithm runs, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError, StateError
from minicnn.layers import AveragePooling2D, Conv2D, Conv2DTranspose, DepthwiseConv2D, MaxPooling2D
from minicnn.ops.conv2d import ALGORITHMS, conv2d, conv2d_backward
from minicnn.ops.depthwise_conv2d import depthwise_conv2d, depthwise_conv2d_backward
from tests.cases import kernel_size_for, strides_for


def built(layer: Any, *shape: int, dtype: Any = np.float64) -> Any:
    layer.build(shape, np.random.default_rng(3), dtype)
    return layer


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_conv2d_config_has_keras_names_and_only_its_own_algorithm_when_forced() -> None:
    config = Conv2D(8, 3, strides=2, padding="SAME", use_bias=False, name="conv1").config()
    assert config == {
        "name": "conv1",
        "filters": 8,
        "kernel_size": (3, 3),
        "strides": (2, 2),
        "padding": "same",
        "dilation_rate": (1, 1),
        "groups": 1,
        "use_bias": False,
        "kernel_initializer": "glorot_uniform",
        "bias_initializer": "zeros",
    }
    forced = Conv2D(8, 3, algorithm="direct", trainable=False).config()
    assert forced["algorithm"] == "direct"
    assert forced["trainable"] is False


@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(8, (3, 2), (1, 1), "same", (2, 1), 2, True, "he_normal", "ones", "im2col", name="a", trainable=False),
        DepthwiseConv2D(3, 2, "same", 2, 1, False, "he_uniform", name="b"),
        DepthwiseConv2D((3, 2), dilation_rate=(1, 2), algorithm="direct"),
    ],
    ids=repr,
)
def test_config_makes_the_same_layer(layer: Any) -> None:
    assert type(layer)(**layer.config()).config() == layer.config()


def test_initializers_fill_kernel_and_bias() -> None:
    layer = built(Conv2D(4, 3, kernel_initializer="ones", bias_initializer="ones"), 5, 5, 2, dtype=np.float32)
    assert layer.params["kernel"].shape == (3, 3, 2, 4)
    assert layer.params["bias"].shape == (4,)
    assert all((array == 1).all() and array.dtype == np.float32 for array in layer.params.values())
    assert built(Conv2D(6, 1, groups=3), 2, 2, 9).params["kernel"].shape == (1, 1, 3, 6)
    assert built(DepthwiseConv2D(2, depth_multiplier=3), 4, 4, 5).params["kernel"].shape == (2, 2, 5, 3)
    assert set(built(Conv2D(4, 3, use_bias=False), 5, 5, 2).params) == {"kernel"}


@pytest.mark.parametrize(
    "layer, input_shape, output_shape",
    [
        (Conv2D(8, 3), (200, 200, 1), (198, 198, 8)),
        (Conv2D(8, 3, padding="same"), (25, 24, 3), (25, 24, 8)),
        (Conv2D(8, 5, 2, padding="same"), (25, 24, 3), (13, 12, 8)),
        (Conv2D(8, (3, 2), dilation_rate=(3, 4)), (25, 24, 3), (19, 20, 8)),
        (DepthwiseConv2D(3, 2, depth_multiplier=4), (25, 24, 3), (12, 11, 12)),
    ],
    ids=repr,
)
def test_output_shapes(layer: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
    assert layer.output_shape(input_shape) == output_shape
    assert built(layer, *input_shape, dtype=np.float32).output_shape(input_shape) == output_shape


# -- which algorithm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer, channels, name",
    [
        (Conv2D(16, 3), 16, "winograd_2x2"),
        (Conv2D(16, 3), 1, "direct"),
        (Conv2D(16, 3, strides=2), 16, "direct"),
        (Conv2D(16, 3, groups=2), 16, "direct"),
        (Conv2D(16, 3, algorithm="winograd_2x2"), 16, "winograd_2x2"),
        (Conv2D(16, 3, algorithm="loops"), 16, "loops"),
    ],
    ids=repr,
)
def test_algorithm_used_is_the_one_that_runs(layer: Any, channels: int, name: str) -> None:
    built(layer, 4, 5, channels)
    assert layer.algorithm_used() == name
    _, cache = layer.forward(np.zeros((1, 4, 5, channels)))
    assert cache.algorithm == name


def test_algorithm_used_needs_the_channels() -> None:
    with pytest.raises(StateError, match="layer 'conv2d' to be built"):
        Conv2D(16, 3).algorithm_used()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_layer_is_the_operation_with_its_parameters(algorithm: str, rng: np.random.Generator) -> None:
    size, strides = kernel_size_for(algorithm), strides_for(algorithm)
    layer = built(Conv2D(3, size, strides, "same", bias_initializer="ones", algorithm=algorithm), 5, 6, 2)
    x = rng.standard_normal((2, 5, 6, 2))
    y, cache = layer.forward(x)
    how = {"strides": strides, "padding": "same", "algorithm": algorithm}
    expected, own = conv2d(x, layer.params["kernel"], layer.params["bias"], **how)  # type: ignore[arg-type]
    assert np.array_equal(y, expected)
    dy = rng.standard_normal(y.shape)
    dx, gradients = layer.backward(dy, cache)
    dx_expected, dkernel, dbias = conv2d_backward(dy, own)
    assert np.array_equal(dx, dx_expected)
    assert gradients.keys() == {"kernel", "bias"}
    assert np.array_equal(gradients["kernel"], dkernel)  # type: ignore[arg-type]
    assert np.array_equal(gradients["bias"], dbias)  # type: ignore[arg-type]


def test_the_depthwise_layer_is_the_operation_with_its_parameters(rng: np.random.Generator) -> None:
    layer = built(DepthwiseConv2D(3, 2, "same", 2, bias_initializer="ones"), 5, 6, 3)
    x = rng.standard_normal((2, 5, 6, 3))
    y, cache = layer.forward(x)
    expected, own = depthwise_conv2d(x, layer.params["kernel"], layer.params["bias"], strides=2, padding="same")
    assert np.array_equal(y, expected)
    dy = rng.standard_normal(y.shape)
    dx, gradients = layer.backward(dy, cache)
    dx_expected, dkernel, dbias = depthwise_conv2d_backward(dy, own)
    assert np.array_equal(dx, dx_expected)
    assert np.array_equal(gradients["kernel"], dkernel)  # type: ignore[arg-type]
    assert np.array_equal(gradients["bias"], dbias)  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [Conv2D(3, 2, trainable=False), DepthwiseConv2D(2, trainable=False)], ids=repr)
def test_a_frozen_layer_passes_gradients_on_and_has_none(layer: Any, rng: np.random.Generator) -> None:
    built(layer, 4, 4, 3)
    y, cache = layer.forward(rng.standard_normal((1, 4, 4, 3)))
    dx, gradients = layer.backward(y, cache)
    assert gradients == {}
    layer.trainable = True
    same, gradients = layer.backward(y, cache)
    assert np.array_equal(dx, same)
    assert set(gradients) == {"kernel", "bias"}


# -- refusals ----------------------------------------------------------------------------------------------------------

BAD_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "filters 0": ({"filters": 0}, "filters as an integer of at least 1. Received: 0."),
    "filters 1.5": ({"filters": 1.5}, "filters as an integer of at least 1. Received: 1.5."),
    "kernel 0": ({"kernel_size": 0}, "as an integer or a pair of integers >= 1. Received: 0."),
    "kernel of three": ({"kernel_size": (3, 3, 3)}, "Received: (3, 3, 3). Give one integer for both axes"),
    "strides": ({"strides": (1, 0)}, "strides as an integer or a pair of integers >= 1. Received: (1, 0)."),
    "both": ({"strides": 2, "dilation_rate": 2}, "either strides > 1 or dilation_rate > 1"),
    "padding": ({"padding": "full"}, "padding 'valid' or 'same'. Received: 'full'."),
    "padding None": ({"padding": None}, "Received: None."),
    "explicit": ({"padding": ((1, 1), (1, 1))}, "put a ZeroPadding2D in front"),
    "groups": ({"groups": 0}, "groups as an integer of at least 1. Received: 0."),
    "algorithm": ({"algorithm": "fast"}, "algorithm to be one of auto, measured, loops, im2col"),
    "initializer": ({"kernel_initializer": "glorot"}, "Received: 'glorot'"),
    "name": ({"name": "a/b"}, "a layer name without '/'"),
    "name empty": ({"name": ""}, "a layer name without '/'"),
    "name of a folder": ({"name": ".."}, "no folder. Received: '..'."),
    "name unseen": ({"name": "a\nb"}, r"one that can be seen and is no folder. Received: 'a\nb'."),
    "use_bias": ({"use_bias": "no"}, "use_bias to be True or False. Received: 'no'."),
    "trainable": ({"trainable": 1}, "trainable to be True or False. Received: 1."),
}


@pytest.mark.parametrize("arguments, message", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Conv2D(**{"filters": 4, "kernel_size": 3} | arguments)


@pytest.mark.parametrize(
    "layer, shape, error, message",
    [
        (Conv2D(4, 3), (28, 28), ShapeError, "inputs (H, W, C) for layer 'conv2d'. Received: shape (28, 28). Pictures"),
        (Conv2D(4, 3), (1, 28, 28, 1), ShapeError, "Received: shape (1, 28, 28, 1)."),
        (Conv2D(4, 3), (28, 28, 0), ShapeError, "Received: shape (28, 28, 0)."),
        (Conv2D(4, 3), (2, 28, 1), ShapeError, "Layer 'conv2d': Expected an input of at least 3x3"),
        (Conv2D(4, 3, groups=2), (9, 9, 3), OptionError, "divide both the channels (3) and the filters (4)"),
        (Conv2D(5, 3, groups=2), (9, 9, 4), OptionError, "divide both the channels (4) and the filters (5)"),
        (Conv2D(4, 5, algorithm="winograd"), (9, 9, 3), OptionError, "that 'winograd' can compute. Received: a 5x5"),
        (Conv2D(4, 3, 2, algorithm="winograd"), (9, 9, 3), OptionError, "Use algorithm='auto'."),
        (DepthwiseConv2D(3), (28, 28), ShapeError, "inputs (H, W, C) for layer 'depthwise_conv2d'"),
        (DepthwiseConv2D(3, algorithm="winograd"), (9, 9, 3), OptionError, "groups=3 (Winograd needs all 1)"),
    ],
)
def test_inputs_a_layer_cannot_take_are_refused_when_it_is_built(
    layer: Any, shape: tuple[int, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        built(layer, *shape)
    assert not layer.built
    assert layer.params == {}


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.zeros((1, 9, 9, 2), np.float32), ShapeError, "Layer 'conv2d': Expected x with 3 channels"),
        (np.zeros((9, 9, 3), np.float32), ShapeError, "x with 4 axes (N, H, W, C). Received: shape (9, 9, 3)."),
        (np.zeros((0, 9, 9, 3), np.float32), ShapeError, "x with at least one element"),
        (np.zeros((1, 9, 9, 3)), DtypeError, "x and kernel of the same dtype. Received: float64 and float32."),
        (np.zeros((1, 9, 9, 3), np.uint8), DtypeError, "float32 or float64. Received: dtype uint8."),
        (np.zeros((1, 2, 9, 3), np.float32), ShapeError, "Use padding='same', a smaller window, or a larger input."),
    ],
)
def test_bad_inputs_are_refused_with_the_name_of_the_layer(x: Any, error: type[Exception], message: str) -> None:
    layer = built(Conv2D(4, 3), 9, 9, 3, dtype=np.float32)
    with pytest.raises(error, match=re.escape(message)) as raised:
        layer.forward(x)
    assert str(raised.value).startswith("Layer 'conv2d': Expected ")


def test_a_layer_that_is_not_built_says_so() -> None:
    for layer in (Conv2D(4, 3), DepthwiseConv2D(3)):
        with pytest.raises(StateError, match=r"to be built.*or put it into a Sequential"):
            layer(np.zeros((1, 9, 9, 3), np.float32))


def test_depthwise_strides_must_be_equal() -> None:
    with pytest.raises(OptionError, match=r"equal strides on both axes\. Received: strides=\(1, 2\)"):
        DepthwiseConv2D(3, (1, 2))
    with pytest.raises(OptionError, match="depth_multiplier as an integer of at least 1"):
        DepthwiseConv2D(3, depth_multiplier=0)


@pytest.mark.parametrize("make", [lambda **o: Conv2D(4, **o), DepthwiseConv2D, lambda **o: Conv2DTranspose(4, **o)])
def test_sizes_are_refused_under_the_name_of_the_argument(make: Callable[..., Any]) -> None:
    with pytest.raises(OptionError, match=r"^Expected kernel_size as an integer or a pair .*Received: '3'\."):
        make(kernel_size="3")


@pytest.mark.parametrize("layer", [MaxPooling2D, AveragePooling2D])
def test_so_are_those_of_pooling(layer: Any) -> None:
    with pytest.raises(OptionError, match=r"^Expected pool_size as an integer or a pair .*Received: 0\."):
        layer(pool_size=0)


@pytest.mark.parametrize("padding", ["smae", "full", ((1, 1), (1, 1)), 1])
def test_a_layer_offers_only_the_paddings_that_it_takes(padding: Any) -> None:
    for make in (lambda: Conv2D(4, 3, padding=padding), lambda: MaxPooling2D(padding=padding)):
        with pytest.raises(
            OptionError, match=r"^Expected padding 'valid' or 'same'\. .*put a ZeroPadding2D in front\.$"
        ):
            make()
    assert Conv2D(4, 3, padding="SAME").window.padding == "same"
