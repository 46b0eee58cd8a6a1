"""Vectors in compiled code against their definitions in plain Python, whole ones and parts."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.ops import vectors
from minicnn.ops.jit import njit, prange
from minicnn.ops.turns import turns
from minicnn.ops.vectors import (
    add_up,
    digits,
    lanes,
    largest,
    load,
    load_like,
    power_of_two,
    scaled,
    scaled_down,
    select,
    splat,
    store,
    widen,
    within,
)
from minicnn.shapes import Array


@njit
def _everything(a, b, codes, out, wide, thirds, picked):  # type: ignore[no-untyped-def]
    for i in range(0, a.size, lanes(a)):
        left = a.size - i
        x, y = load(a, i, left), load(b, i, left)
        larger = select((x <= y) | (x != x), y, x)
        store(out, i, (larger - x) * y + splat(2.0, x) / y, left)
        store(wide, i, widen(x) * splat(1.5, widen(x)), left)
        store(thirds, i, widen(x) * splat(1 / 3, widen(x)), left)
        code = load_like(codes, i, left, x)
        store(picked, i, select(code == splat(np.uint8(1), x), x, splat(0.0, x)), left)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 7, 8, 15, 16, 17, 40])
def test_every_operation_is_what_numpy_says(dtype: type, size: int, rng: np.random.Generator) -> None:
    a, b = (rng.uniform(0.5, 2, size).astype(dtype) for _ in range(2))
    a[::5] = np.nan
    codes = rng.integers(0, 3, size).astype(np.uint8)
    out, picked, thirds, wide = (np.full(size + 3, 9, kind) for kind in (dtype, dtype, dtype, np.float64))
    _everything(a, b, codes, out[:size], wide[:size], thirds[:size], picked[:size])
    larger = np.where((a <= b) | (a != a), b, a)
    np.testing.assert_allclose(out[:size], (larger - a) * b + dtype(2) / b, rtol=1e-5 if dtype == np.float32 else 1e-13)
    np.testing.assert_array_equal(wide[:size], a.astype(np.float64) * 1.5)
    np.testing.assert_array_equal(thirds[:size], (a.astype(np.float64) * (1 / 3)).astype(dtype))
    np.testing.assert_array_equal(picked[:size], np.where(codes == 1, a, 0))
    for array in (out, wide, thirds, picked):
        np.testing.assert_array_equal(array[size:], [9, 9, 9])


def test_vectors_of_other_numbers_are_not_written() -> None:
    """Their bits would be, over half as many numbers; float64 is rounded to float32, which is no such case."""

    @njit
    def widened(a, out):  # type: ignore[no-untyped-def]
        store(out, 0, load(a, 0, 1), 1)

    widened(np.ones(4), np.empty(4, np.float32))
    with pytest.raises(TypeError, match=r"a pointer to numbers of <\d+ x float>\. Received: double"):
        widened(np.ones(4, np.float32), np.empty(4))


def test_the_plain_versions_stop_where_the_array_does() -> None:
    a = np.arange(20, dtype=np.float32)
    width = vectors._lanes(a)
    np.testing.assert_array_equal(vectors._load(a, 16, 3), [16, 17, 18, *[0] * (width - 3)])
    np.testing.assert_array_equal(vectors._load(a, 16, -2), np.zeros(width))
    vectors._store(a, 10, np.full(width, 7, np.float32), -1)
    vectors._store(a, 18, np.full(width, 7, np.float32), 1)
    np.testing.assert_array_equal(a, [*range(18), 7, 19])
    assert vectors._splat(np.uint8(3), a).dtype == np.uint8
    assert vectors._splat(3.0, a).dtype == np.float32


@turns
def _double(x: Array, y: Array) -> None:
    for i in prange(len(x)):
        y[i] = 2 * x[i]


def test_alone_or_together_a_loop_does_the_same(rng: np.random.Generator) -> None:
    x = rng.standard_normal(1000)
    for work in (0, 1 << 30):
        y = np.empty_like(x)
        _double(work, x, y)
        np.testing.assert_array_equal(y, 2 * x)


@njit
def _sum(a):  # type: ignore[no-untyped-def]
    return add_up(load(a, 0, a.size))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_are_added_up_half_by_half(dtype: type, rng: np.random.Generator) -> None:
    count = vectors._lanes(np.empty(0, dtype)) - 1
    a = rng.standard_normal(count).astype(dtype)
    assert _sum(a) == vectors._add_up(vectors._load(a, 0, count))
    assert _sum(a) == pytest.approx(a.sum(dtype=np.float64), rel=1e-5)


@njit
def _scale_down(a, n, y):  # type: ignore[no-untyped-def]
    store(y, 0, scaled_down(load(a, 0, a.size), load(n, 0, a.size)), a.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_scaled_down_and_rounded_once(dtype: type, rng: np.random.Generator) -> None:
    """To every exponent from 0 to where nothing is left, by the compiled function and the plain one."""
    lanes = vectors._lanes(np.empty(0, dtype))
    exponents = np.arange(0, -151 if dtype == np.float32 else -1077, -1).astype(dtype)
    a, y = rng.uniform(0.5, 2, lanes).astype(dtype), np.empty(lanes, dtype)
    with np.errstate(under="ignore"):
        for exponent in exponents:
            n = np.full(lanes, exponent, dtype)
            _scale_down(a, n, y)
            np.testing.assert_array_equal(y, np.ldexp(a, int(exponent)))
            np.testing.assert_array_equal(vectors._scaled_down(a, n), y)


@njit
def _reach(a, n, powers, products, found):  # type: ignore[no-untyped-def]
    number, exponent = load(a, 0, a.size), load(n, 0, a.size)
    store(powers, 0, power_of_two(exponent), a.size)
    store(products, 0, scaled(number, exponent), a.size)
    kept = select(within(a.size, number), number, splat(-np.inf, number))
    found[0], found[1] = largest(kept), digits(number)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_of_two_and_the_largest_lane(dtype: type, rng: np.random.Generator) -> None:
    """Compiled, and as defined: exponents to both ends, results that are subnormal, 0 or infinite."""
    end, bottom = (127, -149) if dtype == np.float32 else (1023, -1074)
    size = min(3, vectors._lanes(np.empty(0, dtype)))
    for exponents in ([0, 1, -1], [end, 1 - end, 3], [bottom, bottom + 5, bottom - 1], [end + 1, end + 100, -2 * end]):
        a, n = -rng.uniform(1, 1.4, size).astype(dtype), np.array(exponents[:size], dtype)
        powers, products, found = np.empty_like(a), np.empty_like(a), np.empty(2, dtype)
        with np.errstate(over="ignore", under="ignore"):
            _reach(a, n, powers, products, found)
            expected = np.ldexp(a, n.astype(int))
            np.testing.assert_array_equal(products, expected)
            np.testing.assert_array_equal(vectors._scaled(a, n), expected)
            normal = (n >= 1 - end) & (n <= end)
            one = np.ones_like(a)
            np.testing.assert_array_equal(powers[normal], np.ldexp(one, n.astype(int))[normal])
            np.testing.assert_array_equal(vectors._power_of_two(n)[normal], powers[normal])
        np.testing.assert_array_equal(found, [a.max(), np.finfo(dtype).nmant + 1])
    whole = rng.standard_normal(vectors._lanes(a)).astype(dtype)
    assert vectors._largest(whole) == whole.max()
    assert vectors._digits(whole) == np.finfo(dtype).nmant + 1
    np.testing.assert_array_equal(vectors._within(1, whole), np.arange(len(whole)) < 1)
    assert not vectors._within(-1, whole).any()
