"""The hand-written vector loop against its definition: every width, offsets, steps, and both number types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.conv2d.winograd import F2x2, F4x4, F4x4_COMPLEX
from minicnn.ops.jit import njit
from minicnn.ops.simd import decode, encode, left_multiply, left_multiply_in_python, pointer

MATRICES = {"B": F4x4.B.T, "A": F4x4.A, "At": F4x4.A.T, "B2": F2x2.B.T, "complex At": F4x4_COMPLEX.A.T}


def compiled(matrix: str) -> Any:
    @njit
    def run(source, source_at, source_step, result, at, step, width):  # type: ignore[no-untyped-def]
        left_multiply(matrix, pointer(source, source_at), source_step, pointer(result, at), step, width)

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MATRICES)
def test_same_as_the_definition_and_nothing_else_is_written(name: str, dtype: Any, rng: np.random.Generator) -> None:
    matrix = encode(MATRICES[name])
    run = compiled(matrix)
    rows, columns = MATRICES[name].shape
    for width in (1, 7, 8, 15, 16, 17, 33):  # below, at and above one vector, and with a rest
        source = rng.standard_normal(5 + columns * (width + 3)).astype(dtype)
        expected = rng.standard_normal(2 + rows * (width + 1) + 9).astype(dtype)
        actual = expected.copy()
        left_multiply_in_python(matrix, source[5:], width + 3, expected[2:], width + 1, width)
        run(source, 5, width + 3, actual, 2, width + 1, width)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=40 * np.finfo(dtype).eps)
        gaps = np.ones(len(actual), bool)
        for i in range(rows):
            gaps[2 + i * (width + 1) : 2 + i * (width + 1) + width] = False
        np.testing.assert_array_equal(actual[gaps], expected[gaps])


def test_no_width_writes_nothing() -> None:
    result = np.ones(40, np.float32)
    compiled(encode(F4x4.B.T))(np.ones(40, np.float32), 0, 0, result, 0, 0, 0)
    np.testing.assert_array_equal(result, np.ones(40, np.float32))


def test_nan_and_inf_pass_through() -> None:
    source = np.zeros((6, 20), np.float32)
    source[2, 3], source[3, 17] = np.nan, np.inf
    result = np.empty((6, 20), np.float32)
    compiled(encode(F4x4.B.T))(source, 0, 20, result, 0, 20, 20)
    assert np.isnan(result[1:5, 3]).all()
    assert np.isinf(result[1:5, 17]).all()
    assert np.isfinite(np.delete(result, [3, 17], axis=1)).all()


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_survives_being_text(name: str) -> None:
    np.testing.assert_array_equal(decode(encode(MATRICES[name])), MATRICES[name])
