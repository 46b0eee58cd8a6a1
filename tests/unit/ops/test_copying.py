"""Copying and clearing runs of numbers: every number of the run, and no other one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.copying import LARGE_BYTES, clear, copy, copy_past_cache, passes_cache
from minicnn.ops.memory import empty
from minicnn.ops.simd import LINE_BYTES


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lines", [0, 1, 5])
def test_whole_lines_past_the_cache(lines: int, dtype: Any, rng: np.random.Generator) -> None:
    per_line = LINE_BYTES // np.dtype(dtype).itemsize
    source, target = rng.standard_normal(200).astype(dtype), empty((1 << 15,), np.dtype(dtype))
    target[...] = rng.standard_normal(target.size)
    expected, count = target.copy(), lines * per_line
    expected[3 * per_line : 3 * per_line + count] = source[7 : 7 + count]
    copy_past_cache(source, 7, count, target, 3 * per_line)
    np.testing.assert_array_equal(target, expected)


def test_what_is_written_past_the_cache() -> None:
    large = empty((LARGE_BYTES // 64, 16), np.dtype(np.float32))
    assert passes_cache(large, 16)
    assert passes_cache(large, 64)
    assert not passes_cache(large, 15)
    assert not passes_cache(large[1:], 16)
    assert passes_cache(large.view(np.float64), 8)
    assert not passes_cache(large.view(np.float64), 12)
    shifted = empty((LARGE_BYTES // 64 + 1, 16), np.dtype(np.float32)).reshape(-1)[1:-15].reshape(-1, 16)
    assert shifted.nbytes == LARGE_BYTES
    assert not passes_cache(shifted, 16)  # begins within a line
