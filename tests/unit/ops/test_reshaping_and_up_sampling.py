"""The same numbers counted otherwise, and larger pictures: what is refused, and a property or two."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import Permute, Reshape, UpSampling2D
from minicnn.ops.average_pooling import average_pool2d
from minicnn.ops.reshaping import permute, permute_backward, reshape, reshape_backward
from minicnn.ops.up_sampling import up_sampling2d, up_sampling2d_backward
from minicnn.shapes import Array, IntOrPair, Shape, Window, pair


def test_a_reshape_keeps_the_reading_order_and_moves_nothing(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 3, 5))
    y, cache = reshape(x, (6, -1))
    assert y.shape == (2, 6, 10)
    assert np.shares_memory(x, y)
    np.testing.assert_array_equal(y.reshape(-1), x.reshape(-1))
    np.testing.assert_array_equal(reshape_backward(y, cache), x)


def test_a_permutation_and_its_way_back(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 3, 5))
    y, cache = permute(x, (3, 1, 2))
    assert y.shape == (2, 5, 4, 3)
    assert y[1, 4, 2, 0] == x[1, 2, 0, 4]
    np.testing.assert_array_equal(permute_backward(y, cache), x)


@pytest.mark.parametrize("target", [(7, 9), (-1, 7), (61,)])
def test_numbers_that_do_not_fill_a_shape(target: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="Layer 'reshape': Expected inputs with as many numbers as target_shape"):
        Reshape(target).output_shape((4, 3, 5))


@pytest.mark.parametrize("target", [(-1, -1), (0, 3), (2.0, 3), "ab", (None, 3)])
def test_targets_that_are_none(target: object) -> None:
    with pytest.raises(OptionError, match="in target_shape"):
        Reshape(target)  # type: ignore[arg-type]


@pytest.mark.parametrize("dims", [(0, 1, 2), (1, 1, 2), (1, 2, 4), 3, (1, "2"), (True, 2)])
def test_dims_that_are_none(dims: object) -> None:
    with pytest.raises(OptionError, match="dims with each of 1 to"):
        Permute(dims)  # type: ignore[arg-type]


def test_dims_must_fit_the_input() -> None:
    with pytest.raises(OptionError, match="Layer 'permute': Expected dims with each of 1 to 2 once"):
        Permute((2, 1, 3)).output_shape((4, 5))


def test_average_pooling_undoes_blocks(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 3, 5))
    y, _ = up_sampling2d(x, (2, 3))
    np.testing.assert_allclose(average_pool2d(y, Window((2, 3), (2, 3)))[0], x)


def shares_along(size: int, factor: int, interpolation: str) -> Array:
    """(size * factor, size): what each enlarged row takes of each row, from where its middle lies, in float64."""
    shares = np.zeros((size * factor, size))
    for place in range(size * factor):
        middle = (place + 0.5) / factor - 0.5 if interpolation == "bilinear" else place // factor
        below = math.floor(middle)
        for row, share in ((below, 1 - (middle - below)), (below + 1, middle - below)):
            shares[place, min(max(row, 0), size - 1)] += share
    return shares


@given(
    st.sampled_from(["nearest", "bilinear"]),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 3, 15, 17, 64])),
    st.sampled_from([1, 2, 3, 4, (2, 3), (5, 1)]),
    st.sampled_from([np.float32, np.float64]),
)
def test_enlarged_pictures_and_gradients_are_the_definition(
    interpolation: str, shape: Shape, size: IntOrPair, dtype: type
) -> None:
    rng, factors = np.random.default_rng(0), pair(size, "size")
    x = rng.standard_normal(shape[::-1]).astype(dtype).T  # not contiguous
    down, across = (shares_along(n, f, interpolation) for n, f in zip(shape[1:3], factors, strict=True))
    y, cache = up_sampling2d(x, size, interpolation)
    tolerance = {"rtol": 0, "atol": 32 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, np.einsum("ph,qw,nhwc->npqc", down, across, x, dtype=np.float64), **tolerance)
    dy = np.asfortranarray(rng.standard_normal(y.shape).astype(dtype))
    dx = up_sampling2d_backward(dy, cache)
    np.testing.assert_allclose(dx, np.einsum("ph,qw,npqc->nhwc", down, across, dy, dtype=np.float64), **tolerance)
    assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_backward_is_the_adjoint(interpolation: str, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 7, 6, 5)).astype(dtype)
    y, cache = up_sampling2d(x, (3, 2), interpolation)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = up_sampling2d_backward(dy, cache)
    inner = [np.vdot(a.astype(np.float64), b.astype(np.float64)) for a, b in ((y, dy), (x, dx))]
    assert inner[0] == pytest.approx(inner[1], rel=1e-4 if dtype == np.float32 else 1e-12)


def test_nan_infinity_and_minus_zero_in_enlarged_pictures() -> None:
    x = np.array([np.nan, 1.0, np.inf, -0.0]).reshape(1, 1, 4, 1)
    y, cache = up_sampling2d(x, (1, 2))
    np.testing.assert_array_equal(y.reshape(-1), np.repeat([np.nan, 1, np.inf, -0.0], 2))
    assert np.signbit(y[0, 0, 6:]).all()
    dx = up_sampling2d_backward(y, cache)
    np.testing.assert_array_equal(dx.reshape(-1), [np.nan, 2, np.inf, 0])
    blended, _ = up_sampling2d(x[:, :, :2], (1, 2), "bilinear")
    np.testing.assert_array_equal(blended.reshape(-1), [np.nan, np.nan, np.nan, 1])


@pytest.mark.parametrize("size", [1, 2, 3, (1, 4)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_constant_picture_stays_one(size: int, interpolation: str) -> None:
    y, cache = up_sampling2d(np.full((1, 3, 2, 1), 0.1, np.float32), size, interpolation)
    assert (y == np.float32(0.1)).all()
    dx = up_sampling2d_backward(np.ones_like(y), cache)
    np.testing.assert_allclose(dx.sum(), y.size, rtol=1e-6)  # every output is read from somewhere, in all once


def test_between_two_pixels_lies_a_ramp() -> None:
    y, _ = up_sampling2d(np.array([0.0, 1.0]).reshape(1, 1, 2, 1), (1, 4), "bilinear")
    np.testing.assert_allclose(y.reshape(-1), [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])


def test_other_ways_to_interpolate_are_refused() -> None:
    with pytest.raises(OptionError, match="interpolation 'nearest' or 'bilinear'"):
        UpSampling2D(interpolation="bicubic")
    with pytest.raises(OptionError, match="size as an integer"):
        UpSampling2D(size=0)
