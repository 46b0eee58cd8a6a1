"""Sigmoid, tanh, softplus and what mish is made of: their errors over all magnitudes, and at the ends of the line."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from minicnn.ops import logistic
from minicnn.ops.jit import njit
from minicnn.ops.vectors import lanes, load, store
from minicnn.shapes import Array
from tests.last_places import every, last_places, of

INF, NAN = np.inf, np.nan


@njit
def _sigmoid(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, logistic.sigmoid(load(x, i, x.size - i))[0], x.size - i)


@njit
def _rest_of_sigmoid(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, logistic.sigmoid(load(x, i, x.size - i))[1], x.size - i)


@njit
def _tanh(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, logistic.tanh(load(x, i, x.size - i)), x.size - i)


@njit
def _softplus(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, logistic.softplus(load(x, i, x.size - i)), x.size - i)


@njit
def _tanh_of_softplus(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, logistic.tanh_of_softplus(load(x, i, x.size - i))[0], x.size - i)


@njit
def _rest_of_tanh_of_softplus(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, logistic.tanh_of_softplus(load(x, i, x.size - i))[1], x.size - i)


def _true_sigmoid(x: Array) -> Array:
    return np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _true_softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _true_rest(x: Array) -> Array:
    """1 - tanh(softplus(x)) = 2 / (e^(2 softplus(x)) + 1)."""
    with np.errstate(over="ignore"):
        return 2 / (np.exp(2 * _true_softplus(x)) + 1)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("loop", "truth", "limit"),
    [
        (_sigmoid, _true_sigmoid, 2.5),
        (_rest_of_sigmoid, lambda x: _true_sigmoid(-x), 2.5),
        (_tanh, np.tanh, 2.5),
        (_softplus, _true_softplus, 2.5),
        (_tanh_of_softplus, lambda x: np.tanh(_true_softplus(x)), 4),
        (_rest_of_tanh_of_softplus, _true_rest, 4),
    ],
)
def test_a_few_last_places_off_at_most(loop: Any, truth: Any, limit: float, sign: int) -> None:
    x = every(120.0, sign)
    with np.errstate(under="ignore"):
        assert last_places(of(loop, x), truth(x.astype(np.float64))) < limit


def _exactly(name: str, x: Decimal) -> Decimal:
    power, one = x.exp(), Decimal(1)
    if name == "sigmoid":
        return power / (one + power)
    if name == "rest of sigmoid":
        return one / (one + power)
    if name == "tanh":
        return (power * power - one) / (power * power + one)
    if name == "softplus":
        return (one + power).ln()
    square = (one + power) ** 2
    return (square - one) / (square + one) if name == "mish" else 2 / (square + one)


@pytest.mark.parametrize(
    ("name", "loop", "limit"),
    [
        ("sigmoid", _sigmoid, "2.5"),
        ("rest of sigmoid", _rest_of_sigmoid, "2.5"),
        ("tanh", _tanh, "2.5"),
        ("softplus", _softplus, "2.5"),
        ("mish", _tanh_of_softplus, "4"),
        ("rest of mish", _rest_of_tanh_of_softplus, "4"),
    ],
)
def test_float64_is_a_few_last_places_off_at_most(name: str, loop: Any, limit: str, rng: np.random.Generator) -> None:
    x = np.concatenate([rng.uniform(-1, 1, 200), rng.uniform(-300, 300, 100), 10.0 ** rng.uniform(-20, 2, 50)])
    x = np.concatenate([x, -x])
    with localcontext() as context:
        context.prec = 300  # e^-600 beside 1
        for number, found in zip(x, of(loop, x, np.float64), strict=True):
            unit = Decimal(float(np.spacing(np.abs(found))))
            error = abs(Decimal(float(found)) - _exactly(name, Decimal(float(number))))
            assert error < Decimal(limit) * unit, number


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (_sigmoid, [0, 0, 0.5, 0.5, 1, 1]),
        (_rest_of_sigmoid, [1, 1, 0.5, 0.5, 0, 0]),
        (_tanh, [-1, -1, 0, 0, 1, 1]),
        (_softplus, [0, 0, np.log(2), np.log(2), 1e4, INF]),
        (_tanh_of_softplus, [0, 0, 0.6, 0.6, 1, 1]),
        (_rest_of_tanh_of_softplus, [1, 1, 0.4, 0.4, 0, 0]),
    ],
)
def test_at_the_ends_of_the_line(loop: Any, expected: list[float], dtype: type) -> None:
    found = of(loop, [-INF, -1e4, -0.0, 0.0, 1e4, INF], dtype)
    np.testing.assert_array_max_ulp(found, np.array(expected, dtype), 1)
    np.testing.assert_array_equal(np.isnan(of(loop, [1.0, NAN, -1.0], dtype)), [False, True, False])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_and_softplus_keep_the_digits_of_small_numbers(dtype: type) -> None:
    small = np.array([1e-3, 1e-10, 1e-30, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal], dtype)
    np.testing.assert_array_max_ulp(of(_tanh, small, dtype), np.tanh(small), 2)
    np.testing.assert_array_equal(of(_tanh, -small, dtype), -of(_tanh, small, dtype))
    np.testing.assert_array_equal(np.signbit(of(_tanh, [-0.0, 0.0, NAN], dtype)[:2]), [True, False])
    far = np.array([-20, -50, -80], dtype)
    np.testing.assert_array_max_ulp(of(_softplus, far, dtype), np.log1p(np.exp(far)), 3)
