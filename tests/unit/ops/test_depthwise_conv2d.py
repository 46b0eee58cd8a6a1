"""Depthwise convolution against its definition: each channel convolved on its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.conv2d import conv2d, conv2d_backward
from minicnn.ops.depthwise_conv2d import depthwise_conv2d, depthwise_conv2d_backward


@pytest.mark.parametrize("algorithm", ["auto", "loops", "im2col", "direct"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": 2},
        {"padding": "same"},
        {"padding": "same", "dilation_rate": (2, 1)},
        {"padding": ((1, 0), (0, 2))},
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
    dy = rng.standard_normal(y.shape)
    dx, dkernel, dbias = depthwise_conv2d_backward(dy, cache)
    assert dx is not None
    assert dkernel is not None
    for c in range(3):
        mine = slice(c * multiplier, (c + 1) * multiplier)
        expected, one = conv2d(x[..., [c]], kernel[:, :, [c]], bias[mine], algorithm="loops", **options)
        np.testing.assert_allclose(y[..., mine], expected, atol=1e-13)
        own = conv2d_backward(dy[..., mine], one)
        for ours, theirs in zip((dx[..., [c]], dkernel[:, :, [c]], dbias[mine]), own, strict=True):  # type: ignore[index]
            np.testing.assert_allclose(ours, theirs, atol=1e-12)  # type: ignore[arg-type]


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
