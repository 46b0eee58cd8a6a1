"""dx of strided convolutions: all phases together, or one after the other, gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minicnn.ops.conv2d import direct_dx, loops
from minicnn.ops.micro_kernel import VECTORS, panel_width
from minicnn.shapes import Array, Window

PADDINGS: tuple[Any, ...] = ("valid", "same", ((0, 3), (2, 0)), ((4, 0), (0, 5)), ((1, 6), (6, 2)))
LANES = panel_width(np.float64) // VECTORS


def made(window: Window, x_shape: tuple[int, ...], filters: int, dtype: Any = np.float64) -> tuple[Array, Array]:
    """dy and the kernel."""
    rng = np.random.default_rng(sum(x_shape) + filters)
    dy = rng.standard_normal((x_shape[0], *window.output_size(*x_shape[1:3]), filters)).astype(dtype)
    return dy, rng.standard_normal((*window.size, x_shape[3], filters)).astype(dtype)


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (4, 7)])
@pytest.mark.parametrize("strides", [(2, 2), (3, 2), (1, 4)])
def test_together_is_the_definition(strides: tuple[int, int], size: tuple[int, int], padding: Any) -> None:
    """Also where some phases see nothing, and where outputs lie so far out that they saw only padding."""
    window, x_shape = Window.of(size, strides, padding), (2, 8, 9, 3)
    dy, kernel = made(window, x_shape, 2)
    expected = loops.input_gradient(dy, kernel, x_shape, window, 1)
    np.testing.assert_allclose(direct_dx.together(dy, kernel, x_shape, window), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(direct_dx.apart(dy, kernel, x_shape, window, 1), expected, rtol=0, atol=1e-12)


@given(
    strides=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    pads=st.tuples(*[st.tuples(st.integers(0, 6), st.integers(0, 6))] * 2),
    pixels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_both_ways_agree_for_any_geometry(
    strides: tuple[int, int], size: tuple[int, int], pads: Any, pixels: tuple[int, int]
) -> None:
    assume(all(n + sum(pad) >= k for n, pad, k in zip(pixels, pads, size, strict=True)))
    window, x_shape = Window.of(size, strides, pads), (1, *pixels, 2)
    dy, kernel = made(window, x_shape, 3)
    one, other = direct_dx.together(dy, kernel, x_shape, window), direct_dx.apart(dy, kernel, x_shape, window, 1)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "size, strides, channels, together",
    [
        ((7, 7), (2, 2), 3, True),  # 16 entries for 12 filters instead of 49 for 3
        ((3, 3), (2, 2), 1, True),
        ((3, 3), (2, 2), 8 * LANES, False),  # full vectors: filled-up kernels would only cost
        ((3, 3), (1, 1), 3, False),
        ((1, 1), (2, 2), 3, False),
    ],
)
def test_the_way_with_fewer_vectors_is_taken(
    size: tuple[int, int],
    strides: tuple[int, int],
    channels: int,
    together: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window, x_shape = Window.of(size, strides), (1, 12, 11, channels)
    dy, kernel = made(window, x_shape, 2)
    taken = []
    for name in ("together", "apart"):
        real = getattr(direct_dx, name)
        monkeypatch.setattr(direct_dx, name, lambda *a, real=real, name=name: taken.append(name) or real(*a))
    direct_dx.input_gradient(dy, kernel, x_shape, window, 1)
    assert taken == ["together" if together else "apart"]


def test_a_spoiled_picture_leaves_the_bits_of_the_others_as_they_are() -> None:
    window, x_shape = Window.of(5, 2, "same"), (3, 17, 19, 3)
    dy, kernel = made(window, x_shape, 40, np.float32)
    together, apart = direct_dx.together(dy, kernel, x_shape, window), direct_dx.apart(dy, kernel, x_shape, window, 1)
    assert not np.array_equal(together, apart)  # they round differently, so it shows which of the two it was
    alone = direct_dx.input_gradient(dy, kernel, x_shape, window, 1)
    np.testing.assert_array_equal(alone, together)
    dy[1, 4, 4, 0] = np.nan
    dx = direct_dx.input_gradient(dy, kernel, x_shape, window, 1)
    assert np.isnan(dx[1]).any()
    for picture in (0, 2):
        assert dx[picture].tobytes() == alone[picture].tobytes()
    single = direct_dx.input_gradient(dy[1:2], kernel, (1, *x_shape[1:]), window, 1)
    assert dx[1].tobytes() == single[0].tobytes()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_reach_the_pixels_that_their_window_saw_and_no_others(value: float) -> None:
    """3 entries fall on 2 phases, so one kernel is filled up with zeros: times an infinity, these are NaN."""
    window, x_shape = Window.of((3, 3), (2, 2)), (1, 9, 9, 1)
    dy, kernel = made(window, x_shape, 1)
    dy[0, 1, 2, 0] = value
    with np.errstate(invalid="ignore"):
        assert np.isnan(direct_dx.together(dy, kernel, x_shape, window)).sum() > (9 if np.isnan(value) else 0)
        dx = direct_dx.input_gradient(dy, kernel, x_shape, window, 1)
        expected = loops.input_gradient(dy, kernel, x_shape, window, 1)
    seen = np.zeros((9, 9), bool)
    seen[2:5, 4:7] = True
    assert np.array_equal(~np.isfinite(dx[0, :, :, 0]), seen)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=1e-12)
