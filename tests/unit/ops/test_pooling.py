"""Max and average pooling against their definitions, written as loops over single numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.ops import max_pooling
from minicnn.ops.average_pooling import average_pool2d, average_pool2d_backward
from minicnn.ops.max_pooling import max_pool2d, max_pool2d_backward, max_pool2d_inference
from minicnn.shapes import Array, Shape, Window

INF, NAN = math.inf, math.nan


def places(x_shape: Shape, window: Window, oh: int, ow: int) -> list[tuple[int, int]]:
    """The pixels inside the picture that the window at (oh, ow) lies over, in reading order."""
    (top, _), (left, _) = window.pads(*x_shape[1:3])
    rows = (oh * window.strides[0] - top + kh for kh in range(window.size[0]))
    columns = [ow * window.strides[1] - left + kw for kw in range(window.size[1])]
    return [(h, w) for h in rows for w in columns if 0 <= h < x_shape[1] and 0 <= w < x_shape[2]]


def pool_loops(x: Array, window: Window, kind: str, dy: Array | None = None) -> tuple[Array, Array]:
    """(y, dx), one window after the other. Python's floats: no order of summation to argue about."""
    y = np.empty((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    dx = np.zeros_like(x)
    for n, oh, ow, c in np.ndindex(*y.shape):
        inside = places(x.shape, window, oh, ow)
        values = [float(x[n, h, w, c]) for h, w in inside]
        upstream = 0.0 if dy is None else dy[n, oh, ow, c]
        if kind == "max":
            best = next((i for i, value in enumerate(values) if math.isnan(value)), values.index(max(values)))
            y[n, oh, ow, c] = values[best]
            dx[(n, *inside[best], c)] += upstream
        else:
            y[n, oh, ow, c] = sum(values) / len(values)
            for h, w in inside:
                dx[n, h, w, c] += upstream / len(values)
    return y, dx


FORWARD = {"max": max_pool2d, "average": average_pool2d}
BACKWARD = {"max": max_pool2d_backward, "average": average_pool2d_backward}


@st.composite
def windows_and_shapes(draw: st.DrawFn) -> tuple[Window, Shape]:
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    pads = tuple(draw(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1))) for k in size)
    padding = draw(st.sampled_from(["valid", "same", pads]))
    window = Window.of(size, draw(st.tuples(st.integers(1, 4), st.integers(1, 4))), padding)
    height, width = (draw(st.integers(k, 9)) for k in size)
    return window, (draw(st.integers(1, 3)), height, width, draw(st.integers(1, 3)))


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(windows_and_shapes(), st.integers(0, 2**32 - 1), st.booleans())
def test_both_passes_equal_the_loops(
    kind: str, dtype: type, window_and_shape: tuple[Window, Shape], seed: int, ties: bool
) -> None:
    window, shape = window_and_shape
    rng = np.random.default_rng(seed)
    x = (rng.integers(0, 3, shape) if ties else rng.standard_normal(shape)).astype(dtype)
    y, cache = FORWARD[kind](x, window)
    dy = rng.standard_normal(y.shape).astype(dtype)
    expected_y, expected_dx = pool_loops(x, window, kind, dy)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(y, expected_y, rtol=0 if kind == "max" else tolerance, atol=0 if kind == "max" else 1e-6)
    np.testing.assert_allclose(BACKWARD[kind](dy, cache), expected_dx, rtol=tolerance, atol=tolerance)


@given(windows_and_shapes(), st.integers(0, 2**32 - 1))
def test_average_pooling_is_linear_and_backward_its_adjoint(window_and_shape: tuple[Window, Shape], seed: int) -> None:
    """<A x, dy> = <x, A^T dy> for all x and dy: the very meaning of a gradient, without a derivative."""
    window, shape = window_and_shape
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    y, cache = average_pool2d(x, window)
    dy = rng.standard_normal(y.shape)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, average_pool2d_backward(dy, cache)), rel=1e-10, abs=1e-10)


