"""Layer normalisation and local response normalisation: against their formulas, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.gradcheck import check_gradient
from minicnn.layers import LayerNormalization
from minicnn.ops.layer_norm import layer_norm
from minicnn.ops.local_response_normalization import (
    local_response_normalization,
    local_response_normalization_backward,
)

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


def test_layer_norms_that_are_refused() -> None:
    with pytest.raises(OptionError, match="axes all below 0 or all above"):
        LayerNormalization(axis=(1, -1))
    with pytest.raises(OptionError, match="epsilon"):
        LayerNormalization(epsilon=0)
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
