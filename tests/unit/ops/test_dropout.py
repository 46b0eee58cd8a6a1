"""Dropout: how many, how large, which ones, and the same ones on the way back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import Context, Dropout
from minicnn.ops.dropout import dropout, dropout_backward


@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_every_number_is_dropped_or_enlarged_on_both_ways(rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, dy = rng.uniform(1, 2, (2, 6, 5))
    y, cache = dropout(x, rate, rng)
    dx = dropout_backward(dy, cache)
    kept = y != 0
    if rate < 1:
        np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-12)
        np.testing.assert_allclose(dx[kept], dy[kept] / (1 - rate), rtol=1e-12)
    np.testing.assert_array_equal(dx[~kept], 0)
    assert kept.all() if rate == 0 else rate < 1 or not kept.any()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_share_and_the_mean_are_as_expected(rate: float, rng: np.random.Generator) -> None:
    n = 200_000
    y, _ = dropout(np.ones(n, np.float32), rate, rng)
    deviation = math.sqrt(rate * (1 - rate) / n)
    assert np.mean(y == 0) == pytest.approx(rate, abs=5 * deviation)
    assert y.mean(dtype=np.float64) == pytest.approx(1, abs=5 * deviation / (1 - rate))


def test_float32_and_float64_drop_the_same_numbers() -> None:
    x = np.ones((50, 3))
    double, _ = dropout(x, 0.5, np.random.default_rng(7))
    single, _ = dropout(x.astype(np.float32), 0.5, np.random.default_rng(7))
    np.testing.assert_array_equal(single, double)


def test_what_is_dropped_is_zero_even_where_it_was_not_finite(rng: np.random.Generator) -> None:
    y, cache = dropout(np.full((40, 3), math.nan), 0.5, rng)
    assert set(np.isnan(y).ravel()) == {True, False}
    np.testing.assert_array_equal(y[~np.isnan(y)], 0)
    dx = dropout_backward(np.full((40, 3), math.inf), cache)
    np.testing.assert_array_equal(np.isinf(dx), np.isnan(y))


def test_the_mask_follows_from_seed_step_and_name_alone() -> None:
    x = np.ones((20, 20))

    def mask(name: str, **context: int) -> bytes:
        return Dropout(0.5, name=name).forward(x, Context(training=True, **context))[0].tobytes()

    assert mask("a", seed=1, step=2) == mask("a", seed=1, step=2)
    others = [mask("b", seed=1, step=2), mask("a", seed=2, step=2), mask("a", seed=1, step=3)]
    assert len({mask("a", seed=1, step=2), *others}) == 4


def test_inference_passes_x_as_it_is() -> None:
    x = np.ones((2, 3))
    y, cache = Dropout(0.5).forward(x)
    assert y is x
    dx, _ = Dropout(0.5).backward(x, cache)
    assert dx is x


def test_a_frozen_layer_still_drops() -> None:
    """As in Keras: there is nothing to freeze."""
    y, _ = Dropout(0.5, trainable=False).forward(np.ones((20, 20)), Context(training=True))
    assert (y == 0).any()


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, None, "half", True])
def test_errors(rate: Any) -> None:
    with pytest.raises(OptionError, match=r"rate as a finite number >= 0 and <= 1.*Received"):
        Dropout(rate)
    _, cache = dropout(np.ones((2, 3)), 0.5, np.random.default_rng(0))
    with pytest.raises(ShapeError, match="shape of y"):
        dropout_backward(np.ones((3, 2)), cache)
