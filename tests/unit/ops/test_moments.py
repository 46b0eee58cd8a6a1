"""Mean and variance of channels: every way of cutting rows into blocks, and numbers that a shorter formula loses."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.ops.column_sums import BLOCK
from minicnn.ops.moments import channel_moments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (5, 3), (2, 7, 9, 1), (3, 5, 7, 16), (33, 31, 32), (9, 65), (BLOCK // 32 + 5, 35), (70, 300)],
    ids=str,
)
def test_moments_are_those_of_numpy(shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) + 3).astype(dtype)
    mean, variance = channel_moments(x)
    wide = x.reshape(-1, shape[-1]).astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(variance, wide.var(axis=0), rtol=1e-11, atol=1e-25)


def test_a_mean_a_million_times_the_deviation_costs_no_digits(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3 * BLOCK, 2)) + 1e6
    _, variance = channel_moments(x)
    np.testing.assert_allclose(variance, (x - x.mean(axis=0)).var(axis=0), rtol=1e-9)


def test_one_wild_number_at_the_start_costs_none_either(rng: np.random.Generator) -> None:
    x = rng.standard_normal((BLOCK, 2))
    x[0] = 1e6
    _, variance = channel_moments(x)
    np.testing.assert_allclose(variance, x.var(axis=0), rtol=1e-12)


def test_nan_and_inf_stay_in_their_channels() -> None:
    x = np.ones((50, 40, 3), np.float32)
    x[7, 7, 1], x[2, 1, 2] = np.nan, np.inf
    mean, variance = channel_moments(x)
    np.testing.assert_array_equal(mean, [1, np.nan, np.inf])
    np.testing.assert_array_equal(variance, [0, np.nan, np.nan])
