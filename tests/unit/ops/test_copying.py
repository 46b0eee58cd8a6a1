"""Copying and clearing runs of numbers: every number of the run, and no other one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.copying import clear, copy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 17, 64])
def test_a_run_and_nothing_else(count: int, dtype: Any, rng: np.random.Generator) -> None:
    source, target = (rng.standard_normal((5, 20)).astype(dtype) for _ in range(2))
    expected = target.copy()
    expected.reshape(-1)[13 : 13 + count] = source.reshape(-1)[22 : 22 + count]
    copy(source, 22, count, target, 13)
    np.testing.assert_array_equal(target, expected)
    expected.reshape(-1)[13 : 13 + count] = 0
    clear(target, 13, count)
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("count", [-3, 0])
def test_a_run_of_nothing(count: int) -> None:
    target = np.ones(9, np.float32)
    clear(target, 4, count)
    copy(np.zeros(9, np.float32), 4, count, target, 4)
    np.testing.assert_array_equal(target, 1)
