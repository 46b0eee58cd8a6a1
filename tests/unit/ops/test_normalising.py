"""Normalising with known statistics: against the formula, in parts, in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.max_pooling import HALVING, max_pool2d_inference
from minicnn.ops.normalising import NARROW, add_to_channels, factors_of, normalise, normalise_and_halve, normalise_rows
from minicnn.shapes import Array


def normalised(x: Array, factors: Array, floor: float) -> Array:
    """The formula, in float64."""
    mean, scale, shift = factors.astype(np.float64)
    return np.maximum((x.astype(np.float64) - mean) * scale + shift, floor)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("floor", [0.0, -np.inf], ids=["relu", "none"])
@pytest.mark.parametrize("channels", [1, 3, 8, 21, 64, NARROW, NARROW + 5])
def test_every_channel_has_its_own_factors(channels: int, floor: float, dtype: Any, rng: np.random.Generator) -> None:
    x, factors = (rng.standard_normal((n, channels)).astype(dtype) for n in (130, 3))
    y = np.empty_like(x)
    normalise(x.nbytes, x, factors, dtype(floor), y)
    np.testing.assert_allclose(y, normalised(x, factors, floor), rtol=0, atol=20 * np.finfo(dtype).eps)


def test_factors_are_those_of_batch_normalisation(rng: np.random.Generator) -> None:
    gamma, beta, mean, variance = (rng.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4))
    factors = factors_of(gamma, beta, mean, variance, 1e-3)
    assert factors.dtype == np.float32
    np.testing.assert_array_equal(factors[[0, 2]], [mean, beta])
    np.testing.assert_allclose(factors[1], gamma / np.sqrt(variance.astype(np.float64) + 1e-3), rtol=1e-7)


def test_a_part_leaves_the_rest_alone(rng: np.random.Generator) -> None:
    """Rows 3 to 6, channels 5 to 16: no vector ends there."""
    x, factors = (rng.standard_normal((n, 21)).astype(np.float32) for n in (9, 3))
    whole, part = np.empty_like(x), x.copy()
    normalise(0, x, factors, np.float32(0), whole)
    normalise_rows(part, factors, np.float32(0), part, 3, 7, 5, 17)
    np.testing.assert_array_equal(part[3:7, 5:17], whole[3:7, 5:17])
    part[3:7, 5:17] = x[3:7, 5:17]
    np.testing.assert_array_equal(part, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_for_each_channel_is_added_and_nothing_else_happens(dtype: Any, rng: np.random.Generator) -> None:
    x, shift = rng.standard_normal((2, 3, 4, 21)).astype(dtype), rng.standard_normal(42).astype(dtype)[::2]
    x[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    expected = x + shift
    add_to_channels(x, shift)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("channels", [1, 7, 8, 21])
@pytest.mark.parametrize("floor", [0.0, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_halving_on_the_way_is_halving_afterwards(
    dtype: Any, floor: float, channels: int, rng: np.random.Generator
) -> None:
    """Bit for bit, with NaN in each place of a window, and infinity."""
    factors = rng.standard_normal((3, channels)).astype(dtype)
    for value in (0.5, np.nan, np.inf, -np.inf):
        for place in range(4):
            x = rng.standard_normal((1, 2, 2, channels)).astype(dtype)
            x.reshape(4, channels)[place, -1] = value
            y, least = np.full(channels + 1, 7, dtype), dtype(floor)
            normalise_and_halve(x.reshape(-1), 0, 2 * channels, channels, factors, least, y, 0)
            then = np.empty_like(x)
            normalise(0, x.reshape(4, channels), factors, least, then.reshape(4, channels))
            assert y[:-1].tobytes() == max_pool2d_inference(then, HALVING).tobytes()
            assert y[-1] == 7
