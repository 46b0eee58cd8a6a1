"""The exponential of vectors: its error over all magnitudes, and the places where exponentials break."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from minicnn.ops.exponential import exp, exp_of_negative, exp_of_sum, expm1_of_negative
from minicnn.ops.jit import njit
from minicnn.ops.vectors import lanes, load, store, widen
from tests.last_places import every, last_places, of

INF, NAN = np.inf, np.nan


@njit
def _exp(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, exp(load(x, i, x.size - i)), x.size - i)


@njit
def _expm1(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, expm1_of_negative(load(x, i, x.size - i)), x.size - i)


@njit
def _exp_of_negative(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, exp_of_negative(load(x, i, x.size - i)), x.size - i)


@njit
def _exp_of_sum(x, rest, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        left = x.size - i
        store(y, i, exp_of_sum(load(x, i, left), load(rest, i, left)), left)


@njit
def _exp_of_widened(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, exp(widen(load(x, i, x.size - i))), x.size - i)


@pytest.mark.parametrize("sign", [1, -1])
def test_exp_is_at_most_one_last_place_off(sign: int) -> None:
    x = every(88.72 if sign > 0 else 120.0, sign)
    assert last_places(of(_exp, x), np.exp(x.astype(np.float64))) < 0.85


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_of_negative_is_exp_bit_for_bit(dtype: type) -> None:
    x = every(1000.0, -1).astype(dtype)
    assert of(_exp_of_negative, x, dtype).tobytes() == of(_exp, x, dtype).tobytes()
    ends = [0.0, -0.0, -INF, NAN, -3e38]
    np.testing.assert_array_equal(of(_exp_of_negative, ends, dtype), [1, 1, 0, NAN, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_of_a_sum_with_digits_that_x_has_no_room_for(dtype: type, rng: np.random.Generator) -> None:
    """As large as they come, and within what the second part may be."""
    x = rng.uniform(-86 if dtype == np.float32 else -700, 0, 2000).astype(dtype)
    rest = (rng.uniform(-0.06, 0.06, x.size) * rng.choice([1, 1e-5], x.size)).astype(dtype)
    y = np.empty_like(x)
    _exp_of_sum(x, rest, y)
    with localcontext() as context:
        context.prec = 40
        for number, more, found in zip(x, rest, y, strict=True):
            truth = (Decimal(float(number)) + Decimal(float(more))).exp()
            assert abs(Decimal(float(found)) - truth) < Decimal("1.3") * Decimal(float(np.spacing(found))), number


def test_expm1_is_at_most_one_last_place_off() -> None:
    x = every(120.0, -1)
    assert last_places(of(_expm1, x), np.expm1(x.astype(np.float64))) < 0.9


def test_exp_of_vectors_that_are_wider_than_a_register(rng: np.random.Generator) -> None:
    """With AVX2 they are as wide as those of AVX-512, whose instructions must not be asked for."""
    x = rng.uniform(-700, 700, 1001).astype(np.float32)
    y = np.empty(x.shape)
    _exp_of_widened(x, y)
    np.testing.assert_allclose(y, np.exp(x.astype(np.float64)), rtol=1e-15)


@pytest.mark.parametrize("loop", [_exp, _expm1])
def test_float64_is_at_most_one_last_place_off(loop: Any, rng: np.random.Generator) -> None:
    size = 1000
    x = -np.concatenate([rng.uniform(0, 1, size), rng.uniform(0, 745, size), 10.0 ** rng.uniform(-300, 2, size)])
    if loop is _exp:
        x = np.concatenate([x, np.minimum(-x, 709.7)])
    y = of(loop, x, np.float64)
    with localcontext() as context:
        context.prec = 350  # 1e-300 beside 1
        for number, found in zip(x, y, strict=True):
            context.prec = 40 if abs(number) > 1e-10 else 350
            truth = Decimal(float(number)).exp() - (loop is _expm1)
            unit = Decimal(float(np.spacing(np.abs(found))))
            limit = Decimal("0.8" if loop is _exp else "0.9")
            assert abs(Decimal(float(found)) - truth) < limit * unit, number


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_where_exponentials_break(dtype: type) -> None:
    far = 104.0 if dtype == np.float32 else 746.0
    x = [0.0, -0.0, INF, -INF, far, -far, 3e38, -3e38, np.finfo(dtype).smallest_subnormal]
    np.testing.assert_array_equal(of(_exp, x, dtype), [1, 1, INF, 0, INF, 0, INF, 0, 1])
    np.testing.assert_array_equal(np.isnan(of(_exp, [1.0, NAN, -1.0], dtype)), [False, True, False])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_least_results_keep_what_digits_there_are(dtype: type) -> None:
    least = np.finfo(dtype).smallest_subnormal
    bottom = float(np.log(np.float64(2))) * (-149 if dtype == np.float32 else -1074)
    np.testing.assert_array_equal(
        of(_exp, [bottom, bottom + 0.7, bottom - 0.6, bottom - 0.8], dtype) / least, [1, 2, 1, 0]
    )
    x = np.linspace(bottom, bottom + 15, 500).astype(dtype)
    with np.errstate(under="ignore"):
        expected = np.exp(x.astype(np.longdouble)).astype(dtype)
    assert np.max(np.abs(of(_exp, x, dtype) - expected)) <= least


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_expm1_keeps_the_digits_of_small_numbers(dtype: type) -> None:
    small = np.array([1e-3, 1e-10, 1e-30, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal], dtype)
    np.testing.assert_array_max_ulp(of(_expm1, -small, dtype), np.expm1(-small), 1)
    np.testing.assert_array_equal(of(_expm1, [0.0, -INF, -50.0, -3e38], dtype), [0, -1, -1, -1])
    assert np.isnan(of(_expm1, [NAN], dtype)).all()
