"""Products of many samples: against float64, for any number of threads, and among any number of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.dense import dense, dense_backward
from minicnn.ops.dense_blocks import product
from tests.threads import same_bits_on_one_thread


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("M", "K", "N"), [(700, 50, 37), (350, 130, 530), (33, 1, 1), (40, 33, 1040)])
def test_a_product_is_its_formula(M: int, K: int, N: int, dtype: Any, turned: bool, rng: np.random.Generator) -> None:
    """Rows and columns that fill no tile, panel or block; sums of one chunk and of several."""
    a, b = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((N, K) if turned else (K, N)).astype(dtype)
    bias = rng.standard_normal(N).astype(dtype)
    c = product(a, b, 48, bias, relu=True, turned=turned)
    truth = np.maximum(a.astype("f8") @ (b.T if turned else b).astype("f8") + bias, 0)
    limit = 8 * 2.0**-24 if dtype == "float32" else 1e-14
    assert c.dtype == dtype
    assert np.abs(c - truth).max() <= limit * np.abs(truth).max()


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    x, kernel, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((500, 700), (700, 600), (500, 600)))

    def both() -> tuple[Any, ...]:
        y, cache = dense(x, kernel)
        return y, *dense_backward(dy, cache)[:2]

    same_bits_on_one_thread(both)


def test_a_sample_gets_the_same_bits_among_many_and_among_more(rng: np.random.Generator) -> None:
    x, kernel, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((500, 700), (700, 600), (500, 600)))
    y, cache = dense(x, kernel)
    dx, _, _ = dense_backward(dy, cache, parameter_gradients=False)
    assert dx is not None
    for N in (33, 100, 337):
        few, own = dense(x[:N], kernel)
        np.testing.assert_array_equal(few, y[:N])
        np.testing.assert_array_equal(dense_backward(dy[:N], own, parameter_gradients=False)[0], dx[:N])
