"""Activations against their formulas in Python's own floats, and at the places where formulas break."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.layers import Activation
from minicnn.ops import activations as ops
from minicnn.ops.curves import CURVES, curve, curve_backward
from minicnn.ops.turns import BLOCK, WORTH_SHARING
from minicnn.shapes import Array
from tests.threads import same_bits_on_one_thread

INF, NAN = math.inf, math.nan
EXTREMES = [0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 50.0, -50.0, 1e4, -1e4, 3e38, -3e38, INF, -INF]

# name -> (forward, backward, the function and its derivative for one float)
ELEMENTWISE: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[[float], tuple[float, float]]]] = {
    "relu": (ops.relu, ops.relu_backward, lambda x: (max(x, 0.0), float(x > 0))),
    "leaky_relu": (ops.leaky_relu, ops.leaky_relu_backward, lambda x: (x, 1.0) if x > 0 else (0.3 * x, 0.3)),
    "elu": (ops.elu, ops.elu_backward, lambda x: (x, 1.0) if x > 0 else (math.expm1(x), math.exp(x))),
    "sigmoid": (ops.sigmoid, ops.sigmoid_backward, lambda x: (_sigmoid(x), _sigmoid(x) * _sigmoid(-x))),
    "tanh": (ops.tanh, ops.tanh_backward, lambda x: (math.tanh(x), 1 / math.cosh(min(abs(x), 350.0)) ** 2)),
}
each = pytest.mark.parametrize("name", ELEMENTWISE)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_both_passes_follow_the_formula(name: str, dtype: type, data: st.DataObject) -> None:
    forward, backward, formula = ELEMENTWISE[name]
    width = 32 if dtype == np.float32 else 64
    numbers = st.floats(-100, 100, width=width, allow_subnormal=False)
    x = data.draw(arrays(dtype, st.sampled_from([(1,), (3, 5), (2, 3, 2, 2)]), elements=numbers))
    dy = data.draw(arrays(dtype, x.shape, elements=numbers))
    y, cache = forward(x)
    expected, slope = np.vectorize(formula, otypes=[float, float])(x.astype(float))
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=np.finfo(dtype).tiny)
    # derivatives are made of y, so they are as exact as y is, not as they themselves are small
    np.testing.assert_allclose(backward(dy, cache), dy * slope, rtol=tolerance, atol=100 * tolerance)


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_overflows(name: str, dtype: type) -> None:
    forward, backward, formula = ELEMENTWISE[name]
    x = np.array(EXTREMES, dtype)
    with np.errstate(all="raise", under="ignore"):
        y, cache = forward(x)
        dx = backward(np.ones_like(x), cache)
    expected, slope = np.vectorize(formula, otypes=[float, float])(x.astype(float))
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-20)
    np.testing.assert_allclose(dx, slope, rtol=1e-6, atol=1e-7)


@each
def test_nan_stays_nan(name: str) -> None:
    y, _ = ELEMENTWISE[name][0](np.array([1.0, NAN, -1.0]))
    np.testing.assert_array_equal(np.isnan(y), [False, True, False])


@pytest.mark.parametrize(("name", "expected"), [("relu", 0.0), ("leaky_relu", 0.3), ("elu", 1.0), ("tanh", 1.0)])
def test_the_derivative_at_zero_is_the_one_of_keras(name: str, expected: float) -> None:
    forward, backward, _ = ELEMENTWISE[name]
    for zero in (0.0, -0.0):
        _, cache = forward(np.array([zero]))
        assert backward(np.array([1.0]), cache) == expected


def test_relu_stops_gradients_that_are_not_finite() -> None:
    """Multiplying by 0 would turn an infinite gradient into NaN."""
    _, cache = ops.relu(np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(ops.relu_backward(np.array([INF, INF]), cache), [0, INF])


def test_leaky_relu_with_slope_zero_is_relu(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 4, 7))
    y, cache = ops.leaky_relu(x, 0.0)
    np.testing.assert_array_equal(y, ops.relu(x)[0])
    np.testing.assert_array_equal(ops.leaky_relu_backward(dy, cache), ops.relu_backward(dy, ops.relu(x)[1]))


def test_elu_scales_its_negative_side(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 7))
    y, cache = ops.elu(x, 0.3)
    np.testing.assert_allclose(y, np.where(x > 0, x, 0.3 * ops.elu(x)[0]), rtol=1e-15)
    dx = ops.elu_backward(np.ones_like(x), cache)
    np.testing.assert_allclose(dx, np.where(x > 0, 1, 0.3 * np.exp(x)), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_sigmoid_and_elu_of_every_size(dtype: type, data: st.DataObject) -> None:
    """Sizes that fill no vector, and numbers of all magnitudes: no digit is lost next to 0."""
    bound = 80.0 if dtype == np.float32 else 700.0
    numbers = st.floats(-bound, bound, width=np.finfo(dtype).bits)
    x = data.draw(arrays(dtype, st.sampled_from([1, 3, 15, 16, 17, 64, 100]), elements=numbers))
    wide, eps = x.astype(np.float64), np.finfo(dtype).eps
    with np.errstate(under="ignore"):
        expected = np.where(wide > 0, wide, np.expm1(np.minimum(wide, 0)))
        least = np.finfo(dtype).smallest_subnormal
        np.testing.assert_allclose(ops.elu(x)[0], expected, rtol=1.0 * eps, atol=least)
        np.testing.assert_allclose(ops.sigmoid(x)[0], 1 / (1 + np.exp(-wide)), rtol=2 * eps, atol=least)


def test_activations_of_views_that_are_not_contiguous(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 6, 34)).astype(np.float32)[:, ::2, ::-2]
    for forward, backward, _ in ELEMENTWISE.values():
        y, cache = forward(x)
        straight, straight_cache = forward(x.copy())
        np.testing.assert_array_equal(y, straight)
        np.testing.assert_array_equal(backward(x, cache), backward(x.copy(), straight_cache))


@pytest.mark.parametrize("name", ["elu", "sigmoid", "softmax"])
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str, rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 700, 100)).astype(np.float32)
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")

    def both() -> tuple[Array, Array]:
        y, cache = forward(x)
        return y, backward(dy, cache)

    same_bits_on_one_thread(both)


# ------------------------------------------------------------------------------------------------------------ softmax


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_softmax_of_every_size(dtype: type, data: st.DataObject) -> None:
    """Against its formulas in float64: rows that fill no vector, from memory in any order, along any axis."""
    K = data.draw(st.sampled_from([1, 3, 15, 16, 17, 64, 100]))
    axis = data.draw(st.sampled_from([1, 2, -1, -2]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x = 10 * rng.standard_normal((2, 4, K)).astype(dtype)
    if data.draw(st.booleans()):
        x = x[:, ::-2]
    dy = rng.standard_normal(x.shape).astype(dtype)
    wide = x.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=axis, keepdims=True))
    expected = powers / powers.sum(axis=axis, keepdims=True)
    eps = np.finfo(dtype).eps
    y, cache = ops.softmax(x, axis)
    # a score is rounded once its row's largest has been taken off: half a last place of up to 64
    np.testing.assert_allclose(y, expected, rtol=40 * eps)
    along = (y.astype(np.float64) * dy).sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(
        ops.softmax_backward(dy, cache), y * (dy - along), rtol=0, atol=4 * eps * np.abs(dy).max()
    )


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_rows_with_nan_and_infinity(dtype: type, axis: int) -> None:
    """Wherever they stand in a row, in whole vectors and in what is left of one; other rows know nothing of it."""
    x = np.zeros((1, 5, 37), dtype)
    for place in (0, 5, 36):
        x[0, :, place] = [NAN, INF, -INF, -1e30, 0]
        expected = np.full(x.shape, 1 / 37)
        expected[0, :2], expected[0, 2:4], expected[0, 2:4, place] = NAN, 1 / 36, 0
        y, cache = ops.softmax(np.moveaxis(x, 2, axis), axis)
        np.testing.assert_allclose(np.moveaxis(y, axis, 2), expected, rtol=1e-6)
        with np.errstate(invalid="ignore"):
            dx = np.moveaxis(ops.softmax_backward(np.ones_like(y), cache), axis, 2)
        assert np.isnan(dx[0, :2]).all()
        np.testing.assert_allclose(dx[0, 2:], 0, atol=1e-7)
        x[0, :, place] = 0
    everything = np.full((1, 37), -INF, dtype)
    assert np.isnan(ops.softmax(everything)[0]).all()


def softmax_exactly(row: list[float]) -> list[Decimal]:
    getcontext().prec = 60
    exponentials = [Decimal(value).exp() for value in row]
    return [value / sum(exponentials) for value in exponentials]


@given(
    arrays(np.float64, (3, 4), elements=st.floats(-60, 60)), arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3))
)
def test_softmax_and_its_gradient_against_sixty_digits(x: np.ndarray, dy: np.ndarray) -> None:
    y, cache = ops.softmax(x)
    dx = ops.softmax_backward(dy, cache)
    for n in range(3):
        exact = softmax_exactly(x[n].tolist())
        np.testing.assert_allclose(y[n], [float(p) for p in exact], rtol=1e-13)
        upstream = [Decimal(value) for value in dy[n].tolist()]
        mean = sum(p * value for p, value in zip(exact, upstream, strict=True))
        exact_dx = [float(p * (value - mean)) for p, value in zip(exact, upstream, strict=True)]
        np.testing.assert_allclose(dx[n], exact_dx, rtol=1e-9, atol=1e-12 * np.abs(dy[n]).max())


def test_softmax_gradient_keeps_what_is_far_below_one() -> None:
    """y is (1, 5.6e-17) in float64, and 1 - 1 * 1 is 0; the true answer is not."""
    _, cache = ops.softmax(np.array([[37.42994775023705, 0.0]]))
    dx = ops.softmax_backward(np.array([[1.0, 0.0]]), cache)
    np.testing.assert_allclose(dx, [[5.551115123125775e-17, -5.551115123125775e-17]], rtol=1e-12)


@given(
    arrays(np.float64, (2, 3, 4), elements=st.floats(-30, 30)), st.sampled_from([1, 2, -1, -2]), st.floats(-100, 100)
)
def test_softmax_adds_up_to_one_along_its_axis_and_ignores_a_shift(x: np.ndarray, axis: int, shift: float) -> None:
    y, cache = ops.softmax(x, axis)
    np.testing.assert_allclose(y.sum(axis=axis), 1, rtol=1e-14)
    np.testing.assert_allclose(ops.softmax(x + shift, axis)[0], y, rtol=1e-11)
    dx = ops.softmax_backward(np.cos(x), cache)
    np.testing.assert_allclose(dx.sum(axis=axis), 0, atol=1e-14)


def test_softmax_of_extremes() -> None:
    np.testing.assert_array_equal(ops.softmax(np.array([[3e38, 0, -3e38]], np.float32))[0], [[1, 0, 0]])
    np.testing.assert_allclose(ops.softmax(np.array([[-INF, 2.0, 2.0]]))[0], [[0, 0.5, 0.5]])
    np.testing.assert_array_equal(ops.softmax(np.array([[7.0]]))[0], [[1]])
    for row in ([NAN, 0.0], [INF, 0.0], [-INF, -INF]):
        y, _ = ops.softmax(np.array([row, [1.0, 1.0]]))
        assert np.isnan(y[0]).all()
        np.testing.assert_array_equal(y[1], [0.5, 0.5])


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("axis", [0, 2, -2, 1.0, True, None])
def test_softmax_refuses_an_axis_that_is_not_there(axis: Any) -> None:
    with pytest.raises(OptionError, match=r"axis as an integer.*Received"):
        ops.softmax(np.ones((2, 3)), axis)


@pytest.mark.parametrize("value", [-0.1, NAN, INF, None, "steep", True])
def test_slopes_must_be_finite_and_not_negative(value: Any) -> None:
    with pytest.raises(OptionError, match=r"negative_slope as a finite number.*Received"):
        ops.leaky_relu(np.ones((2, 3)), value)
    with pytest.raises(OptionError, match=r"alpha as a finite number.*Received"):
        ops.elu(np.ones((2, 3)), value)


@each
def test_errors(name: str) -> None:
    forward, backward, _ = ELEMENTWISE[name]
    with pytest.raises(DtypeError, match="float32 or float64"):
        forward(np.ones((2, 3), np.float16))
    with pytest.raises(DtypeError, match="NumPy array"):
        forward([1.0, 2.0])
    with pytest.raises(ShapeError, match="at least one element"):
        forward(np.ones((0, 3)))
    _, cache = forward(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"shape of y, \(2, 3\)"):
        backward(np.ones((3, 2)), cache)
    with pytest.raises(DtypeError, match="dtype"):
        backward(np.ones((2, 3), np.float32), cache)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (4, 4, 8, 4), (2, 37, 31, 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_in_place_is_relu(shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    x.reshape(-1)[::7] = NAN
    expected, _ = ops.relu(x)
    np.testing.assert_array_equal(expected, np.maximum(x, 0))
    assert ops.relu_(x) is x
    np.testing.assert_array_equal(x, expected)


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _share(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2  # of the normal distribution, below x


def _mish(x: float) -> tuple[float, float]:
    t = math.tanh(math.log1p(math.exp(x)))
    return x * t, t + x * _sigmoid(x) * (1 - t * t)


# name -> the function and its slope for one float
FORMULAS: dict[str, Callable[[float], tuple[float, float]]] = {
    "silu": lambda x: (x * _sigmoid(x), _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "swish": lambda x: (x * _sigmoid(x), _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "gelu": lambda x: (x * _share(x), _share(x) + x * _density(x)),
    "softplus": lambda x: (math.log1p(math.exp(x)), _sigmoid(x)),
    "mish": _mish,
    "softsign": lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2),
    "selu": lambda x: (SCALE * x, SCALE) if x > 0 else (SCALE * ALPHA * math.expm1(x), SCALE * ALPHA * math.exp(x)),
    "exponential": lambda x: (math.exp(x), math.exp(x)),
    "relu6": lambda x: (min(max(x, 0.0), 6.0), float(0 < x < 6)),
    "hard_sigmoid": lambda x: (min(max(x + 3, 0.0), 6.0) / 6, (-3 < x < 3) / 6),
}
SCALE, ALPHA = 1.0507009873554804934, 1.6732632423543772848  # of SELU, as its paper gives them


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_their_formulas(name: str, rng: np.random.Generator) -> None:
    """Values and slopes, at random numbers of several sizes and on both sides of every corner."""
    corners = [place + side for place in (-3.0, 0.0, 3.0, 6.0) for side in (-1e-3, 1e-3)]
    x = np.concatenate([rng.standard_normal(200), rng.uniform(-30, 30, 200), corners])[None]
    dy = rng.standard_normal(x.shape)
    y, cache = curve(x, name)
    value, slope = np.vectorize(FORMULAS[name], otypes=[float, float])(x)
    np.testing.assert_allclose(y, value, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(curve_backward(dy, cache), dy * slope, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*CURVES, "tanh"])
def test_curves_of_several_blocks(name: str, dtype: type, rng: np.random.Generator) -> None:
    """Of memory in any order; in float32 more numbers than one core takes, whose bits are the same from any number of
    threads. Compiling the same for float64 would say no more."""
    shared = dtype == np.float32
    x, dy = rng.standard_normal((2, (20 if shared else 2) * BLOCK + 5)).astype(dtype)[:, None, ::-1]
    formula = FORMULAS.get(name) or ELEMENTWISE[name][2]

    def both() -> tuple[Array, Array]:
        y, cache = curve(x, name) if name in CURVES else ops.tanh(x)
        return y, curve_backward(dy, cache) if name in CURVES else ops.tanh_backward(dy, cache)

    y, dx = same_bits_on_one_thread(both)
    assert (2 * x.nbytes > WORTH_SHARING) == shared
    value, slope = np.vectorize(formula, otypes=[float, float])(x.astype(float))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, value, rtol=8 * eps, atol=eps)
    np.testing.assert_allclose(dx, dy * slope, rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("name", CURVES)
def test_curves_at_the_ends_of_the_line(name: str) -> None:
    """No warning, no NaN out of finite numbers but where one is due, and NaN stays NaN."""
    x = np.array([[-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, np.nan]])
    y, cache = curve(x, name)
    dx = curve_backward(np.ones_like(x), cache)
    assert np.isfinite(y[0, :6]).all()
    assert np.isfinite(dx[0, :6]).all()
    assert np.isnan(y[0, 6])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slopes_of_elu_and_selu_at_nan_are_those_of_keras(dtype: type) -> None:
    """NaN is not below 0, so the other side's: see ``tests/parity/test_layers_keras.py``."""
    x, dy = np.array([[-INF, -1.0, NAN, 0.0, -0.0, NAN, 2.0]], dtype), np.arange(1, 8, dtype=dtype)[None]
    left = math.exp(-1)
    for alpha in (1.0, 0.3, 0.0):
        dx = ops.elu_backward(dy, ops.elu(x, alpha)[1])
        expected = [[0, alpha * left, alpha, alpha, alpha, alpha, 1]]
        np.testing.assert_allclose(dx / dy, expected, rtol=1e-6)
    dx = curve_backward(dy, curve(x, "selu")[1])
    np.testing.assert_allclose(dx / dy, SCALE * np.array([[0, ALPHA * left, 1, 1, 1, 1, 1]]), rtol=1e-6)


def test_an_activation_that_is_none() -> None:
    with pytest.raises(OptionError, match=r"an activation among linear, relu, .*gelu.*Received: 'magic'"):
        Activation("magic")
