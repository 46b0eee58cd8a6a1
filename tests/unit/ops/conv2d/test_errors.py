"""Bad input to a convolution: always one of our errors, saying what was expected, what came and how to mend it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.ops.conv2d import ALGORITHMS, conv2d, conv2d_backward
from minicnn.ops.depthwise_conv2d import depthwise_conv2d, depthwise_conv2d_backward
from minicnn.shapes import Array
from tests.cases import kernel_size_for, strides_for


def zeros(*shape: int, dtype: Any = np.float32) -> Array:
    return np.zeros(shape, dtype)


X, KERNEL, BIAS = zeros(2, 6, 5, 4), zeros(3, 3, 4, 8), zeros(8)

ARRAYS: dict[str, tuple[Any, Any, Any, type[Exception], str, str]] = {
    # name: x, kernel, bias, error, expected and received, fix
    "a list": ([[1.0]], KERNEL, BIAS, DtypeError, "x as a NumPy array (N, H, W, C). Received: list", "np.asarray"),
    "kernel a list": (X, [[[[1.0]]]], BIAS, DtypeError, "kernel as a NumPy array (KH, KW, C/groups, F)", "np.asarray"),
    "bias a list": (X, KERNEL, [0.0] * 8, DtypeError, "bias as a NumPy array (F,). Received: list", "np.asarray"),
    "one picture": (X[0], KERNEL, BIAS, ShapeError, "x with 4 axes (N, H, W, C). Received: shape (6, 5, 4)", "x[None]"),
    "rank 5": (X[None], KERNEL, BIAS, ShapeError, "x with 4 axes (N, H, W, C). Received: shape (1, 2, 6, 5, 4)", ""),
    "kernel rank": (X, KERNEL[0], BIAS, ShapeError, "kernel with 4 axes (KH, KW, C/groups, F). Received", ""),
    "bias rank": (X, KERNEL, BIAS[None], ShapeError, "bias with 1 axes (F,). Received: shape (1, 8)", ""),
    "no pictures": (X[:0], KERNEL, BIAS, ShapeError, "x with at least one element", ""),
    "no channels": (X[..., :0], KERNEL, BIAS, ShapeError, "Received: shape (2, 6, 5, 0)", ""),
    "no filters": (X, KERNEL[..., :0], BIAS, ShapeError, "Received: shape (3, 3, 4, 0)", ""),
    "bytes": (X.astype(np.uint8), KERNEL, BIAS, DtypeError, "float32 or float64. Received: dtype uint8", "x.astype"),
    "half": (X, KERNEL.astype(np.float16), BIAS, DtypeError, "Received: dtype float16", "kernel.astype"),
    "complex": (X.astype(complex), KERNEL, BIAS, DtypeError, "Received: dtype complex128", "x.astype"),
    "mixed": (
        X.astype(float),
        KERNEL,
        BIAS,
        DtypeError,
        "x and kernel of the same dtype. Received: float64",
        "Convert",
    ),
    "mixed bias": (X, KERNEL, BIAS.astype(float), DtypeError, "bias and kernel of the same dtype", "Convert"),
    "channels": (X[..., :3], KERNEL, BIAS, ShapeError, "x with 4 channels (kernel (3, 3, 4, 8), groups=1)", "NHWC"),
    "NCHW": (X.transpose(0, 3, 1, 2), KERNEL, BIAS, ShapeError, "x of shape (2, 4, 6, 5)", "x.transpose(0, 2, 3, 1)"),
    "bias length": (X, KERNEL, BIAS[:7], ShapeError, "bias of shape (8,), one per filter. Received: shape (7,)", ""),
    "too small": (X[:, :2], KERNEL, BIAS, ShapeError, "at least 3x3", "padding='same'"),
}


@pytest.mark.parametrize("x, kernel, bias, error, received, fix", ARRAYS.values(), ids=ARRAYS)
def test_bad_arrays(x: Any, kernel: Any, bias: Any, error: type[Exception], received: str, fix: str) -> None:
    with pytest.raises(error, match=re.escape(received)) as raised:
        conv2d(x, kernel, bias)
    assert str(raised.value).startswith("Expected ")
    assert fix in str(raised.value)


OPTIONS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "stride 0": ({"strides": 0}, OptionError, "strides as an integer or a pair of integers >= 1. Received: 0."),
    "three strides": ({"strides": (1, 1, 1)}, OptionError, "Received: (1, 1, 1). Give one integer"),
    "half a stride": ({"strides": 1.5}, OptionError, "Received: 1.5."),
    "dilation 0": ({"dilation_rate": (0, 1)}, OptionError, "dilation_rate as an integer or a pair"),
    "both": ({"strides": 2, "dilation_rate": 2}, OptionError, "either strides > 1 or dilation_rate > 1"),
    "too dilated": ({"dilation_rate": 3}, ShapeError, "at least 7x7 (the window with its dilation). Received: 6x5"),
    "padding name": ({"padding": "full"}, OptionError, "padding 'valid', 'same' or ((top, bottom), (left, right))"),
    "padding number": ({"padding": 1}, OptionError, "Received: 1."),
    "negative padding": ({"padding": ((0, -1), (0, 0))}, OptionError, "Received: ((0, -1), (0, 0))."),
    "groups 0": ({"groups": 0}, OptionError, "groups as an integer of at least 1. Received: 0."),
    "groups True": ({"groups": True}, OptionError, "groups as an integer of at least 1. Received: True."),
    "groups 3": ({"groups": 3}, OptionError, "divide both the channels (4) and the filters (8). Received: groups=3."),
    "groups without kernel": ({"groups": 2}, ShapeError, "x with 8 channels (kernel (3, 3, 4, 8), groups=2)"),
    "algorithm": (
        {"algorithm": "fast"},
        OptionError,
        "one of auto, measured, loops, im2col, direct, winograd, winograd_2x2, winograd_complex, "
        "winograd_6x6, winograd_5x5, winograd_5x5_4x4, winograd_stride_2.",
    ),
    "winograd strides": ({"algorithm": "winograd", "strides": 2}, OptionError, "strides=(2, 2)"),
    "winograd without strides": ({"algorithm": "winograd_stride_2"}, OptionError, "needs strides of 2, the others 1"),
    "winograd dilation": ({"algorithm": "winograd", "dilation_rate": 2}, OptionError, "Use algorithm='auto'."),
    "winograd padding": (
        {"algorithm": "winograd_2x2", "padding": ((3, 0), (0, 0))},
        OptionError,
        "at most 2 on a side",
    ),
}


@pytest.mark.parametrize("options, error, message", OPTIONS.values(), ids=OPTIONS)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)) as raised:
        conv2d(X, KERNEL, BIAS, **options)
    assert str(raised.value).startswith("Expected ")


@pytest.mark.parametrize("groups", [True, 1.0, [1]])
def test_what_equals_a_good_option_is_not_taken_for_it(groups: Any) -> None:
    """What follows from shapes and options is kept, and True is found where 1 was put."""
    conv2d(X, KERNEL, BIAS, groups=1)
    with pytest.raises(OptionError, match=re.escape(f"groups as an integer of at least 1. Received: {groups}.")):
        conv2d(X, KERNEL, BIAS, groups=groups)


def test_shapes_that_do_not_fit_are_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ShapeError, match=re.escape("bias of shape (8,), one per filter. Received: shape (7,).")):
            conv2d(X, KERNEL, zeros(7))
        conv2d(X, KERNEL, BIAS)


def test_winograd_names_the_kernel_it_cannot_take() -> None:
    with pytest.raises(OptionError, match=r"that 'winograd' can compute\. Received: a 5x3 kernel .*algorithm='auto'"):
        conv2d(X, zeros(5, 3, 4, 8), algorithm="winograd")


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if (kernel_size_for(a), strides_for(a)) == (3, 1)])
@pytest.mark.parametrize(
    "dy, error, message",
    [
        (zeros(2, 4, 3, 7), ShapeError, "dy in the shape of y, (2, 4, 3, 8). Received: shape (2, 4, 3, 7)."),
        (zeros(2, 6, 5, 8), ShapeError, "dy in the shape of y, (2, 4, 3, 8). Received: shape (2, 6, 5, 8)."),
        (zeros(1, 4, 3, 8), ShapeError, "Received: shape (1, 4, 3, 8)."),
        (zeros(4, 3, 8), ShapeError, "dy with 4 axes (N, OH, OW, F). Received: shape (4, 3, 8)."),
        (zeros(2, 4, 3, 8, dtype=float), DtypeError, "dy and kernel of the same dtype. Received: float64 and float32."),
        (zeros(2, 4, 3, 8, dtype=int), DtypeError, "dy as float32 or float64. Received: dtype int64."),
    ],
)
def test_bad_upstream_gradients(algorithm: str, dy: Array, error: type[Exception], message: str) -> None:
    _, cache = conv2d(X, KERNEL, BIAS, algorithm=algorithm)
    with pytest.raises(error, match=re.escape(message)):
        conv2d_backward(dy, cache)


def test_backward_refuses_an_algorithm_that_cannot() -> None:
    y, cache = conv2d(X, KERNEL, strides=2)
    with pytest.raises(OptionError, match=r"'winograd' can compute\. Received: strides=\(2, 2\)"):
        conv2d_backward(y, cache, algorithm="winograd")
    with pytest.raises(OptionError, match="one of auto, measured, loops"):
        conv2d_backward(y, cache, algorithm="fast")


@pytest.mark.parametrize(
    "x, kernel, bias, error, message",
    [
        (X, zeros(3, 3, 3, 2), None, ShapeError, "x with 3 channels (kernel (3, 3, 3, 2)). Received: x of shape (2, 6"),
        (X, zeros(3, 3, 4), None, ShapeError, "kernel with 4 axes (KH, KW, C, depth_multiplier)"),
        (X, zeros(3, 3, 4, 2), zeros(4), ShapeError, "bias of shape (8,), one per filter. Received: shape (4,)"),
        (X, zeros(3, 3, 4, 2, dtype=float), None, DtypeError, "x and kernel of the same dtype"),
        (X[0], zeros(3, 3, 4, 2), None, ShapeError, "A single picture needs a batch axis: x[None]."),
        (X[:, :2], zeros(3, 3, 4, 2), None, ShapeError, "at least 3x3"),
    ],
)
def test_bad_depthwise_arrays(x: Array, kernel: Array, bias: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        depthwise_conv2d(x, kernel, bias)


def test_bad_depthwise_upstream_gradient() -> None:
    _, cache = depthwise_conv2d(X, zeros(3, 3, 4, 2))
    with pytest.raises(ShapeError, match=r"dy in the shape of y, \(2, 4, 3, 8\)"):
        depthwise_conv2d_backward(zeros(2, 4, 3, 4), cache)
