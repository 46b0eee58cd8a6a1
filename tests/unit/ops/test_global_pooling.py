"""Global pooling: means, maxima, and how their gradients are shared out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import ShapeError
from minicnn.ops.global_pooling import (
    check_countable,
    global_average_pool2d,
    global_average_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from minicnn.shapes import Array, Shape
from tests.threads import same_bits_on_one_thread

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


shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 15, 17, 64, 70]))
dtypes = st.sampled_from([np.float32, np.float64])


@given(shapes, dtypes, st.booleans())
def test_means_and_shares_are_the_definition(shape: Shape, dtype: type, keepdims: bool) -> None:
    rng = np.random.default_rng(sum(shape))
    x = rng.standard_normal(shape[::-1]).astype(dtype).T  # not contiguous
    y, cache = global_average_pool2d(x, keepdims=keepdims)
    tolerance = {"rtol": 0, "atol": 2 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, x.mean(axis=(1, 2), keepdims=keepdims, dtype=np.float64), **tolerance)
    dy = np.asfortranarray(rng.standard_normal(y.shape).astype(dtype))
    dx = global_average_pool2d_backward(dy, cache)
    share = dy.reshape(shape[0], 1, 1, -1) / dtype(shape[1] * shape[2])
    np.testing.assert_array_equal(dx, np.broadcast_to(share, shape))
    assert y.dtype == dx.dtype == dtype


def shared_out(x: Array, dy: Array) -> Array:
    """The definition: what the largest numbers get, in NumPy."""
    is_maximum = x == x.max(axis=(1, 2), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = dy.reshape(len(x), 1, 1, -1) / is_maximum.sum(axis=(1, 2), keepdims=True).astype(dy.dtype)
        return np.where(is_maximum, share, 0 * share)


@given(shapes, dtypes, st.sampled_from([1, 2, 50]), st.booleans(), st.booleans())
def test_maxima_and_their_shares_are_the_definition(
    shape: Shape, dtype: type, different: int, keepdims: bool, nan: bool
) -> None:
    """Of few different numbers, so that maxima tie; in some columns NaN, in some minus infinity alone."""
    rng = np.random.default_rng(sum(shape))
    x = rng.integers(-different, different, shape[::-1]).astype(dtype).T
    x[0, :, :, -1] = -INF
    x[-1, -1, 0, 0] = NAN if nan else INF
    y, cache = global_max_pool2d(x, keepdims=keepdims)
    np.testing.assert_array_equal(y, x.max(axis=(1, 2), keepdims=keepdims), strict=True)
    dy = np.asfortranarray(rng.standard_normal(y.shape).astype(dtype))
    dx = global_max_pool2d_backward(dy, cache)
    np.testing.assert_array_equal(dx, shared_out(x, dy), strict=True)


@pytest.mark.parametrize("shape", [(1, 90, 250, 3), (2, 40, 60, 32), (1, 40, 30, 100), (1, 7, 7, 16384)])
def test_pictures_of_several_blocks(shape: Shape, rng: np.random.Generator) -> None:
    """With ties between blocks, a NaN in the last pixel, and the same bits from any number of threads."""
    x = rng.integers(-9, 10, shape).astype(np.float32)
    x[..., 1] = rng.standard_normal(shape[:3])
    x[0, -1, -1, 2] = NAN
    dy = rng.standard_normal((shape[0], shape[3])).astype(np.float32)

    def both() -> tuple[Array, ...]:
        mean, average = global_average_pool2d(x)
        y, cache = global_max_pool2d(x)
        spread = global_average_pool2d_backward(dy, average)
        return mean, y, spread, global_max_pool2d_backward(dy, cache)

    mean, y, spread, dx = same_bits_on_one_thread(both)
    np.testing.assert_allclose(mean, x.mean(axis=(1, 2), dtype=np.float64), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(y, x.max(axis=(1, 2)))
    np.testing.assert_array_equal(spread, np.broadcast_to((dy / np.float32(x[0, ..., 0].size))[:, None, None], shape))
    np.testing.assert_array_equal(dx, shared_out(x, dy))


def test_x_is_remembered_only_for_ties(rng: np.random.Generator) -> None:
    x = rng.permutation(np.arange(120.0)).reshape(1, 8, 5, 3)
    assert global_max_pool2d(x)[1].x is None
    x[0, :2, 0, 1] = 1000
    assert global_max_pool2d(x)[1].x is x


@pytest.mark.parametrize("ties", [False, True])
def test_a_gradient_that_is_not_finite_spoils_its_own_channel(ties: bool) -> None:
    """As a product with 0 does: a network that has diverged shows it. Float64 gradients fit a float32 picture."""
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    x[0, 0, 0, 2] = x[0, 1, 1, 2] if ties else 0
    dx = global_max_pool2d_backward(np.array([[INF, NAN, -1.0]]), global_max_pool2d(x)[1])
    np.testing.assert_array_equal(dx[0, :, :, 0], [[NAN, NAN], [NAN, INF]])
    assert np.isnan(dx[..., 1]).all()
    np.testing.assert_array_equal(dx[0, :, :, 2], [[-0.5, 0], [0, -0.5]] if ties else [[0, 0], [0, -1]])


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


def test_pictures_with_more_pixels_than_are_counted_are_refused() -> None:
    check_countable(2**16, 2**15 - 1)
    with pytest.raises(ShapeError, match=r"less than 2\^31 pixels.*Received: 65536x32768.*parts"):
        check_countable(2**16, 2**15)
