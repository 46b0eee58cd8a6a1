"""Transposed convolution: against stamping kernels one by one, and as what it is called, a transpose."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.layers import Conv2DTranspose
from minicnn.ops.conv2d import ALGORITHMS, conv2d
from minicnn.ops.conv2d_transpose import conv2d_transpose, conv2d_transpose_backward
from minicnn.shapes import Array, Window
from tests.cases import kernel_size_for, strides_for


def stamped(x: Array, kernel: Array, size: tuple[int, int], window: Window) -> Array:
    """The definition: every pixel adds its kernel to y, and what falls outside is lost."""
    (top, _), (left, _) = window.pads(*size)
    N, H, W, _ = x.shape
    KH, KW, F, _ = kernel.shape
    y = np.zeros((N, *size, F))
    for n, h, w, kh, kw in product(range(N), range(H), range(W), range(KH), range(KW)):
        oh = h * window.strides[0] + kh * window.dilation[0] - top
        ow = w * window.strides[1] + kw * window.dilation[1] - left
        if 0 <= oh < size[0] and 0 <= ow < size[1]:
            y[n, oh, ow] += kernel[kh, kw] @ x[n, h, w]
    return y


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": 2},
        {"strides": (3, 2), "output_padding": (1, 0)},
        {"strides": 3, "output_padding": 2},
        {"dilation_rate": 2},
        {"dilation_rate": (1, 3)},
    ],
    ids=str,
)
@pytest.mark.parametrize("algorithm", ["auto", "loops", "im2col", "direct"])
def test_it_stamps(options: dict[str, Any], padding: str, algorithm: str, rng: np.random.Generator) -> None:
    x, kernel, bias = rng.standard_normal((2, 4, 3, 2)), rng.standard_normal((3, 5, 4, 2)), rng.standard_normal(4)
    y, cache = conv2d_transpose(x, kernel, bias, padding=padding, algorithm=algorithm, **options)
    np.testing.assert_allclose(y, stamped(x, kernel, y.shape[1:3], cache.window) + bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if "winograd" in name])
def test_winograd_stamps_too(name: str, rng: np.random.Generator) -> None:
    size, strides = kernel_size_for(name), strides_for(name)
    x, kernel = rng.standard_normal((1, 9, 7, 5)), rng.standard_normal((size, size, 4, 5))
    y, cache = conv2d_transpose(x, kernel, strides=strides, padding="same", algorithm=name)
    expected = stamped(x, kernel, (9 * strides, 7 * strides), cache.window)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)


def test_it_is_the_transpose_of_the_convolution(rng: np.random.Generator) -> None:
    """<conv(a), x> = <a, transpose(x)>, for the kernel read the other way round."""
    kernel, a = rng.standard_normal((3, 3, 4, 2)), rng.standard_normal((2, 8, 6, 4))
    b, _ = conv2d(a, kernel, strides=2, padding="same")
    x = rng.standard_normal(b.shape)
    y, _ = conv2d_transpose(x, kernel, strides=2, padding="same")
    assert y.shape == a.shape
    np.testing.assert_allclose(np.sum(b * x), np.sum(a * y), rtol=1e-12)


def test_its_gradients_are_those_of_the_stamps(rng: np.random.Generator) -> None:
    """y is linear in x and in the kernel: <dy, y> is <dx, x>, and <dkernel, kernel>."""
    x, kernel = rng.standard_normal((2, 4, 3, 2)), rng.standard_normal((3, 2, 5, 2))
    y, cache = conv2d_transpose(x, kernel, strides=2, padding="same")
    dy = rng.standard_normal(y.shape)
    dx, dkernel, dbias = conv2d_transpose_backward(dy, cache)
    assert dbias is None
    other, _ = conv2d_transpose(x, one := rng.standard_normal(kernel.shape), strides=2, padding="same")
    np.testing.assert_allclose(np.sum(dkernel * one), np.sum(dy * other), rtol=1e-12)
    np.testing.assert_allclose(np.sum(dx * x), np.sum(dy * y), rtol=1e-12)


@pytest.mark.parametrize(
    "size, options, expected",
    [
        (3, {"strides": 2}, 13),  # (6 - 1)*2 + 3
        (3, {"strides": 2, "padding": "same"}, 12),
        (3, {"strides": 2, "padding": "same", "output_padding": 0}, 11),
        (3, {"strides": 2, "output_padding": 1}, 14),
        (1, {"strides": 3}, 18),  # a stride wider than the kernel leaves gaps
        (3, {"dilation_rate": 2}, 10),
    ],
)
def test_sizes(size: int, options: dict[str, Any], expected: int) -> None:
    assert Conv2DTranspose(1, size, **options).output_shape((6, 6, 1)) == (expected, expected, 1)


def test_what_is_refused() -> None:
    x, kernel = np.ones((1, 4, 4, 2)), np.ones((2, 2, 3, 2))
    with pytest.raises(OptionError, match=r"output_padding below the strides \(2, 2\)"):
        conv2d_transpose(x, kernel, strides=2, output_padding=2)
    with pytest.raises(ShapeError, match="an even kernel needs output_padding of at least 1"):
        conv2d_transpose(x, kernel, strides=2, padding="same", output_padding=0)
    with pytest.raises(OptionError, match="either strides > 1 or dilation_rate > 1"):
        conv2d_transpose(x, kernel, strides=2, dilation_rate=2)
    with pytest.raises(OptionError, match=r"'auto' or the name of an algorithm\. Received: 'measured'"):
        conv2d_transpose(x, kernel, algorithm="measured")
    with pytest.raises(ShapeError, match="x with 2 channels"):
        conv2d_transpose(x[..., :1], kernel)
    with pytest.raises(ShapeError, match=r"bias of shape \(3,\)"):
        conv2d_transpose(x, kernel, np.ones(2))
    with pytest.raises(DtypeError, match="x and kernel of the same dtype"):
        conv2d_transpose(x.astype(np.float32), kernel)
    _, cache = conv2d_transpose(x, kernel)
    with pytest.raises(ShapeError, match="dy in the shape of y"):
        conv2d_transpose_backward(x, cache)


def test_multiplications_are_counted_per_pixel_of_the_input() -> None:
    layer = Conv2DTranspose(5, 3, strides=2)
    layer.build((4, 6, 2), np.random.default_rng(0))
    assert layer.multiplications((4, 6, 2)) == 4 * 6 * 3 * 3 * 5 * 2
