"""Depthwise convolution against its definition: each channel convolved on its own."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import Conv2D, DepthwiseConv2D, SeparableConv2D
from minicnn.ops.conv2d import conv2d, conv2d_backward, convolve
from minicnn.ops.copying import passes_cache
from minicnn.ops.depthwise_conv2d import convolve_depthwise, depthwise_conv2d, depthwise_conv2d_backward
from minicnn.ops.depthwise_loops import LARGE_BYTES
from minicnn.shapes import Window, pair


@pytest.mark.parametrize("algorithm", ["auto", "loops", "im2col", "direct"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": 2},
        {"padding": "same"},
        {"padding": "same", "dilation_rate": (2, 1)},
        {"padding": ((1, 0), (0, 2))},
        {"padding": "same", "strides": (1, 3), "dilation_rate": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("multiplier", [1, 3])
def test_every_channel_is_a_convolution_of_its_own(
    algorithm: str, options: dict[str, Any], multiplier: int, rng: np.random.Generator
) -> None:
    x, kernel = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 2, 3, multiplier))
    bias = rng.standard_normal(3 * multiplier)
    y, cache = depthwise_conv2d(x, kernel, bias, algorithm=algorithm, **options)
    strides, dilation = (pair(options.get(name, 1), name) for name in ("strides", "dilation_rate"))
    window = Window((3, 2), strides, options.get("padding", "valid"), dilation)  # conv2d refuses some of them
    dy = rng.standard_normal(y.shape)
    dx, dkernel, dbias = depthwise_conv2d_backward(dy, cache)
    assert dx is not None
    assert dkernel is not None
    for c in range(3):
        mine = slice(c * multiplier, (c + 1) * multiplier)
        expected, one = convolve(x[..., [c]], kernel[:, :, [c]], bias[mine], window, algorithm="loops")
        np.testing.assert_allclose(y[..., mine], expected, atol=1e-13)
        own = conv2d_backward(dy[..., mine], one)
        for ours, theirs in zip((dx[..., [c]], dkernel[:, :, [c]], dbias[mine]), own, strict=True):  # type: ignore[index]
            np.testing.assert_allclose(ours, theirs, atol=1e-12)  # type: ignore[arg-type]


def test_strides_and_dilation_go_together_where_keras_has_both() -> None:
    """In layers with one filter per channel, where even the strides need not be equal; nowhere else."""
    options: dict[str, Any] = {"strides": (2, 1), "dilation_rate": 2}
    for layer in (DepthwiseConv2D(3, depth_multiplier=4, **options), SeparableConv2D(4, 3, **options)):
        assert layer.output_shape((9, 8, 1)) == (3, 4, 4)
    for strides in ((2, 1), (1, 3)):
        for kind, first in ((DepthwiseConv2D, ()), (SeparableConv2D, (4,))):
            with pytest.raises(OptionError, match=r"equal strides on both axes.*where there is no dilation"):
                kind(*first, 3, strides=strides)  # type: ignore[operator]
    with pytest.raises(OptionError, match=r"either strides > 1 or dilation_rate > 1.*but for depthwise"):
        Conv2D(4, 3, **options)
    with pytest.raises(OptionError, match="either strides > 1 or dilation_rate > 1"):
        conv2d(np.ones((1, 9, 8, 1)), np.ones((3, 3, 1, 4)), **options)
    for algorithm in ("winograd", "direct"):  # which cannot do it
        with pytest.raises(OptionError, match=r"strides=\(2, 1\).*dilation_rate=\(2, 2\)"):
            DepthwiseConv2D(3, algorithm=algorithm, **options).build((9, 8, 1), np.random.default_rng(0))


def test_backward_leaves_out_what_nobody_asked_for(rng: np.random.Generator) -> None:
    x, kernel = rng.standard_normal((1, 4, 4, 2)), rng.standard_normal((3, 3, 2, 2))
    y, cache = depthwise_conv2d(x, kernel)
    dx, dkernel, dbias = depthwise_conv2d_backward(y, cache)
    assert dbias is None
    assert dx is not None
    assert dkernel is not None
    none, again, _ = depthwise_conv2d_backward(y, cache, input_gradient=False)
    assert none is None
    assert again is not None
    assert np.array_equal(again, dkernel)
    alone, *nothing = depthwise_conv2d_backward(y, cache, parameter_gradients=False)
    assert alone is not None
    assert np.array_equal(alone, dx)
    assert nothing == [None, None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "size", "options"),
    [
        ((2, 6, 23, 16), 3, {"padding": "same"}),
        ((1, 5, 31, 80), 3, {"padding": "same", "strides": 2}),
        ((2, 5, 20, 5), 5, {"padding": "same"}),
        ((1, 9, 150, 3), (2, 7), {"strides": (1, 1)}),
        ((1, 5, 30, 19), 3, {"padding": "same", "dilation_rate": 2}),
        ((2, 11, 40, 4), 5, {"padding": ((1, 0), (3, 2)), "strides": (2, 3)}),
        ((1, 3, 6, 9), 7, {"padding": "same"}),
        ((1, 9, 9, 3), 2, {"strides": 4}),
        ((1, 4, 30, 17), (1, 4), {}),
        ((2, 3, 3, 5), 2, {"padding": ((5, 5), (5, 5)), "strides": 10}),
        ((1, 12, 13, 33), 4, {"padding": ((4, 0), (0, 9)), "dilation_rate": 3}),
        ((1, 9, 17, 5), 5, {"padding": "same", "dilation_rate": 2, "strides": 2}),
        ((1, 13, 14, 17), (6, 7), {"padding": ((9, 0), (0, 9)), "dilation_rate": (2, 3), "strides": (6, 4)}),
    ],
    ids=str,
)
def test_own_loops_equal_the_definition(
    shape: tuple[int, ...], size: Any, options: dict[str, Any], dtype: type, rng: np.random.Generator
) -> None:
    """Kernels of one piece and of several, channels in whole vectors and parts, windows that meet only padding."""
    kernel_shape = (*(size if isinstance(size, tuple) else (size, size)), shape[3], 1)
    x, kernel, bias = (rng.standard_normal(s).astype(dtype) for s in (shape, kernel_shape, shape[3:]))
    y, cache = depthwise_conv2d(x, kernel, bias, **options)
    dy = rng.standard_normal(y.shape).astype(dtype)
    results = (y, *depthwise_conv2d_backward(dy, cache))
    oracle = "loops" if {"strides", "dilation_rate"} <= options.keys() else "direct"  # which cannot have both
    expected, cache = depthwise_conv2d(x, kernel, bias, algorithm=oracle, **options)
    tolerance = 3e-5 if dtype == np.float32 else 1e-13
    for ours, theirs in zip(results, (expected, *depthwise_conv2d_backward(dy, cache)), strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * float(np.abs(theirs).max()))


@pytest.mark.parametrize("column", [0, 10, 23])
def test_what_is_not_finite_stays_where_its_window_is(column: int, rng: np.random.Generator) -> None:
    x, kernel = np.ones((1, 3, 24, 16), np.float32), np.ones((3, 3, 16, 1), np.float32)
    x[0, 1, column, 3] = np.nan
    y, cache = depthwise_conv2d(x, kernel, padding="same")
    touched = np.zeros(y.shape, bool)
    touched[0, :, max(0, column - 1) : column + 2, 3] = True
    np.testing.assert_array_equal(np.isnan(y), touched)
    dx, _, _ = depthwise_conv2d_backward(y, cache)
    again = np.zeros(y.shape, bool)
    again[0, :, max(0, column - 2) : column + 3, 3] = True
    assert dx is not None
    np.testing.assert_array_equal(np.isnan(dx), again)
    _, dkernel, _ = depthwise_conv2d_backward(np.ones_like(y), cache)
    assert dkernel is not None
    columns = {0: [True, True, False], 10: [True, True, True], 23: [False, True, True]}[column]  # that meet it at all
    np.testing.assert_array_equal(np.isnan(dkernel[:, :, 3, 0]), [columns] * 3)
    np.testing.assert_array_equal(np.isnan(dkernel).any(axis=(0, 1, 3)), np.arange(16) == 3)


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    x, kernel = (rng.standard_normal(s).astype(np.float32) for s in ((4, 40, 40, 24), (3, 3, 24, 1)))
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            y, cache = depthwise_conv2d(x, kernel, padding="same")
            results.append((y, *depthwise_conv2d_backward(y, cache)[:2]))
    finally:
        numba.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_window_made_before_is_the_one_of_the_kernel(rng: np.random.Generator) -> None:
    x, kernel = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((3, 2, 3, 2))
    expected, _ = depthwise_conv2d(x, kernel, padding="same", strides=2)
    y, _ = convolve_depthwise(x, kernel, None, Window.of((3, 2), 2, "same"))
    np.testing.assert_array_equal(y, expected)
    for algorithm in ("auto", "direct"):
        with pytest.raises(ShapeError, match=r"a kernel of 2x2, the window.*\(3, 2, 3, 2\)"):
            convolve_depthwise(x, kernel, None, Window.of(2), algorithm=algorithm)


@pytest.mark.parametrize("channels", [64, 48, 80], ids=lambda channels: f"{channels} channels")
def test_many_pictures_are_written_past_the_cache_with_the_bits_of_one(channels: int, rng: np.random.Generator) -> None:
    """Forward and dx, of two pictures and of each alone; 48 and 80 channels end, with AVX-512, with a single vector."""
    rows = LARGE_BYTES // (2 * 4 * 100 * channels) + 1
    x, kernel = rng.standard_normal((2, rows, 100, channels), np.float32), rng.standard_normal((3, 3, channels, 1))
    y, cache = depthwise_conv2d(x, kernel.astype(np.float32), padding="same")
    assert passes_cache(y, channels, LARGE_BYTES)
    dx, _, _ = depthwise_conv2d_backward(x, cache)
    assert dx is not None
    assert passes_cache(dx, channels, LARGE_BYTES)
    for picture in range(2):
        alone, own = depthwise_conv2d(x[picture : picture + 1], kernel.astype(np.float32), padding="same")
        assert not passes_cache(alone, channels, LARGE_BYTES)
        assert alone.tobytes() == y[picture : picture + 1].tobytes()
        own_dx, _, _ = depthwise_conv2d_backward(x[picture : picture + 1], own)
        assert own_dx is not None
        assert own_dx.tobytes() == dx[picture : picture + 1].tobytes()
