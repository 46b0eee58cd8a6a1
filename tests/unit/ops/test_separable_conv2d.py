"""Separable convolution: the definition, and kernels that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, MinicnnError, ShapeError
from minicnn.ops.separable_conv2d import separable_conv2d
from minicnn.shapes import Array

X, DEPTHWISE, POINTWISE = np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 2)), np.ones((1, 1, 6, 4))


def test_it_is_a_sum_over_taps_and_then_over_channels(rng: np.random.Generator) -> None:
    x, depthwise = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((3, 2, 3, 2))
    pointwise, bias = rng.standard_normal((1, 1, 6, 4)), rng.standard_normal(4)
    y, _ = separable_conv2d(x, depthwise, pointwise, bias)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(1, 2))
    between = np.einsum("nhwckl,klcm->nhwcm", windows, depthwise).reshape(2, 4, 4, 6)
    np.testing.assert_allclose(y, between @ pointwise[0, 0] + bias, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("depthwise", "pointwise", "error", "text"),
    [
        (DEPTHWISE.tolist(), POINTWISE, DtypeError, r"depthwise_kernel as a NumPy array \(KH, KW, C, M\)"),
        (DEPTHWISE[0], POINTWISE, ShapeError, "depthwise_kernel with 4 axes"),
        (DEPTHWISE, POINTWISE.tolist(), DtypeError, "pointwise_kernel as a NumPy array"),
        (DEPTHWISE, POINTWISE[:, :, :5], ShapeError, r"pointwise_kernel of shape \(1, 1, 6, F\), .*\(1, 1, 5, 4\)"),
        (DEPTHWISE, np.ones((2, 1, 6, 4)), ShapeError, r"pointwise_kernel of shape \(1, 1, 6, F\), .*\(2, 1, 6, 4\)"),
        (
            DEPTHWISE,
            POINTWISE.astype(np.float32),
            DtypeError,
            "pointwise_kernel and depthwise_kernel of the same dtype",
        ),
        (np.ones((3, 3, 2, 3)), POINTWISE, ShapeError, "x with 2 channels"),
    ],
)
def test_an_error_names_the_kernel_that_does_not_fit(
    depthwise: Any, pointwise: Array, error: type[MinicnnError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        separable_conv2d(X, depthwise, pointwise)
    assert "NCHW" not in str(caught.value)
