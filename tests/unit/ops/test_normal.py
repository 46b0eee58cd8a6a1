"""The normal distribution's share and density: their errors over all magnitudes, far out most of all."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.special import ndtr

from minicnn.ops.jit import njit
from minicnn.ops.normal import normal
from minicnn.ops.vectors import lanes, load, store
from tests.last_places import every, last_places, of

INF, NAN = np.inf, np.nan


@njit
def _share(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, normal(load(x, i, x.size - i))[0], x.size - i)


@njit
def _density(x, y):  # type: ignore[no-untyped-def]
    for i in range(0, x.size, lanes(x)):
        store(y, i, normal(load(x, i, x.size - i))[1], x.size - i)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_share_is_at_most_five_last_places_off(sign: int) -> None:
    """To where float32 ends: Phi(-14) is 8e-45."""
    x = every(14.5, sign)
    assert last_places(of(_share, x), ndtr(x.astype(np.float64))) < 5


@pytest.mark.parametrize("sign", [1, -1])
def test_the_density_is_at_most_two_last_places_off(sign: int) -> None:
    x = every(14.5, sign)
    wide = x.astype(np.float64)
    assert last_places(of(_density, x), np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)) < 2


def _pi() -> Decimal:
    """By Machin's formula, 16 arctan(1/5) - 4 arctan(1/239), to as many digits as the context has."""

    def arctan_of_inverse(n: int) -> Decimal:
        power, total, k = Decimal(1) / n, Decimal(0), 0
        while total + power / (2 * k + 1) != total:
            total += (-1) ** k * power / (2 * k + 1)
            power /= n * n
            k += 1
        return total

    return 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)


def _exactly(x: Decimal, pi: Decimal, digits: int) -> tuple[Decimal, Decimal]:
    """Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/(3*5) + ...), and phi(x)."""
    density = (-x * x / 2).exp() / (2 * pi).sqrt()
    total, term, k = x, x, 1
    while abs(term) > abs(total) * Decimal(10) ** -digits:
        term *= x * x / (2 * k + 1)
        total += term
        k += 1
    return Decimal("0.5") + density * total, density


@pytest.mark.parametrize(("furthest", "count", "digits"), [(1, 200, 40), (9, 300, 70), (37, 40, 370)])
def test_float64_against_as_many_digits_as_it_takes(
    furthest: float, count: int, digits: int, rng: np.random.Generator
) -> None:
    """Phi(-37) is 6e-300, and 1/2 - Phi(-37) has 299 nines."""
    x = np.concatenate([rng.uniform(-furthest, min(furthest, 9), count), 10.0 ** rng.uniform(-20, 0, 20)])
    shares, densities = of(_share, x, np.float64), of(_density, x, np.float64)
    with localcontext() as context:
        context.prec = digits
        pi = _pi()
        for number, share, density in zip(x, shares, densities, strict=True):
            exact_share, exact_density = _exactly(Decimal(float(number)), pi, digits)
            unit, its_unit = (Decimal(float(np.spacing(found))) for found in (share, density))
            assert abs(Decimal(float(share)) - exact_share) < 5 * unit, number
            assert abs(Decimal(float(density)) - exact_density) < 2 * its_unit, number


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_the_ends_of_the_line(dtype: type) -> None:
    ends = [-INF, -1e4, -0.0, 0.0, 1e4, INF]
    np.testing.assert_array_equal(of(_share, ends, dtype), [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(np.isnan(of(_share, [1.0, NAN, -1.0], dtype)), [False, True, False])
    np.testing.assert_allclose(of(_density, ends, dtype), [0, 0, 0.3989422804014327, 0.3989422804014327, 0, 0], 1e-7)
