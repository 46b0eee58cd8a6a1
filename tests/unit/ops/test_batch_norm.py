"""Batch normalisation: statistics, their gradients, and numbers that make naive formulas fail."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.initializers import Constant
from minicnn.layers import BatchNormalization, Context
from minicnn.ops import batch_norm
from minicnn.ops.batch_norm import batch_norm_backward, batch_norm_inference, batch_norm_training
from minicnn.ops.column_sums import BLOCK
from minicnn.shapes import Array


def loops(x: Array, gamma: Array, beta: Array, epsilon: float, dy: Array) -> tuple[Array, Array, Array, Array]:
    """(y, dx, dgamma, dbeta) of training, number by number; dx by the chain rule through mean and variance."""
    y, dx, dgamma, dbeta = np.empty_like(x), np.empty_like(x), np.empty_like(gamma), np.empty_like(beta)
    for c in range(x.shape[-1]):
        values, upstream = x[..., c].ravel().tolist(), dy[..., c].ravel().tolist()
        M = len(values)
        mean = math.fsum(values) / M
        variance = math.fsum((value - mean) ** 2 for value in values) / M
        deviation = math.sqrt(variance + epsilon)
        xhat = [(value - mean) / deviation for value in values]
        y[..., c] = np.reshape([gamma[c] * value + beta[c] for value in xhat], y.shape[:-1])
        dgamma[c] = math.fsum(d * value for d, value in zip(upstream, xhat, strict=True))
        dbeta[c] = math.fsum(upstream)
        dvariance = math.fsum(-d * gamma[c] * value / 2 for d, value in zip(upstream, xhat, strict=True)) / deviation**2
        dmean = -math.fsum(upstream) * gamma[c] / deviation
        through = [
            d * gamma[c] / deviation + dvariance * 2 * (value - mean) / M + dmean / M
            for d, value in zip(upstream, values, strict=True)
        ]
        dx[..., c] = np.reshape(through, dx.shape[:-1])
    return y, dx, dgamma, dbeta


@given(
    st.sampled_from([(2, 1), (5, 3), (2, 3, 4, 2), (1, 3, 1, 2), (BLOCK // 2 + 3, 2)]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-3, 1e-7, 1.0]),
)
def test_both_passes_equal_the_loops(shape: tuple[int, ...], seed: int, epsilon: float) -> None:
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(3, 2, shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    y, cache = batch_norm_training(x, gamma, beta, epsilon)
    for found, expected in zip((y, *batch_norm_backward(dy, cache)), loops(x, gamma, beta, epsilon, dy), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_the_output_has_mean_beta_and_deviation_gamma(rng: np.random.Generator) -> None:
    x = rng.normal(100, 7, (4, 9, 8, 3))
    gamma, beta = np.array([1.0, 0.5, 2.0]), np.array([0.0, -1.0, 3.0])
    y, cache = batch_norm_training(x, gamma, beta, 1e-9)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), beta, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), gamma, rtol=1e-9)
    np.testing.assert_allclose(cache.mean, x.mean(axis=(0, 1, 2)), rtol=1e-14)
    np.testing.assert_allclose(cache.variance, x.var(axis=(0, 1, 2)), rtol=1e-12)  # divided by M, not M - 1


def test_shifting_and_stretching_the_input_has_no_gradient(rng: np.random.Generator) -> None:
    """The normalisation takes both back, so dx is orthogonal to ones and, but for epsilon, to x."""
    x, dy = rng.standard_normal((2, 50, 3))
    _, cache = batch_norm_training(x, np.ones(3), np.zeros(3), 1e-12)
    dx, _, _ = batch_norm_backward(dy, cache)
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose((dx * x).sum(axis=0), 0, atol=1e-10)


def test_a_large_mean_does_not_drown_the_variance(rng: np.random.Generator) -> None:
    """E[x^2] - E[x]^2 would lose every digit here, and x * scale + shift most of them."""
    x = (rng.standard_normal((400, 2)) + 4096).astype(np.float32)
    y, cache = batch_norm_training(x, np.ones(2, np.float32), np.zeros(2, np.float32))
    np.testing.assert_allclose(cache.variance, x.var(axis=0, dtype=np.float64), rtol=1e-6)
    exact, _ = batch_norm_training(x.astype(np.float64), np.ones(2), np.zeros(2))
    np.testing.assert_allclose(y, exact, atol=1e-3)  # the float32 mean alone may be off by 2.4e-4


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of the moving variance, which cannot hold it
def test_gradients_are_those_of_y_where_float32_cannot_hold_the_variance(rng: np.random.Generator) -> None:
    """Its square root is a number like any other, and y is made with it."""
    x, dy = rng.standard_normal((2, 9, 3)).astype(np.float32)
    x *= np.float32(1e20)
    gamma, beta = rng.standard_normal((2, 3)).astype(np.float32)
    y, cache = batch_norm_training(x, gamma, beta)
    assert cache.variance.dtype == np.float32
    assert np.isinf(cache.variance).all()
    dx, dgamma, dbeta = batch_norm_backward(dy, cache)
    truth = loops(x.astype(float), gamma.astype(float), beta.astype(float), 1e-3, dy.astype(float))
    for found, expected in zip((y, dx, dgamma, dbeta), truth, strict=True):
        assert found is not None
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_constant_channel_becomes_beta() -> None:
    y, cache = batch_norm_training(np.full((5, 1), 3.0), np.ones(1), np.full(1, 0.25))
    np.testing.assert_array_equal(y, np.full((5, 1), 0.25))
    assert np.isfinite(batch_norm_backward(np.ones((5, 1)), cache)[0]).all()


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 2 * BLOCK + 7, 3)).astype(np.float32)
    parameters = np.ones(3, np.float32), np.zeros(3, np.float32)
    results = []
    before = numba.get_num_threads()
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            y, cache = batch_norm_training(x, *parameters)
            results.append((y, *batch_norm_backward(dy, cache)))
    finally:
        numba.set_num_threads(before)
    for one, other in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_inference_uses_the_given_statistics(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 6, 3))
    gamma, beta, mean, variance = rng.uniform(0.5, 1.5, (4, 3))
    y, cache = batch_norm_inference(x, gamma, beta, mean, variance, 1e-3)
    xhat = (x - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(y, gamma * xhat + beta, rtol=1e-12, atol=1e-14)
    dx, dgamma, dbeta = batch_norm_backward(dy, cache)
    np.testing.assert_allclose(dx, dy * gamma / np.sqrt(variance + 1e-3), rtol=1e-12)
    np.testing.assert_allclose(dgamma, (dy * xhat).sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(dbeta, dy.sum(axis=0), rtol=1e-12)


def test_a_frozen_layer_does_not_read_x_backward(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """With given statistics, dx is made of dy alone, and has the same bits whatever else is asked for."""
    x, dy = rng.standard_normal((2, 2, 9, 8, 5)).astype(np.float32)
    gamma, beta, mean, variance = rng.uniform(0.5, 1.5, (4, 5)).astype(np.float32)
    _, cache = batch_norm_inference(x, gamma, beta, mean, variance)
    expected, _, _ = batch_norm_backward(dy, cache)

    def never(*_: Any) -> Any:
        pytest.fail("x was read")

    monkeypatch.setattr(batch_norm, "column_products", never)
    dx, dgamma, dbeta = batch_norm_backward(dy, cache, parameter_gradients=False)
    np.testing.assert_array_equal(dx, expected)
    assert (dgamma, dbeta) == (None, None)
    assert batch_norm_backward(dy, cache, input_gradient=False, parameter_gradients=False) == (None, None, None)


def test_nan_stays_in_its_channel() -> None:
    x = np.ones((4, 2), np.float32)
    x[1, 0] = math.nan
    y, _ = batch_norm_training(x, np.ones(2, np.float32), np.zeros(2, np.float32))
    assert np.isnan(y[:, 0]).all()
    np.testing.assert_array_equal(y[:, 1], 0)


def test_momentum_is_the_weight_of_the_old_statistics(rng: np.random.Generator) -> None:
    layer = BatchNormalization(momentum=0.9)
    layer.build((3,), rng, np.float64)
    x = rng.normal(5, 2, (8, 3))
    _, cache = layer.forward(x, Context(training=True))
    moved = layer.next_state(cache)
    np.testing.assert_allclose(moved["moving_mean"], 0.9 * 0 + 0.1 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moved["moving_variance"], 0.9 * 1 + 0.1 * x.var(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(layer.state["moving_mean"], 0)  # nothing moved by itself
    assert layer.next_state(layer.forward(x)[1]) == {}


def test_each_array_starts_as_asked(rng: np.random.Generator) -> None:
    layer = BatchNormalization(
        beta_initializer=Constant(0.5),
        gamma_initializer="zeros",
        moving_mean_initializer=Constant(-1),
        moving_variance_initializer=Constant(4),
    )
    layer.build((2,), rng)
    found = {name: set(array.tolist()) for name, array in (layer.params | layer.state).items()}
    assert found == {"gamma": {0.0}, "beta": {0.5}, "moving_mean": {-1.0}, "moving_variance": {4.0}}
    assert BatchNormalization(**layer.config()).config() == layer.config()


def test_a_frozen_layer_rests_in_training(rng: np.random.Generator) -> None:
    layer = BatchNormalization(trainable=False)
    layer.build((3,), rng, np.float64)
    x = rng.normal(5, 2, (8, 3))
    y, cache = layer.forward(x, Context(training=True))
    np.testing.assert_array_equal(y, layer(x))
    assert layer.next_state(cache) == {}


def test_errors() -> None:
    x, one = np.ones((4, 2)), np.ones(2)
    with pytest.raises(ShapeError, match=r"gamma of shape \(2,\).*Received: shape \(3,\)"):
        batch_norm_training(x, np.ones(3), one)
    with pytest.raises(DtypeError, match="beta and x of the same dtype"):
        batch_norm_training(x, one, one.astype(np.float32))
    with pytest.raises(OptionError, match="epsilon as a finite number > 0"):
        batch_norm_training(x, one, one, 0.0)
    with pytest.raises(ShapeError, match=r"variance of shape \(2,\)"):
        batch_norm_inference(x, one, one, one, np.ones(1))
    with pytest.raises(ShapeError, match="2 axes"):
        batch_norm_training(np.ones(4), np.ones(1), np.ones(1))
    with pytest.raises(OptionError, match=r"'bn'.*axis -1 or 3"):
        BatchNormalization(axis=1, name="bn").output_shape((5, 5, 2))
    for momentum in (1.5, "0.9", True, float("nan")):
        with pytest.raises(OptionError, match="momentum as a finite number >= 0 and <= 1"):
            BatchNormalization(momentum=momentum)  # type: ignore[arg-type]
    for epsilon in (0, float("inf")):
        with pytest.raises(OptionError, match="epsilon as a finite number > 0"):
            BatchNormalization(epsilon=epsilon)
    with pytest.raises(OptionError, match="center to be True or False"):
        BatchNormalization(center="no")  # type: ignore[arg-type]
