"""Initializers: bounds and moments, one seed one network, and what must be refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minicnn import initializers
from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.initializers import TRUNCATED_STDDEV, Initializer, VarianceScaling

NAMES = list(initializers.INITIALIZERS)
EXAMPLES: list[Initializer] = [
    *(initializers.get(name) for name in NAMES if name != "constant"),
    initializers.Constant(0.25),
    initializers.RandomUniform(-1, 3),
    initializers.TruncatedNormal(1.0, 2.0),
    VarianceScaling(0.3, "fan_out", "untruncated_normal"),
]
SHAPE = (3, 3, 64, 96)  # fan_in 576, fan_out 864


def test_the_correction_is_the_spread_of_a_normal_distribution_cut_at_two() -> None:
    assert stats.truncnorm(-2, 2).std() == pytest.approx(TRUNCATED_STDDEV, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / (576 + 864)),
        ("glorot_normal", 2 / (576 + 864)),
        ("he_uniform", 2 / 576),
        ("he_normal", 2 / 576),
        ("lecun_uniform", 1 / 576),
        ("lecun_normal", 1 / 576),
    ],
)
def test_variance_follows_from_the_fans(name: str, variance: float, rng: np.random.Generator) -> None:
    values = initializers.get(name)(SHAPE, rng, np.float64)
    assert values.var() == pytest.approx(variance, rel=0.02)
    assert values.mean() == pytest.approx(0, abs=5 * math.sqrt(variance / values.size))
    if name.endswith("uniform"):
        limit = math.sqrt(3 * variance)
        expected = stats.uniform(-limit, 2 * limit)
    else:
        limit = 2 * math.sqrt(variance) / TRUNCATED_STDDEV
        expected = stats.truncnorm(-2, 2, scale=limit / 2)
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.99 * limit
    assert stats.kstest(values.ravel(), expected.cdf).pvalue > 1e-3


def test_given_spreads(rng: np.random.Generator) -> None:
    uniform = initializers.RandomUniform(-1, 3)((50_000,), rng)
    assert stats.kstest(uniform, stats.uniform(-1, 4).cdf).pvalue > 1e-3
    normal = initializers.RandomNormal(1, 2)((50_000,), rng)
    assert stats.kstest(normal, stats.norm(1, 2).cdf).pvalue > 1e-3
    truncated = initializers.TruncatedNormal(1, 2)((50_000,), rng)
    assert stats.kstest(truncated, stats.truncnorm(-2, 2, 1, 2).cdf).pvalue > 1e-3
    assert initializers.Constant(0.25)((2, 3), rng).tolist() == [[0.25] * 3] * 2


@pytest.mark.parametrize(
    ("shape", "fans"), [((), (1, 1)), ((5,), (5, 5)), ((784, 10), (784, 10)), ((3, 5, 64, 128), (960, 1920))]
)
def test_fans(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    assert initializers.fans(shape) == fans


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (4,), (0, 3), (3, 2, 2, 5)], ids=str)
@pytest.mark.parametrize("initializer", EXAMPLES, ids=repr)
def test_shape_dtype_and_seed(initializer: Initializer, shape: tuple[int, ...], dtype: Any) -> None:
    first, again = (initializer(shape, np.random.default_rng(5), dtype) for _ in range(2))
    assert first.shape == shape
    assert first.dtype == dtype
    assert first.flags.c_contiguous
    assert first.flags.writeable
    np.testing.assert_array_equal(first, again)


def test_another_seed_is_another_network_and_one_generator_goes_on() -> None:
    he, rng = initializers.get("he_normal"), np.random.default_rng(5)
    first, second = he((20,), rng), he((20,), rng)
    assert np.all(first != second)
    assert np.all(first != he((20,), np.random.default_rng(6)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_nothing_is_left_beyond_two_standard_deviations(seed: int, size: int) -> None:
    values = initializers.TruncatedNormal(0.0, 1.0)((size,), np.random.default_rng(seed), np.float64)
    assert np.abs(values).max() <= 2


@pytest.mark.parametrize("initializer", EXAMPLES, ids=repr)
def test_config_makes_the_same_initializer(initializer: Initializer) -> None:
    again = initializers.get(initializer.config())
    assert type(again) is type(initializer)
    assert repr(again) == repr(initializer)
    draws = [one((3, 4), np.random.default_rng(1)) for one in (initializer, again)]
    np.testing.assert_array_equal(*draws)


def test_names() -> None:
    assert initializers.get("he_normal").config() == "he_normal"
    assert isinstance(initializers.get("HeNormal"), initializers.HeNormal)
    assert initializers.get(VarianceScaling(distribution="normal")).config() == "variance_scaling"
    with pytest.raises(OptionError, match="glorot_uniform, glorot_normal, he_uniform"):
        initializers.get("xavier")
    with pytest.raises(OptionError, match="value"):
        initializers.get("constant")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.RandomNormal(stddev=-1), "stddev"),
        (lambda: initializers.RandomUniform(1, 0), "minval <= maxval"),
        (lambda: initializers.Constant(float("nan")), "value"),
        (lambda: VarianceScaling(scale=0), "scale"),
        (lambda: VarianceScaling(mode="fan_sum"), "fan_avg"),
        (lambda: VarianceScaling(distribution="cauchy"), "untruncated_normal"),
    ],
)
def test_options_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


def test_calls_that_cannot_work(rng: np.random.Generator) -> None:
    he = initializers.get("he_normal")
    with pytest.raises(OptionError, match="default_rng"):
        he((3,), 42)  # type: ignore[arg-type]
    with pytest.raises(DtypeError, match="float16"):
        he((3,), rng, np.float16)
    with pytest.raises(ShapeError, match="none negative"):
        he((3, -1), rng)
