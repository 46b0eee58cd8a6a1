"""Layer normalisation and local response normalisation: against their formulas, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.gradcheck import check_gradient
from minicnn.layers import LayerNormalization
from minicnn.ops.layer_norm import layer_norm, layer_norm_backward
from minicnn.ops.local_response_normalization import (
    local_response_normalization,
    local_response_normalization_backward,
)
from tests.threads import same_bits_on_one_thread

ALEXNET = {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75}


def test_every_group_has_mean_0_and_variance_1(rng: np.random.Generator) -> None:
    x = 5 + 3 * rng.standard_normal((2, 4, 3, 8))
    y, _ = layer_norm(x, np.ones(8), np.zeros(8), epsilon=1e-12)
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=-1), 1, rtol=1e-9)


def test_a_large_mean_does_not_drown_the_rest(rng: np.random.Generator) -> None:
    small = rng.standard_normal((3, 64))
    y, _ = layer_norm((small + 1000).astype(np.float32), np.ones(64, np.float32), np.zeros(64, np.float32))
    truth, _ = layer_norm((small + 1000).astype(np.float32).astype(float), np.ones(64), np.zeros(64))
    np.testing.assert_allclose(y, truth, atol=1e-4)


def test_scale_and_offset_have_the_axes_of_the_data(rng: np.random.Generator) -> None:
    x, gamma, beta = rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    y, _ = layer_norm(x, gamma, beta, (1, 3))
    mean, variance = x.mean(axis=(1, 3), keepdims=True), x.var(axis=(1, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-3) * gamma[:, None] + beta[:, None]
    np.testing.assert_allclose(y, expected, rtol=1e-12)


@pytest.mark.parametrize("K", [1, 3, 15, 17, 64, 100, 20000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axes", [-1, 1, (1, 2)], ids=str)
def test_layer_norm_is_its_formula(axes: int | tuple[int, ...], dtype: type, K: int, rng: np.random.Generator) -> None:
    """Both passes, in float64 and with nothing left out; rows that fill no vector, blocks of many rows and of one."""
    x, dy = rng.standard_normal((2, 5, 19, K))[:, :, ::-2] if K < 200 else rng.random((2, 2, 3, K))
    x, dy = x.astype(dtype), dy.astype(dtype)
    several = axes if isinstance(axes, tuple) else (axes % 3,)
    shape = [x.shape[axis] for axis in several]
    gamma, beta = rng.standard_normal((2, *shape)).astype(dtype)
    y, cache = layer_norm(x, gamma, beta, axes)
    dx, dgamma, dbeta = layer_norm_backward(dy, cache)

    wide = x.astype(np.float64)
    spread = [size if axis in several else 1 for axis, size in enumerate(x.shape)]
    inverse = 1 / np.sqrt(wide.var(axis=several, keepdims=True) + 1e-3)
    xhat = (wide - wide.mean(axis=several, keepdims=True)) * inverse
    g = dy.astype(np.float64) * gamma.reshape(spread)
    common, along = g.mean(axis=several, keepdims=True), (g * xhat).mean(axis=several, keepdims=True)
    others = tuple(axis for axis in range(3) if axis not in several)
    sizes = max(1, inverse.max())  # what is lost when the mean is taken off is multiplied by it
    for found, truth in (
        (y, xhat * gamma.reshape(spread) + beta.reshape(spread)),
        (dx, inverse * (g - common - xhat * along)),
        (dgamma, (dy * xhat).sum(axis=others)),
        (dbeta, dy.sum(axis=others, dtype=np.float64)),
    ):
        assert found is not None
        assert found.dtype == dtype
        assert found.flags.c_contiguous
        assert found.shape == truth.shape
        np.testing.assert_allclose(found, truth, rtol=0, atol=8 * np.finfo(dtype).eps * sizes * np.abs(truth).max())


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_layer_norm_gradients_that_nobody_wants(wanted: tuple[bool, bool], rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 40, 30))
    _, cache = layer_norm(x, rng.standard_normal(30), np.zeros(30))
    everything = layer_norm_backward(dy, cache)
    some = layer_norm_backward(dy, cache, input_gradient=wanted[0], parameter_gradients=wanted[1])
    for all_of_it, part, kept in zip(everything, some, (wanted[0], wanted[1], wanted[1]), strict=True):
        assert (part is not None) == kept
        if kept:
            np.testing.assert_array_equal(part, all_of_it)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_group_of_one_number_has_no_gradient(dtype: type, rng: np.random.Generator) -> None:
    """It is 0 whatever the number, and dx, a difference of two numbers, is 0 to the last bit."""
    x, dy = rng.standard_normal((2, 50, 1)).astype(dtype)
    _, cache = layer_norm(x, np.full(1, 0.3, dtype), np.zeros(1, dtype))
    np.testing.assert_array_equal(layer_norm_backward(dy, cache)[0], np.zeros_like(x))


@pytest.mark.parametrize(("M", "K"), [(3000, 65), (90, 3000)])
def test_layer_norm_has_the_same_bits_on_any_number_of_threads(M: int, K: int, rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, M, K)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, K)).astype(np.float32)

    def both() -> tuple[Any, ...]:
        y, cache = layer_norm(x, gamma, beta)
        return y, *layer_norm_backward(dy, cache)

    same_bits_on_one_thread(both)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_group(wrong: float, rng: np.random.Generator) -> None:
    x = rng.standard_normal((20, 33)).astype(np.float32)
    x[7, 32] = wrong
    with np.errstate(invalid="ignore"):
        y, cache = layer_norm(x, np.ones(33, np.float32), np.zeros(33, np.float32))
        dx = layer_norm_backward(np.ones_like(x), cache)[0]
    for array in (y, dx):
        assert array is not None
        np.testing.assert_array_equal(np.isnan(array).all(axis=1), np.arange(20) == 7)
        assert np.isfinite(np.delete(array, 7, axis=0)).all()


def test_layer_norm_of_the_smallest_and_of_large_numbers() -> None:
    """Subnormal numbers and -0.0 are numbers; squares of large ones would overflow in float32."""
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    y, _ = layer_norm(np.array([[1e-45, -1e-45, -0.0, 0.0]], np.float32), one, zero)
    np.testing.assert_allclose(y, [[4.5e-44, -4.5e-44, 0, 0]], rtol=0.05)
    y, _ = layer_norm(np.array([[1e25, -1e25, 1e25, -1e25]], np.float32), one, zero)
    np.testing.assert_allclose(y, [[1, -1, 1, -1]], rtol=1e-6)


@pytest.mark.parametrize("K", [3, 5, 8, 15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_of_equal_large_numbers_has_a_gradient(dtype: type, K: int, rng: np.random.Generator) -> None:
    """The mean over the deviation is infinite: what fills the last vector must not be read as zeros of the row."""
    x, dy = np.full((2, K), 2.0 ** (np.finfo(dtype).maxexp - 5), dtype), rng.standard_normal((2, K)).astype(dtype)
    y, cache = layer_norm(x, np.ones(K, dtype), np.zeros(K, dtype), epsilon=1e-6)
    np.testing.assert_array_equal(y, np.zeros_like(x))
    dx, dgamma, dbeta = layer_norm_backward(dy, cache)
    assert dx is not None
    np.testing.assert_allclose(dx, 1e3 * (dy - dy.mean(axis=1, keepdims=True)), rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(dgamma, np.zeros(K))
    np.testing.assert_allclose(dbeta, dy.sum(axis=0), rtol=1e-6)


def test_layer_norms_that_are_refused() -> None:
    with pytest.raises(OptionError, match="axes all below 0 or all above"):
        LayerNormalization(axis=(1, -1))
    with pytest.raises(OptionError, match="epsilon"):
        LayerNormalization(epsilon=0)
    for epsilon in (0.0, -1.0, "x"):  # of a constant row it would make infinity, and say nothing
        with pytest.raises(OptionError, match="epsilon as a finite number > 0"):
            layer_norm(np.ones((2, 3)), np.ones(3), np.zeros(3), epsilon=epsilon)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="axes among 1 or -1"):
        LayerNormalization(axis=2).output_shape((4,))
    with pytest.raises(OptionError, match="axes among"):
        LayerNormalization(axis=0).output_shape((4,))
    with pytest.raises(ShapeError, match=r"gamma of shape \(4,\)"):
        layer_norm(np.ones((2, 4)), np.ones(3), np.ones(4))
    with pytest.raises(DtypeError, match="beta and x of the same dtype"):
        layer_norm(np.ones((2, 4)), np.ones(4), np.ones(4, np.float32))


@pytest.mark.parametrize("options", [{}, ALEXNET, {"depth_radius": 0}, {"depth_radius": 9, "beta": 1.0}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_local_response_normalization_is_its_formula(
    options: dict[str, float], dtype: type, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, 3, 2, 7)).astype(dtype)
    radius, bias = int(options.get("depth_radius", 5)), options.get("bias", 1.0)
    alpha, beta = options.get("alpha", 1.0), options.get("beta", 0.5)
    expected = np.empty(x.shape)
    for c in range(7):
        near = x[..., max(0, c - radius) : c + radius + 1].astype(float)
        expected[..., c] = x[..., c] / (bias + alpha * (near**2).sum(axis=-1)) ** beta
    y, _ = local_response_normalization(x, **options)  # type: ignore[arg-type]
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("options", [{}, ALEXNET, {"depth_radius": 1, "alpha": 3.0, "beta": 1.5}], ids=str)
def test_its_gradient_is_the_measured_one(options: dict[str, float], rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 2, 3, 2, 7))

    def f(x: np.ndarray) -> float:
        return float(np.sum(dy * local_response_normalization(x, **options)[0]))  # type: ignore[arg-type]

    def df(x: np.ndarray) -> np.ndarray:
        return local_response_normalization_backward(dy, local_response_normalization(x, **options)[1])  # type: ignore[arg-type]

    report = check_gradient(f, df, x)
    assert report.passed(1e-6), report


def test_nan_stays_among_its_neighbours() -> None:
    x = np.ones((1, 1, 1, 9))
    x[..., 4] = np.nan
    y, _ = local_response_normalization(x, depth_radius=2)
    assert np.isnan(y[0, 0, 0]).tolist() == [False] * 2 + [True] * 5 + [False] * 2


@pytest.mark.parametrize("options", [{"bias": 0.0}, {"alpha": -1.0}, {"depth_radius": -1}, {"depth_radius": 1.5}])
def test_options_that_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        local_response_normalization(np.ones((1, 1, 1, 3)), **options)  # type: ignore[arg-type]