@given(windows_and_shapes(), st.integers(0, 2**32 - 1))
def test_max_pooling_passes_every_gradient_on_exactly_once(window_and_shape: tuple[Window, Shape], seed: int) -> None:
    window, shape = window_and_shape
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    y, cache = max_pool2d(x, window)
    dy = rng.standard_normal(y.shape)
    dx = max_pool2d_backward(dy, cache)
    np.testing.assert_allclose(dx.sum(axis=(1, 2)), dy.sum(axis=(1, 2)), rtol=1e-10, atol=1e-12)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, dx), rel=1e-10, abs=1e-10)  # max(x) is one of the x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("picture", "maximum", "winner"),
    [
        ([[1, 1], [1, 1]], 1, (0, 0)),
        ([[0, 2], [2, 2]], 2, (0, 1)),
        ([[0, 1], [3, 3]], 3, (1, 0)),
        ([[-0.0, 0.0], [0.0, -0.0]], 0, (0, 0)),
        ([[-INF, -INF], [-INF, -INF]], -INF, (0, 0)),
        ([[1, INF], [INF, 2]], INF, (0, 1)),
        ([[1, 2], [NAN, INF]], NAN, (1, 0)),
        ([[NAN, 5], [6, NAN]], NAN, (0, 0)),
        ([[5, NAN], [NAN, 7]], NAN, (0, 1)),
    ],
)
def test_who_wins_a_window(picture: list[list[float]], maximum: float, winner: tuple[int, int], dtype: type) -> None:
    """The first of several largest; NaN before everything, so that it is seen."""
    x = np.array(picture, dtype)[None, :, :, None]
    y, cache = max_pool2d(x, Window.of(2, 2))
    dx = max_pool2d_backward(np.full_like(y, 7), cache)
    np.testing.assert_array_equal(y.ravel(), [maximum])
    assert dx[0, winner[0], winner[1], 0] == 7
    assert dx.sum() == 7


def test_a_window_far_larger_than_the_picture_costs_no_memory() -> None:
    """Two thousand million taps, of which 16 lie over the picture; all windows see all of it."""
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    x[0, 1, 2] = 20
    y, cache = max_pool2d(x, Window.of(46_000, 1, "same"))
    np.testing.assert_array_equal(y, np.full_like(x, 20))
    dx = max_pool2d_backward(np.arange(16, dtype=np.float32).reshape(y.shape), cache)
    assert dx[0, 1, 2, 0] == dx.sum() == 120


def test_max_pooling_does_not_see_its_padding() -> None:
    """Zeros would win over negative numbers."""
    x = np.arange(-9, 0, dtype=np.float32).reshape(1, 3, 3, 1)
    y, _ = max_pool2d(
        x, Window.of(3, 2, ((2, 1), (2, 1)))
    )  # windows over the first pixel, row and column, and over all
    np.testing.assert_array_equal(y[0, :, :, 0], [[-9, -7], [-3, -1]])
    y, _ = max_pool2d(x, Window.of(3, 2, "same"))  # each window hangs over one corner
    np.testing.assert_array_equal(y[0, :, :, 0], [[-5, -4], [-2, -1]])


def test_average_pooling_does_not_count_its_padding() -> None:
    y, _ = average_pool2d(np.ones((1, 5, 5, 2)), Window.of(3, 2, "same"))
    np.testing.assert_array_equal(y, np.ones((1, 3, 3, 2)))


@pytest.mark.parametrize("kind", ["max", "average"])
def test_a_gradient_that_is_not_finite_stays_where_it_belongs(kind: str) -> None:
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    y, cache = FORWARD[kind](x, Window.of(2, 2))
    dy = np.ones_like(y)
    dy[0, 0, 1, 0] = NAN
    dx = BACKWARD[kind](dy, cache)
    assert np.isnan(dx[0, :2, 2:]).any()
    dx[0, :2, 2:] = 0
    assert np.isfinite(dx).all()


