"""Sums over everything but the channels, against float64 sums of NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.ops.column_sums import column_products, column_sums

SHAPES = [(1, 1), (5, 3), (2, 7, 9, 1), (3, 5, 7, 16), (4, 9, 11, 20), (2, 33, 31, 32), (3, 8, 9, 65), (70, 300)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_products(shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    a, b = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    centre = rng.standard_normal(shape[-1])
    axes = tuple(range(len(shape) - 1))
    exact = a.sum(axis=axes, dtype=np.float64)
    np.testing.assert_allclose(column_sums(a), exact.astype(dtype), rtol=1e-6, atol=1e-6)
    assert column_sums(a).dtype == dtype
    sums, products = column_products(a, b, centre)
    assert products is not None
    np.testing.assert_allclose(sums, exact, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(products, (a * (b - centre)).sum(axis=axes, dtype=np.float64), rtol=1e-11, atol=1e-11)


def test_a_long_sum_loses_nothing() -> None:
    a = np.full((300, 300, 2), 0.1, np.float32)
    assert column_sums(a).tolist() == pytest.approx([float(np.float32(0.1)) * 90000] * 2, rel=6e-8)


def test_nan_stays_in_its_column() -> None:
    a = np.ones((50, 40, 3), np.float32)
    a[7, 7, 1] = np.nan
    np.testing.assert_array_equal(column_sums(a), [2000, np.nan, 2000])
