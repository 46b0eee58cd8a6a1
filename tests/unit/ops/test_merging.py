"""Sums, products and arrays one behind the other: against NumPy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.ops.activations import relu
from minicnn.ops.merging import (
    add,
    add_backward,
    concatenate,
    concatenate_backward,
    multiply,
    multiply_backward,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 5, 3, 4), (2, 50, 50, 16)])
def test_two_of_one_shape_are_added_in_one_pass(shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, *shape)).astype(dtype)
    np.testing.assert_array_equal(add([a, b])[0], a + b)
    np.testing.assert_array_equal(add([a, b], relu=True)[0], relu(a + b)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 5, 3, 15), (2, 50, 50, 16)])
def test_two_of_one_shape_are_multiplied_in_one_pass(
    shape: tuple[int, ...], dtype: type, rng: np.random.Generator
) -> None:
    a, b, dy = rng.standard_normal((3, *shape)).astype(dtype)
    y, cache = multiply([a, b])
    np.testing.assert_array_equal(y, a * b)
    da, db = multiply_backward(dy, cache)
    np.testing.assert_array_equal(da, dy * b)
    np.testing.assert_array_equal(db, dy * a)
    assert y.dtype == da.dtype == db.dtype == dtype


def test_an_array_times_itself_and_one_that_is_not_contiguous(rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 4, 5))
    dy = rng.standard_normal((5, 4, 3)).T
    y, cache = multiply([a, a])
    np.testing.assert_array_equal(y, a * a)
    np.testing.assert_array_equal(multiply_backward(dy, cache), [dy * a, dy * a])
    np.testing.assert_array_equal(multiply([a, dy])[0], a * dy)


def test_nan_infinity_and_minus_zero_in_a_product() -> None:
    a = np.array([[np.nan, np.inf, -np.inf, -0.0, 0.0]])
    b = np.array([[1.0, -np.inf, 0.0, 3.0, -2.0]])
    with np.errstate(invalid="ignore"):
        y, _ = multiply([a, b])
    np.testing.assert_array_equal(y, [[np.nan, -np.inf, np.nan, -0.0, -0.0]])
    assert np.signbit(y[0, 3:]).all()


@pytest.mark.parametrize("shapes", [[(2, 3)], [(2, 3), (2, 1), (2, 3)], [(2, 3), (2, 5, 4, 3)]])
def test_relu_after_any_sum(shapes: list[tuple[int, ...]], rng: np.random.Generator) -> None:
    arrays = [rng.standard_normal(shape) for shape in shapes]
    kept = [array.copy() for array in arrays]
    np.testing.assert_array_equal(add(arrays, relu=True)[0], relu(add(arrays)[0])[0])
    assert all(np.array_equal(array, before) for array, before in zip(arrays, kept, strict=True))


def test_nan_infinity_and_minus_zero_in_a_sum() -> None:
    a = np.array([[np.nan, np.inf, -np.inf, -0.0, 1.0]])
    b = np.array([[1.0, -np.inf, 1.0, -0.0, -2.0]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(add([a, b])[0], a + b)
    y, _ = add([a, b], relu=True)
    np.testing.assert_array_equal(y, [[np.nan, np.nan, 0, 0, 0]])
    assert not np.signbit(y[0, 2:]).any()


def test_missing_axes_stand_behind_the_batch(rng: np.random.Generator) -> None:
    per_channel, pictures = rng.standard_normal((2, 4)), rng.standard_normal((2, 5, 3, 4))
    y, cache = multiply([per_channel, pictures])
    np.testing.assert_allclose(y, per_channel[:, None, None] * pictures)
    dy = rng.standard_normal(y.shape)
    dper_channel, dpictures = multiply_backward(dy, cache)
    np.testing.assert_allclose(dper_channel, (dy * pictures).sum(axis=(1, 2)))
    np.testing.assert_allclose(dpictures, dy * per_channel[:, None, None])


def test_a_factor_of_zero_has_a_gradient() -> None:
    zero, two = np.zeros((1, 1)), np.full((1, 1), 2.0)
    _, cache = multiply([zero, two, two])
    assert [float(g[0, 0]) for g in multiply_backward(np.ones((1, 1)), cache)] == [4.0, 0.0, 0.0]


def test_a_sum_hands_its_gradient_on_unchanged(rng: np.random.Generator) -> None:
    dy = rng.standard_normal((3, 4))
    _, cache = add([dy, dy])
    assert all(part is dy for part in add_backward(dy, cache))


dtypes = st.sampled_from([np.float32, np.float64])


@given(st.lists(st.sampled_from([1, 3, 15, 17, 64]), min_size=1, max_size=4), st.integers(1, 3), dtypes)
def test_arrays_of_any_size_one_behind_the_other(sizes: list[int], axis: int, dtype: type) -> None:
    rng = np.random.default_rng(sum(sizes))
    shapes = [[2, 3, 2, 3] for _ in sizes]
    for shape, size in zip(shapes, sizes, strict=True):
        shape[axis] = size
    parts = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    y, cache = concatenate(parts, axis=axis)
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=axis), strict=True)
    for part, back in zip(parts, concatenate_backward(y, cache), strict=True):
        np.testing.assert_array_equal(back, part, strict=True)
        assert not np.shares_memory(back, y)


@pytest.mark.parametrize("axis", [1, 3])
def test_long_rows_and_arrays_that_are_not_contiguous(axis: int, rng: np.random.Generator) -> None:
    parts = [rng.standard_normal((80, 30, 80, 2)).T, rng.standard_normal((80, 30, 80, 2)).T]
    y, cache = concatenate(parts, axis=axis)
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=axis))
    dy = np.asfortranarray(y)
    np.testing.assert_array_equal(concatenate_backward(dy, cache), parts)


def test_every_bit_is_copied() -> None:
    special = np.array([[np.nan, np.inf, -np.inf, -0.0, 5e-324]])
    y, cache = concatenate([special, -special])
    back = concatenate_backward(y, cache)
    assert y.tobytes() == np.concatenate([special, -special], axis=1).tobytes()
    assert [part.tobytes() for part in back] == [special.tobytes(), (-special).tobytes()]


def test_concatenation_and_back(rng: np.random.Generator) -> None:
    parts = [rng.standard_normal((2, size, 3)) for size in (1, 4, 2)]
    y, cache = concatenate(parts, axis=1)
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=1))
    for part, back in zip(parts, concatenate_backward(y, cache), strict=True):
        np.testing.assert_array_equal(back, part)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: add([]), ShapeError, "a list of one array or more"),
        (lambda: add(np.ones((2, 3))), ShapeError, "Received: ndarray"),
        (lambda: add([np.ones((2, 3)), np.ones((2, 4))]), ShapeError, r"shapes \(2, 3\), \(2, 4\)"),
        (lambda: add([np.ones((2, 3)), np.ones((1, 3))]), ShapeError, "of one shape, or with 1 where they differ"),
        (lambda: add([np.ones((2, 3)), np.ones((2, 3), np.float32)]), DtypeError, "float64, float32"),
        (lambda: multiply([np.ones((2, 3), int)]), DtypeError, "int64"),
        (lambda: concatenate([np.ones((2, 3))], axis=0), OptionError, "axis from 1 to 1"),
        (lambda: concatenate([np.ones((2, 3))], axis=2), OptionError, "axis from 1 to 1"),
        (lambda: concatenate([np.ones((2, 3, 1)), np.ones((2, 4, 1))]), ShapeError, "agree in all axes but 2"),
        (lambda: concatenate([np.ones((2, 3)), np.ones((2, 3, 1))]), ShapeError, "agree in all axes"),
    ],
)
def test_what_cannot_be_merged(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()  # type: ignore[operator]
