"""Unit normalisation: lengths, the zero vector, very large and very small ones, and axes that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.errors import MinicnnError, OptionError, ShapeError
from minicnn.gradcheck import check_layer_gradient
from minicnn.layers import UnitNormalization
from minicnn.ops.layer_norm import layer_norm
from minicnn.ops.unit_normalization import unit_normalization, unit_normalization_backward
from minicnn.shapes import Array
from tests.threads import same_bits_on_one_thread


@pytest.mark.parametrize("axes", [-1, 1, (1, 2), (2, -3)])
def test_every_vector_has_length_one_and_its_direction(axes: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4, 5, 2))
    y, cache = unit_normalization(x, axes)
    several = axes if isinstance(axes, tuple) else (axes,)
    np.testing.assert_allclose(np.sqrt((y**2).sum(axis=several)), 1, rtol=1e-14)
    np.testing.assert_allclose(y / x, np.broadcast_to(cache.scale, x.shape), rtol=1e-13)
    assert (cache.scale > 0).all()


@pytest.mark.parametrize("size", [1e-30, 1e-14, 1e-3, 1e30])
def test_sizes_that_squares_cannot_hold(size: float) -> None:
    y, _ = unit_normalization(np.array([[3.0, -4.0]], np.float32) * np.float32(size))
    expected = np.array([[3.0, -4.0]]) * size / max(5 * size, 1e-12)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_zero_stays_zero() -> None:
    y, cache = unit_normalization(np.zeros((2, 3)))
    assert not y.any()
    dy = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(unit_normalization_backward(dy, cache), dy * 1e12)


def test_gradient_of_vectors_shorter_than_epsilon(rng: np.random.Generator) -> None:
    """There y is x times a constant; what is measured in units of epsilon must be told by backward too."""
    x = 1e-13 * rng.standard_normal((2, 3))
    dy = rng.standard_normal((2, 3))
    dx = unit_normalization_backward(dy, unit_normalization(x)[1])
    np.testing.assert_allclose(dx, 1e12 * dy, rtol=1e-12)


def test_gradient_has_no_part_along_the_vector(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((5, 7)), rng.standard_normal((5, 7))
    dx = unit_normalization_backward(dy, unit_normalization(x)[1])
    np.testing.assert_allclose((dx * x).sum(axis=1), 0, atol=1e-13)
    layer = UnitNormalization()
    layer.build((7,), rng, np.float64)
    assert check_layer_gradient(layer, x).passed(1e-8)


@pytest.mark.parametrize("K", [1, 3, 15, 17, 64, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axes", [-1, 1, (1, 2)], ids=str)
def test_both_passes_are_their_formulas(axes: Any, dtype: type, K: int, rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 5, 19, K)).astype(dtype)[:, :, ::-2]
    wide, upstream = x.astype(np.float64), dy.astype(np.float64)
    scale = 1 / np.sqrt((wide**2).sum(axis=axes, keepdims=True))
    y, cache = unit_normalization(x, axes)
    dx = unit_normalization_backward(dy, cache)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, wide * scale, rtol=4 * eps)
    along = (upstream * wide * scale).sum(axis=axes, keepdims=True)
    truth = scale * (upstream - along * wide * scale)
    np.testing.assert_allclose(dx, truth, rtol=0, atol=4 * eps * np.abs(scale * upstream).max())
    assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_vector(wrong: float) -> None:
    x = np.ones((20, 33), np.float32)
    x[7, 32] = wrong
    with np.errstate(invalid="ignore"):
        y, _ = unit_normalization(x)
    assert np.isnan(y[7, 32])
    np.testing.assert_allclose(np.delete(y, 7, axis=0), 33**-0.5, rtol=1e-6)


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 3000, 65)).astype(np.float32)

    def both() -> tuple[Array, Array]:
        y, cache = unit_normalization(x)
        return y, unit_normalization_backward(dy, cache)

    same_bits_on_one_thread(both)


@pytest.mark.parametrize("axis", [0, 2, -3, (1, 1), (), 1.5, "last", (1, True)])
def test_axes_that_are_none(axis: Any) -> None:
    with pytest.raises(OptionError):
        UnitNormalization(axis).output_shape((4,))


@pytest.mark.parametrize("axes", ["1", "last", 1.5, None, True, [1, True], [1, 2.0], ["1"], [], [1, -3], 0, 4, -4, {1}])
def test_the_operations_refuse_axes_that_are_none(axes: Any) -> None:
    x = np.ones((2, 3, 4, 5))
    with pytest.raises(OptionError, match=r"(an axis as an integer|axes among 1 to 3|every axis once).*Received"):
        unit_normalization(x, axes)
    with pytest.raises(OptionError, match="Received"):
        layer_norm(x, np.ones(5), np.zeros(5), axes=axes)


def test_axes_in_a_list_are_those_in_a_tuple(rng: np.random.Generator) -> None:
    x, gamma, beta = rng.standard_normal((2, 3, 4)), rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    np.testing.assert_array_equal(unit_normalization(x, [1, 2])[0], unit_normalization(x, (1, 2))[0])
    y, cache = layer_norm(x, gamma, beta, axes=[1, np.int64(-1)])
    np.testing.assert_array_equal(y, layer_norm(x, gamma, beta, axes=(1, 2))[0])
    assert cache.axes == (1, 2)


def test_upstream_of_another_shape(rng: np.random.Generator) -> None:
    _, cache = unit_normalization(rng.standard_normal((2, 3)))
    with pytest.raises(ShapeError, match="dy of the shape of y"):
        unit_normalization_backward(np.ones((3, 2)), cache)
    with pytest.raises(MinicnnError):
        unit_normalization(np.ones((2, 3), int))
