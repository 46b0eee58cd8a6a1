"""The blocked matrix product against NumPy's: edges of blocks, any strides, bias, ReLU, the same bits always."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, ShapeError
from minicnn.ops.gemm import (
    ROW_BLOCK,
    TERMS,
    even_rows,
    even_tiles,
    matmul,
    multiply,
    pack,
    rows_of_block,
    tiles_or_edges,
)
from minicnn.ops.jit import njit
from minicnn.ops.micro_kernel import ROWS, panel_width, parts
from minicnn.ops.simd import keep_alive, pointer
from minicnn.shapes import Array


def error(ours: Array, a: Array, b: Array) -> float:
    """max|ours - R| / max|R|, R in higher precision."""
    referee = a.astype(np.longdouble) @ b.astype(np.longdouble)
    return float(np.abs(ours - referee).max() / np.abs(referee).max())


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_small_products(M: int, K: int, N: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((M, K)), rng.standard_normal((K, N))
    np.testing.assert_allclose(matmul(a, b), a @ b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(350, 1100, 130), (1, TERMS + 1, 33), (24 * ROWS + 1, 5, 4200), (3, 2 * TERMS, 64)])
def test_products_beyond_one_block(shape: tuple[int, int, int], dtype: Any, rng: np.random.Generator) -> None:
    M, K, N = shape
    a, b = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype)
    c = matmul(a, b)
    assert c.dtype == dtype
    assert c.flags.c_contiguous
    unit = np.finfo(dtype).eps / 2
    assert error(c, a, b) <= max(2 * error(a @ b, a, b), 16 * unit)  # chains of TERMS additions


@pytest.mark.parametrize("cores", [1, 2, 3, 16])
def test_blocks_are_shared_evenly(cores: int) -> None:
    for rows in [*range(1, 3 * ROWS), ROW_BLOCK - 1, ROW_BLOCK, ROW_BLOCK + 1, 1000, 3072, 100_000]:
        block = rows_of_block(rows, cores)
        assert 1 <= block <= ROW_BLOCK
        blocks = -(-rows // block)
        assert block * blocks - rows < blocks  # none lacks more than a row or so of what the others have
        if rows >= 2 * cores * ROWS:
            assert block >= ROWS
            assert -(-blocks // cores) * block <= 1.05 * rows / cores + 1  # what the busiest core gets


def test_any_strides(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((30, 40)), rng.standard_normal((40, 50))
    for left in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1, ::-1]):
        for right in (b, np.asfortranarray(b), np.repeat(b, 2, axis=0)[::2]):
            np.testing.assert_allclose(matmul(left, right), left @ right, rtol=1e-11, atol=1e-13)


def test_bias_and_relu(rng: np.random.Generator) -> None:
    a, b, bias = rng.standard_normal((20, 600)), rng.standard_normal((600, 37)), rng.standard_normal(37)
    c = np.empty((20, 37))
    multiply(a, pack(b), c, bias)
    np.testing.assert_allclose(c, a @ b + bias, rtol=1e-11, atol=1e-12)
    multiply(a, pack(b), c, bias, relu=True)
    np.testing.assert_allclose(c, np.maximum(a @ b + bias, 0), rtol=1e-11, atol=1e-12)
    a[3, 5] = np.nan
    multiply(a, pack(b), c, bias, relu=True)
    assert np.isnan(c[3]).all()
    assert np.isfinite(np.delete(c, 3, axis=0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_panels(dtype: Any, rng: np.random.Generator) -> None:
    width = panel_width(dtype)
    b = rng.standard_normal((5, width + 3)).astype(dtype)
    panels = pack(b)
    assert panels.shape == (2, 5, width)
    np.testing.assert_array_equal(np.hstack([panels[0], panels[1]])[:, : b.shape[1]], b)
    assert not panels[1, :, 3:].any()


@pytest.mark.parametrize("rows", [1, 13, 14, 15, 20, 28, 29])
def test_rows_are_shared_evenly(rows: int) -> None:
    at_once = even_rows(rows, 14)
    assert at_once <= 14
    assert -(-rows // at_once) == -(-rows // 14)


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS - 1, 5 * ROWS + 2])
def test_rows_become_as_few_tiles_as_possible_one_below_the_other(rows: int) -> None:
    (more, many, first), (fewer, others, second) = even_tiles(rows)
    assert first == 0
    assert second == more * many
    assert many * more + others * fewer == rows
    assert many + others == -(-rows // ROWS)
    assert fewer == more - 1
    assert (more if many else fewer) <= ROWS


@njit
def _tiles_or_edges(rows, columns, a, panel, addend, addend_row, c):  # type: ignore[no-untyped-def]
    """In the middle of c, cut off at 0."""
    K, W = panel.shape
    table, spare, width = parts(K, K, 1, W), np.empty((ROWS, W), c.dtype), c.shape[1]
    first = (pointer(a, 0), a.shape[1], 1, pointer(panel, 0), pointer(table, 0), 1)
    last = (pointer(addend, 0), addend_row, pointer(c, width + 1), width, c.dtype.type(0.0), spare)
    tiles_or_edges(rows, columns, *first, *last)
    keep_alive(table)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, ROWS, ROWS + 1, 3 * ROWS - 1])
def test_any_number_of_rows_and_columns_and_nothing_beside_them(
    rows: int, dtype: Any, rng: np.random.Generator
) -> None:
    W = panel_width(dtype)
    a, b = rng.standard_normal((rows, 9)).astype(dtype), rng.standard_normal((9, W)).astype(dtype)
    for columns in (1, W // 2 - 1, W // 2, W // 2 + 1, W - 1, W):
        for addend in (rng.standard_normal((1, columns)), rng.standard_normal((rows, columns))):
            own = addend.astype(dtype)
            c = np.full((rows + 2, columns + 2), 7, dtype)
            _tiles_or_edges(rows, columns, a, b, own, 0 if len(own) == 1 else columns, c)
            expected = np.maximum(a.astype("f8") @ b[:, :columns] + own, 0)
            np.testing.assert_allclose(c[1:-1, 1:-1], expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)
            c[1:-1, 1:-1] = 7
            assert (c == 7).all()


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((700, 600), np.float32), rng.standard_normal((600, 100), np.float32)
    found, before = [], numba.get_num_threads()
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(matmul(a, b))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_errors() -> None:
    with pytest.raises(ShapeError, match="as many columns of a as rows of b"):
        matmul(np.ones((2, 3)), np.ones((4, 2)))
    with pytest.raises(ShapeError, match="a with 2 axes"):
        matmul(np.ones(3), np.ones((3, 2)))
    with pytest.raises(DtypeError, match="same dtype"):
        matmul(np.ones((2, 3)), np.ones((3, 2), np.float32))
