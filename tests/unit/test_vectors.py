"""Small results worked out by hand, written down number by number: for every algorithm, forward and backward.

Integers only, so every algorithm must give exactly these numbers, in float32 as in float64 (Winograd to rounding).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from minicnn.ops.average_pooling import average_pool2d, average_pool2d_backward
from minicnn.ops.conv2d import ALGORITHMS, conv2d, conv2d_backward
from minicnn.ops.depthwise_conv2d import depthwise_conv2d, depthwise_conv2d_backward
from minicnn.ops.max_pooling import max_pool2d, max_pool2d_backward
from minicnn.optimizers import Adagrad, Adam, Optimizer, RMSprop
from minicnn.shapes import Array, Window
from tests.cases import kernel_size_for, strides_for

EVERYWHERE = ["loops", "im2col", "direct"]


def picture(*rows: list[float]) -> Array:
    """One picture of one channel, (1, H, W, 1)."""
    return np.array(rows, float)[None, :, :, None]


def kernel(*rows: list[float]) -> Array:
    """One channel to one filter, (KH, KW, 1, 1)."""
    return np.array(rows, float)[:, :, None, None]


def check(algorithm: str, x: Array, k: Array, y: Array, dy: Array, dx: Array, dk: Array, **options: Any) -> None:
    for dtype in (np.float32, np.float64):
        arrays = x.astype(dtype), k.astype(dtype), np.array([10], dtype)
        result, cache = conv2d(*arrays, algorithm=algorithm, **options)
        gradients = conv2d_backward(dy.astype(dtype), cache)
        close = 1e-4 if algorithm.startswith("winograd") else 0
        for ours, expected in zip((result, *gradients), (y + 10, dx, dk, np.array([dy.sum()])), strict=True):
            assert ours is not None
            assert ours.dtype == dtype
            np.testing.assert_allclose(ours, expected, rtol=0, atol=close)


@pytest.mark.parametrize("algorithm", EVERYWHERE)
def test_a_2x2_kernel_on_a_2x3_picture(algorithm: str) -> None:
    """y[0] = 1*1 + 2*2 + 4*3 + 5*4 = 37, and one column further 2*1 + 3*2 + 5*3 + 6*4 = 47."""
    check(
        algorithm,
        picture([1, 2, 3], [4, 5, 6]),
        kernel([1, 2], [3, 4]),
        y=picture([37, 47]),
        dy=picture([1, -2]),
        dx=picture([1, 2 - 2, -4], [3, 4 - 6, -8]),
        dk=kernel([1 - 4, 2 - 6], [4 - 10, 5 - 12]),
    )


@pytest.mark.parametrize("algorithm", EVERYWHERE)
def test_same_padding_of_an_even_kernel_goes_to_the_bottom_and_right(algorithm: str) -> None:
    check(
        algorithm,
        picture([1, 2], [3, 4]),
        kernel([1, 10], [100, 1000]),
        y=picture([4321, 402], [43, 4]),
        dy=picture([1, 2], [3, 4]),
        dx=picture([1, 10 + 2], [100 + 3, 1000 + 200 + 30 + 4]),
        dk=kernel([1 + 4 + 9 + 16, 2 + 12], [3 + 8, 4]),
        padding="same",
    )


@pytest.mark.parametrize("algorithm", EVERYWHERE)
def test_strides_skip_and_the_last_column_is_never_seen(algorithm: str) -> None:
    check(
        algorithm,
        picture([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]),
        kernel([1, -1]),
        y=picture([-1], [-1]),
        dy=picture([5], [7]),
        dx=picture([5, -5, 0, 0], [0, 0, 0, 0], [7, -7, 0, 0]),
        dk=kernel([5 * 1 + 7 * 9, 5 * 2 + 7 * 10]),
        strides=(2, 3),
    )


@pytest.mark.parametrize("algorithm", EVERYWHERE)
def test_dilation_leaves_gaps_between_taps(algorithm: str) -> None:
    check(
        algorithm,
        picture([1, 2, 3, 4, 5]),
        kernel([1, 10, 100]),
        y=picture([531]),
        dy=picture([2]),
        dx=picture([2, 0, 20, 0, 200]),
        dk=kernel([2, 6, 10]),
        dilation_rate=2,
    )


@pytest.mark.parametrize(
    "algorithm", [name for name in ALGORITHMS if (kernel_size_for(name), strides_for(name)) == (3, 1)]
)
def test_a_3x3_kernel_of_nine_different_digits(algorithm: str) -> None:
    """Each tap has a place of its own, so a kernel that is turned, flipped or transposed cannot hide."""
    check(
        algorithm,
        picture([0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2]),
        kernel([1, 2, 3], [4, 5, 6], [7, 8, 9]),
        y=picture([9, 8, 7, 0], [6, 5, 4, 0], [3, 2, 1 + 18, 16], [0, 0, 12, 10]),
        dy=picture([1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 10]),
        dx=picture([5, 6, 0, 0], [8, 9, 0, 0], [0, 0, 10, 20], [0, 0, 40, 50]),
        dk=kernel([0, 0, 0], [0, 20, 0], [0, 0, 1]),
        padding="same",
    )


@pytest.mark.parametrize("algorithm", EVERYWHERE)
def test_the_pictures_of_a_batch_share_the_kernel(algorithm: str) -> None:
    """Each picture has its own y and dx; the gradients of kernel and bias add up over both."""
    check(
        algorithm,
        np.concatenate([picture([1, 2], [3, 4]), picture([5, 6], [7, 8])]),
        kernel([1, 10]),
        y=np.concatenate([picture([21], [43]), picture([65], [87])]),
        dy=np.concatenate([picture([1], [2]), picture([3], [4])]),
        dx=np.concatenate([picture([1, 10], [2, 20]), picture([3, 30], [4, 40])]),
        dk=kernel([1 + 6 + 15 + 28, 2 + 8 + 18 + 32]),
    )


@pytest.mark.parametrize("algorithm", EVERYWHERE)
def test_groups_do_not_mix(algorithm: str) -> None:
    """Two channels to four filters in two groups: filters 0 and 1 see channel 0, filters 2 and 3 see channel 1."""
    x, k = np.array([[[[3.0, 5.0]]]]), np.array([[[[1.0, 2.0, 10.0, 20.0]]]])
    y, cache = conv2d(x, k, groups=2, algorithm=algorithm)
    assert y.ravel().tolist() == [3, 6, 50, 100]
    dx, dk, _ = conv2d_backward(np.array([[[[1.0, 10.0, 100.0, 1000.0]]]]), cache)
    assert dx is not None
    assert dk is not None
    assert dx.ravel().tolist() == [1 + 20, 1000 + 20000]
    assert dk.ravel().tolist() == [3, 30, 500, 5000]


def test_depthwise_filters_lie_channel_by_channel() -> None:
    x, k = np.array([[[[3.0, 5.0]]]]), np.array([[[[1.0, 2.0], [10.0, 20.0]]]])
    y, cache = depthwise_conv2d(x, k)
    assert y.ravel().tolist() == [3, 6, 50, 100]
    dx, dk, _ = depthwise_conv2d_backward(np.array([[[[1.0, 10.0, 100.0, 1000.0]]]]), cache)
    assert dx is not None
    assert dk is not None
    assert dx.ravel().tolist() == [21, 21000]
    assert dk.tolist() == [[[[3, 30], [500, 5000]]]]


# -- pooling -----------------------------------------------------------------------------------------------------------


def test_max_pooling_gives_the_gradient_to_the_first_of_equals() -> None:
    x = picture([7, 7, 1, 2], [7, 0, 4, 4], [0, 0, 9, 9])
    y, cache = max_pool2d(x, Window.of(2, 2))
    assert y.tolist() == picture([7, 4]).tolist()  # the third row is left over
    dx = max_pool2d_backward(picture([3, 5]), cache)
    assert dx.tolist() == picture([3, 0, 0, 0], [0, 0, 5, 0], [0, 0, 0, 0]).tolist()


def test_max_pooling_adds_up_where_windows_overlap() -> None:
    x = picture([1, 5, 2], [4, 3, 0])
    y, cache = max_pool2d(x, Window.of(2, 1))
    assert y.tolist() == picture([5, 5]).tolist()
    assert max_pool2d_backward(picture([3, 4]), cache).tolist() == picture([0, 7, 0], [0, 0, 0]).tolist()


def test_padding_never_wins_a_maximum() -> None:
    x = picture([-1, -2, -3], [-4, -5, -6], [-7, -8, -9])
    y, cache = max_pool2d(x, Window.of(2, 2, "same"))
    assert y.tolist() == picture([-1, -3], [-7, -9]).tolist()
    dx = max_pool2d_backward(picture([1, 2], [3, 4]), cache)
    assert dx.tolist() == picture([1, 0, 2], [0, 0, 0], [3, 0, 4]).tolist()


def test_average_pooling_does_not_count_padding() -> None:
    x = picture([1, 3, 5], [7, 9, 11], [2, 4, 6])
    y, cache = average_pool2d(x, Window.of(2, 2, "same"))
    assert y.tolist() == picture([5, 8], [3, 6]).tolist()
    dx = average_pool2d_backward(picture([4, 6], [8, 10]), cache)
    assert dx.tolist() == picture([1, 1, 3], [1, 1, 3], [4, 4, 10]).tolist()


def test_average_pooling_of_overlapping_windows() -> None:
    x = picture([2, 4, 6])
    y, cache = average_pool2d(x, Window.of((1, 2), 1))
    assert y.tolist() == picture([3, 5]).tolist()
    assert average_pool2d_backward(picture([2, 8]), cache).tolist() == picture([1, 5, 4]).tolist()


# -- optimisers: where epsilon stands ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer, after",
    [
        # m = 0.1 * 4, v = 0.001 * 16; the correction makes 4 and 16 of them, epsilon is added to the plain root of v
        (Adam(0.5, epsilon=1.0), 1 - 0.5 * math.sqrt(0.001) / 0.1 * 0.4 / (math.sqrt(0.016) + 1)),
        # v = 0.1 * 16 = 1.6, and 1.6 + 2.4 = 4
        (RMSprop(0.5, epsilon=2.4), 1 - 0.5 * 4 / 2),
        # 0.1 + 16 + 0.15 = 16.25, the square of 4.031...
        (Adagrad(0.5, epsilon=0.15), 1 - 0.5 * 4 / math.sqrt(16.25)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_epsilon_stands_outside_the_root_in_adam_and_inside_elsewhere(optimizer: Optimizer, after: float) -> None:
    parameters = {"fc/bias": np.array([1.0])}
    optimizer.apply(parameters, {"fc/bias": np.array([4.0])})
    assert parameters["fc/bias"][0] == pytest.approx(after, rel=1e-12)
