"""Global pooling: means, maxima, and how their gradients are shared out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.ops.global_pooling import (
    global_average_pool2d,
    global_average_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("keepdims", [False, True])
def test_forward_is_the_mean_and_the_maximum_of_every_channel(keepdims: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 7, 4))
    mean, _ = global_average_pool2d(x, keepdims=keepdims)
    maximum, _ = global_max_pool2d(x, keepdims=keepdims)
    for n in range(3):
        for c in range(4):
            numbers = x[n, :, :, c].ravel().tolist()
            assert mean[n, ..., c].item() == pytest.approx(math.fsum(numbers) / 35, rel=1e-13)
            assert maximum[n, ..., c].item() == max(numbers)
    assert mean.shape == maximum.shape == ((3, 1, 1, 4) if keepdims else (3, 4))


@pytest.mark.parametrize("keepdims", [False, True])
def test_the_average_backward_is_the_adjoint(keepdims: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 7, 4))
    y, cache = global_average_pool2d(x, keepdims=keepdims)
    dy = rng.standard_normal(y.shape)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, global_average_pool2d_backward(dy, cache)), rel=1e-12)


def test_a_long_mean_in_float32_keeps_its_digits(rng: np.random.Generator) -> None:
    """One running sum over 90 000 numbers near 1 would be off by 1e-4 or so."""
    x = rng.uniform(0.9, 1.1, (1, 300, 300, 2)).astype(np.float32)
    y, _ = global_average_pool2d(x)
    np.testing.assert_allclose(y, x.mean(axis=(1, 2), dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize(
    ("picture", "shares"),
    [
        ([[1, 5], [5, 0]], [[0, 0.5], [0.5, 0]]),
        ([[2, 2], [2, 2]], [[0.25, 0.25], [0.25, 0.25]]),
        ([[-INF, -INF], [-INF, -INF]], [[0.25, 0.25], [0.25, 0.25]]),
        ([[INF, 1], [2, INF]], [[0.5, 0], [0, 0.5]]),
        ([[NAN, 1], [2, 3]], [[NAN, NAN], [NAN, NAN]]),
    ],
)
def test_the_maximum_shares_its_gradient_evenly(picture: list[list[float]], shares: list[list[float]]) -> None:
    x = np.array(picture, np.float32)[None, :, :, None]
    _, cache = global_max_pool2d(x)
    dx = global_max_pool2d_backward(np.array([[6]], np.float32), cache)
    np.testing.assert_array_equal(dx[0, :, :, 0], 6 * np.array(shares))


def test_each_picture_and_channel_has_its_own_maximum(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 7, 4))
    y, cache = global_max_pool2d(x)
    dy = rng.standard_normal(y.shape)
    dx = global_max_pool2d_backward(dy, cache)
    np.testing.assert_array_equal(dx.sum(axis=(1, 2)), dy)
    np.testing.assert_array_equal(dx != 0, x == x.max(axis=(1, 2), keepdims=True))


@pytest.mark.parametrize(
    ("forward", "backward"),
    [(global_average_pool2d, global_average_pool2d_backward), (global_max_pool2d, global_max_pool2d_backward)],
)
def test_errors(forward, backward) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\)"):
        forward(np.ones((3, 4), np.float32))
    _, cache = forward(np.ones((3, 5, 5, 2), np.float32))
    with pytest.raises(ShapeError, match=r"shape of y, \(3, 2\)"):
        backward(np.ones((3, 1, 1, 2), np.float32), cache)
