"""Dense against the sum in its docstring; its two gradients as adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.layers import Add, Dense, GlobalAveragePooling2D, Input
from minicnn.layers.base import Context
from minicnn.model import Model
from minicnn.ops.dense import dense, dense_backward
from minicnn.ops.gradients import OuterProducts
from minicnn.shapes import Array
from tests.threads import same_bits_on_one_thread


def loops(x: Array, kernel: Array, bias: Array) -> Array:
    y = np.empty((*x.shape[:-1], kernel.shape[1]))
    for *position, u in np.ndindex(*y.shape):
        y[(*position, u)] = bias[u] + sum(x[(*position, i)] * kernel[i, u] for i in range(len(kernel)))
    return y


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1)
)
def test_forward_equals_the_loops_and_backward_is_its_adjoint(
    front: list[int], inputs: int, units: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, kernel = rng.standard_normal((*front, inputs)), rng.standard_normal((inputs, units))
    bias, dy = rng.standard_normal(units), rng.standard_normal((*front, units))
    y, cache = dense(x, kernel, bias)
    np.testing.assert_allclose(y, loops(x, kernel, bias), rtol=1e-12, atol=1e-13)
    dx, dkernel, dbias = dense_backward(dy, cache)
    without_bias = np.vdot(dense(x, kernel)[0], dy)
    assert np.vdot(x, dx) == pytest.approx(without_bias, rel=1e-10, abs=1e-10)
    assert np.vdot(kernel, dkernel) == pytest.approx(without_bias, rel=1e-10, abs=1e-10)
    assert np.vdot(bias, dbias) == pytest.approx(np.vdot(y, dy) - without_bias, rel=1e-10, abs=1e-10)


def test_only_what_is_asked_for_is_computed() -> None:
    _, cache = dense(np.ones((2, 3)), np.ones((3, 4)))
    dx, dkernel, dbias = dense_backward(np.ones((2, 4)), cache, input_gradient=False)
    assert (dx, dbias) == (None, None)
    assert dkernel is not None
    dx, dkernel, dbias = dense_backward(np.ones((2, 4)), cache, parameter_gradients=False)
    assert (dkernel, dbias) == (None, None)
    assert dx is not None


@pytest.mark.parametrize("N", [1, 32, 33])
def test_relu_leaves_no_negative_zeros(N: int) -> None:
    """As in ``conv2d/test_direct.py``: a product too small for the dtype becomes -0.0, and a bias of -0.0 leaves it."""
    tiny = np.finfo(np.float32).tiny
    x, kernel, bias = np.full((N, 1), tiny), np.full((1, 3), -tiny), np.full(3, -0.0, np.float32)
    y, _ = dense(x, kernel, bias, relu=True)
    assert (y == 0).all()
    assert not np.signbit(y).any()
    x[-1] = np.nan
    y, _ = dense(x, kernel, bias, relu=True)
    assert np.isnan(y[-1]).all()
    assert not np.isnan(y[:-1]).any()


# One sample and many, fewer and more than a tile has rows; edges of panels, vectors, groups and chunks; one unit.
SHAPES = [
    (1, 4, 1),
    (3, 130, 33),
    (5, 64, 1500),
    (6, 19, 70),
    (15, 600, 64),
    (33, 8300, 4),
    (2, 517, 2100),
    (32, 70, 90),
    (40, 70, 1500),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "I", "U"), SHAPES)
def test_every_path_is_the_product_it_stands_for(N: int, I: int, U: int, dtype: Any, rng: np.random.Generator) -> None:  # noqa: E741
    x, kernel = rng.standard_normal((N, I)).astype(dtype), rng.standard_normal((I, U)).astype(dtype)
    bias, dy = rng.standard_normal(U).astype(dtype), rng.standard_normal((N, U)).astype(dtype)
    wide = [a.astype("float64") for a in (x, kernel, bias, dy)]
    limit = 8 * 2.0**-24 if dtype == "float32" else 1e-14
    y, cache = dense(x, kernel, bias)
    dx, dkernel, dbias = dense_backward(dy, cache)
    for ours, referee in [
        (y, wide[0] @ wide[1] + wide[2]),
        (dx, wide[3] @ wide[1].T),
        (dkernel, wide[0].T @ wide[3]),
        (dbias, wide[3].sum(axis=0)),
    ]:
        assert isinstance(ours, np.ndarray)
        assert ours.dtype == dtype
        assert np.abs(ours - referee).max() <= limit * np.abs(referee).max()


def test_a_sample_gets_the_same_bits_alone_and_among_a_few(rng: np.random.Generator) -> None:
    x, kernel = (rng.standard_normal(shape).astype(np.float32) for shape in ((32, 700), (700, 45)))
    together = dense(x, kernel)[0]
    for N in (1, 2, 3, 8, 32):
        np.testing.assert_array_equal(dense(x[:N], kernel)[0], together[:N])


@pytest.mark.parametrize("N", [1, 2, 3, 5])
@pytest.mark.parametrize("inputs", [1, 2, 3, 5, 7, 8, 9, 15])
def test_rows_are_taken_some_at_a_time_and_those_missing_do_no_harm(inputs: int, N: int) -> None:
    """Infinities times a row that is not there would be NaN."""
    x, kernel = np.full((N, inputs), np.inf, np.float32), np.full((inputs, 9), np.inf, np.float32)
    np.testing.assert_array_equal(dense(x, kernel)[0], np.inf)


@pytest.mark.parametrize(("N", "I", "U"), [(2, 2000, 100), (20, 2000, 100), (40, 2000, 100)])
def test_the_bits_do_not_depend_on_the_number_of_threads(N: int, I: int, U: int, rng: np.random.Generator) -> None:  # noqa: E741
    x, kernel = rng.standard_normal((N, I), np.float32), rng.standard_normal((I, U), np.float32)
    dy = rng.standard_normal((N, U), np.float32)

    def both() -> tuple[Any, ...]:
        y, cache = dense(x, kernel)
        return y, *dense_backward(dy, cache)[:2]

    same_bits_on_one_thread(both)


def test_relu_cuts_off_and_is_part_of_the_gradient(rng: np.random.Generator) -> None:
    x, kernel, dy = rng.standard_normal((4, 30)), rng.standard_normal((30, 50)), rng.standard_normal((4, 50))
    y, cache = dense(x, kernel, relu=True)
    plain, plain_cache = dense(x, kernel)
    np.testing.assert_array_equal(y, np.maximum(plain, 0))
    for one, other in zip(dense_backward(dy, cache), dense_backward(dy * (plain > 0), plain_cache), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("relu", [False, True])
def test_nan_and_infinity_are_seen(bad: float, relu: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 40))
    x[1, 7] = bad
    kernel = np.abs(rng.standard_normal((40, 37)))
    with np.errstate(invalid="ignore"):
        y, cache = dense(x, kernel, relu=relu)
        dx, dkernel, _ = dense_backward(np.full_like(y, bad), cache)
    assert np.isfinite(y[[0, 2]]).all()
    assert not np.isfinite(y[1]).any()
    assert np.isnan(y[1]).all() == np.isnan(bad)
    assert isinstance(dx, np.ndarray)
    assert isinstance(dkernel, np.ndarray)
    if not relu:  # which lets no gradient pass where y is 0 or NaN
        assert not np.isfinite(dx).any()
        assert not np.isfinite(dkernel).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "I", "U"), [(1, 5, 1), (3, 200, 33), (600, 30, 40), (2, 100, 3000)])
def test_factors_are_the_gradient(N: int, I: int, U: int, dtype: Any, rng: np.random.Generator) -> None:  # noqa: E741
    x, dy = rng.standard_normal((N, I)).astype(dtype), rng.standard_normal((N, U)).astype(dtype)
    factors = OuterProducts(x, dy)
    written = factors.array()
    assert (factors.shape, factors.size, factors.dtype) == ((I, U), I * U, dtype)
    np.testing.assert_allclose(written, x.T.astype("f8") @ dy, atol=1e-4 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(factors.rows(I // 3, I // 2 + 1), written[I // 3 : I // 2 + 1])
    twice = factors + OuterProducts(2 * x, dy)
    assert isinstance(twice, OuterProducts)
    np.testing.assert_allclose(twice.array(), 3 * written, atol=1e-3 if dtype == "float32" else 1e-12)
    for total in (factors + written, written + factors):
        np.testing.assert_array_equal(total, 2 * written)


def test_a_shared_layer_adds_factors_to_a_gradient_that_was_written_out() -> None:
    """Of a picture's many pixels the factors would be larger than the gradient, of its mean they are not."""
    pixels, shared = Input((5, 4, 6)), Dense(7, name="shared")
    many, few = shared(pixels), shared(GlobalAveragePooling2D()(pixels))
    model = Model(pixels, Add()([GlobalAveragePooling2D()(many), few]))
    x, dy = np.random.default_rng(0).standard_normal((2, 5, 4, 6)).astype(np.float32), np.ones((2, 7), np.float32)
    found = []
    for factored in (True, False):
        _, caches = model.forward(x, Context(training=True, factored=factored))
        found.append(model.backward(dy, caches)[1]["shared/kernel"])
    assert isinstance(found[0], np.ndarray)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_a_layer_returns_factors_only_when_asked(rng: np.random.Generator) -> None:
    layer = Dense(5)
    layer.build((7,), rng, np.float64)
    x, dy = rng.standard_normal((3, 7)), rng.standard_normal((3, 5))
    plain = layer.backward(dy, layer.forward(x, Context(training=True))[1])[1]["kernel"]
    factors = layer.backward(dy, layer.forward(x, Context(training=True, factored=True))[1])[1]["kernel"]
    assert isinstance(plain, np.ndarray)
    assert isinstance(factors, OuterProducts)
    np.testing.assert_array_equal(factors.array(), plain)


def test_errors() -> None:
    x, kernel = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ShapeError, match=r"3 numbers in its last axis.*Received: shape \(2, 5\)"):
        dense(np.ones((2, 5)), kernel)
    with pytest.raises(ShapeError, match="Flatten"):
        dense(np.ones((2, 1, 1, 5)), kernel)
    with pytest.raises(ShapeError, match=r"bias of shape \(4,\)"):
        dense(x, kernel, np.ones(3))
    with pytest.raises(DtypeError, match="same dtype"):
        dense(x, kernel.astype(np.float32))
    with pytest.raises(ShapeError, match="x with 2 axes"):
        dense(np.ones(3), kernel)
    _, cache = dense(x, kernel)
    with pytest.raises(ShapeError, match=r"shape of y, \(2, 4\)"):
        dense_backward(x, cache)
    for units in (0, -1, 2.0, True, None):
        with pytest.raises(OptionError, match="units as an integer"):
            Dense(units)  # type: ignore[arg-type]
