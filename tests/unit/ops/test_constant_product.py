"""Products with constant matrices against their definition: every width, places, steps, and both number types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from llvmlite import binding, ir

from minicnn.ops.constant_product import Product, _emit, decode, encode, left_multiply, left_multiply_in_python, product
from minicnn.ops.conv2d.winograd_matrices import MATRICES
from minicnn.ops.jit import njit
from minicnn.ops.simd import pointer

SMALL, REAL, COMPLEX = MATRICES[:3]
PRODUCTS = {
    "B": product(REAL.B.T),
    "A": product(REAL.A),
    "At": product(REAL.A.T),
    "B2": product(SMALL.B.T),
    "one after the other": product(COMPLEX.B.T, COMPLEX.A.T),
    "with gaps": product(SMALL.B.T, reads=[0, 2, 3, 7], writes=[5, 0, 1, 3]),
}


def compiled(table: str) -> Any:
    @njit
    def run(which, source, source_at, source_step, result, at, step, width):  # type: ignore[no-untyped-def]
        left_multiply(table, which, pointer(source, source_at), source_step, pointer(result, at), step, width)

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PRODUCTS)
def test_same_as_the_definition_and_nothing_else_is_written(name: str, dtype: Any, rng: np.random.Generator) -> None:
    one = PRODUCTS[name]
    table = encode(one)
    run = compiled(table)
    rows, columns = max(one.writes) + 1, max(one.reads) + 1
    for width in (1, 7, 8, 15, 16, 17, 33):  # below, at and above one vector, and with a rest
        source = rng.standard_normal(5 + columns * (width + 3)).astype(dtype)
        before = rng.standard_normal(2 + rows * (width + 1) + 9).astype(dtype)
        expected, actual = before.copy(), before.copy()
        left_multiply_in_python(table, 0, source[5:], width + 3, expected[2:], width + 1, width)
        run(0, source, 5, width + 3, actual, 2, width + 1, width)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=40 * np.finfo(dtype).eps)
        written = np.zeros(len(actual), bool)
        for i in one.writes:
            written[2 + i * (width + 1) : 2 + i * (width + 1) + width] = True
        np.testing.assert_array_equal(actual[~written], before[~written])
        factors = np.linalg.multi_dot([*reversed(one.steps), np.eye(len(one.reads))])
        read = np.array([source[5 + k * (width + 3) :][:width] for k in one.reads], np.float64)
        found = [actual[2 + i * (width + 1) :][:width] for i in one.writes]
        np.testing.assert_allclose(found, factors @ read, rtol=0, atol=100 * np.finfo(dtype).eps)


def test_which_of_a_table_is_said_at_run_time(rng: np.random.Generator) -> None:
    """And a place where there is no product leaves everything as it is."""
    run = compiled(encode(PRODUCTS["B"], None, PRODUCTS["At"]))
    source = rng.standard_normal((6, 20))
    for which, matrix in ((0, REAL.B.T), (2, REAL.A.T)):
        result = np.empty((len(matrix), 20))
        run(which, source, 0, 20, result, 0, 20, 20)
        np.testing.assert_allclose(result, matrix @ source, atol=1e-14)
    for which in (1, 3, -1):
        result = np.ones((6, 20))
        run(which, source, 0, 20, result, 0, 20, 20)
        assert (result == 1).all()


def test_no_width_writes_nothing() -> None:
    result = np.ones(40, np.float32)
    compiled(encode(PRODUCTS["B"]))(0, np.ones(40, np.float32), 0, 0, result, 0, 0, 0)
    np.testing.assert_array_equal(result, np.ones(40, np.float32))


def test_nan_and_inf_pass_through() -> None:
    source = np.zeros((6, 20), np.float32)
    source[2, 3], source[3, 17] = np.nan, np.inf
    result = np.empty((6, 20), np.float32)
    compiled(encode(PRODUCTS["B"]))(0, source, 0, 20, result, 0, 20, 20)
    assert np.isnan(result[1:5, 3]).all()
    assert np.isinf(result[1:5, 17]).all()
    assert np.isfinite(np.delete(result, [3, 17], axis=1)).all()


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_survives_being_text(name: str) -> None:
    one: Product = PRODUCTS[name]
    decoded = decode(encode(None, one))
    assert decoded[0] is None
    assert decoded[1] is not None
    reads, steps, writes = decoded[1]
    assert (reads, writes) == (list(one.reads), list(one.writes))
    for rows, step in zip(steps, one.steps, strict=True):
        assert [dict(row) for row in rows] == [{k: v for k, v in enumerate(row) if v} for row in step.tolist()]


def test_what_is_left_of_a_vector_is_compiled_as_it_stands() -> None:
    """For every product, one of the two loops says so, in a way that LLVM understands."""
    tables = [encode(product(matrices.A), None, product(matrices.B)) for matrices in MATRICES[:2]]
    module, size = ir.Module(), ir.IntType(64)
    for n, table in enumerate(tables):
        numbers = ir.FloatType().as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [size, numbers, size, numbers, size, size])
        _emit(ir.Function(module, kind, f"left_multiply_{n}"), decode(table), ir.FloatType(), 8)
    text = str(module)
    assert text.count("!llvm.loop") == 2 * len(tables)
    assert text.count("llvm.loop.unroll.disable") == text.count("llvm.loop.vectorize.enable") == 1
    binding.parse_assembly(text).verify()