def test_average_pooling_keeps_nan_and_inf_in_their_windows() -> None:
    x = np.ones((1, 2, 6, 1), np.float32)
    x[0, 0, 0], x[0, 0, 2] = NAN, INF
    y, _ = average_pool2d(x, Window.of(2, 2))
    np.testing.assert_array_equal(y.ravel(), [NAN, INF, 1])


def test_the_cache_of_max_pooling_is_a_byte_per_output() -> None:
    x = np.random.default_rng(0).standard_normal((2, 34, 36, 3)).astype(np.float32)
    y, cache = max_pool2d(x, Window.of(2, 2))
    assert cache.winners.nbytes == y.size
    window = Window.of(17, 17)  # 289 taps do not fit into a byte
    y, cache = max_pool2d(x, window)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    np.testing.assert_array_equal(max_pool2d_backward(dy, cache), pool_loops(x, window, "max", dy)[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 7, 8, 16, 19, 33])
@pytest.mark.parametrize("size", [(2, 2), (5, 4), (4, 7), (9, 5)])
def test_windows_of_2x2_have_loops_of_their_own(
    size: tuple[int, int], channels: int, dtype: type, rng: np.random.Generator
) -> None:
    """The short way equals the general one in every number, winners of ties and NaN included."""
    x = rng.integers(0, 3, (2, *size, channels)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = NAN
    window = Window.of(2, 2)
    y, cache = max_pool2d(x, window)
    general, winners = np.empty_like(y), np.empty_like(cache.winners)
    max_pooling._forward(0, x, window.size, window.strides, (0, 0), general, winners)
    np.testing.assert_array_equal(y, general)
    np.testing.assert_array_equal(cache.winners, winners)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = np.empty_like(x)
    max_pooling._backward(0, dy, winners, window.size, window.strides, (0, 0), dx)
    np.testing.assert_array_equal(max_pool2d_backward(dy, cache), dx)


@given(windows_and_shapes(), st.integers(0, 2**32 - 1))
def test_without_a_cache_the_maximum_is_the_same(window_and_shape: tuple[Window, Shape], seed: int) -> None:
    window, shape = window_and_shape
    x = np.random.default_rng(seed).standard_normal(shape)
    np.testing.assert_array_equal(max_pool2d_inference(x, window), max_pool2d(x, window)[0])


def test_padding_keeps_2x2_windows_out_of_the_short_way() -> None:
    x = -np.ones((1, 3, 3, 2))
    y, _ = max_pool2d(x, Window.of(2, 2, ((0, 1), (0, 1))))
    np.testing.assert_array_equal(y, -np.ones((1, 2, 2, 2)))


@pytest.mark.parametrize("kind", ["max", "average"])
def test_errors(kind: str) -> None:
    x = np.ones((1, 3, 3, 1), np.float32)
    with pytest.raises(ShapeError, match=r"at least 4x4.*Received: 3x3"):
        FORWARD[kind](x, Window.of(4))
    with pytest.raises(OptionError, match="smaller than the pooling window"):
        FORWARD[kind](x, Window.of(2, 1, ((0, 2), (0, 0))))
    with pytest.raises(OptionError, match="without dilation"):
        FORWARD[kind](x, Window.of(2, 1, "valid", 2))
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        FORWARD[kind](x[0], Window.of(2))
    with pytest.raises(ShapeError, match="at least one element"):
        FORWARD[kind](x[:0], Window.of(2))
    with pytest.raises(DtypeError, match="float32 or float64"):
        FORWARD[kind](x.astype(int), Window.of(2))
    _, cache = FORWARD[kind](x, Window.of(2))
    with pytest.raises(ShapeError, match=r"shape of y, \(1, 2, 2, 1\)"):
        BACKWARD[kind](x, cache)
    with pytest.raises(DtypeError, match="NumPy array"):
        BACKWARD[kind](x.tolist(), cache)
