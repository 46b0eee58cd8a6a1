"""The two operations that compute nothing: where every number goes, and that it comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import ZeroPadding2D
from minicnn.ops.flatten import flatten, flatten_backward
from minicnn.ops.padding import zero_pad2d, zero_pad2d_backward

sides = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(st.tuples(sides, sides), st.integers(0, 2**32 - 1))
def test_padding_frames_and_backward_is_its_adjoint(
    padding: tuple[tuple[int, int], tuple[int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, 4, 2))
    y, cache = zero_pad2d(x, padding)
    (top, bottom), (left, right) = padding
    assert y.shape == (2, 3 + top + bottom, 4 + left + right, 2)
    for n, h, w, c in np.ndindex(*y.shape):
        inside = 0 <= h - top < 3 and 0 <= w - left < 4
        assert y[n, h, w, c] == (x[n, h - top, w - left, c] if inside else 0)
    dy = rng.standard_normal(y.shape)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, zero_pad2d_backward(dy, cache)), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 3, 3), (3, 1, 2, 17), (2, 40, 50, 64)])
def test_a_frame_of_other_widths_on_every_side(shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    """Against NumPy, bit for bit: small pictures, those that several threads share, and what no reading order has."""
    x = rng.standard_normal(shape[::-1]).astype(dtype).T
    x[0, 0, 0, 0], x[-1, -1, -1, -1] = -0.0, np.nan
    y, cache = zero_pad2d(x, ((1, 2), (3, 0)))
    assert y.tobytes() == np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0))).tobytes()
    dx = zero_pad2d_backward(np.asfortranarray(y), cache)
    assert dx.dtype == y.dtype == dtype
    assert dx.tobytes() == x.tobytes()


@pytest.mark.parametrize(
    ("padding", "expected"),
    [(2, ((2, 2), (2, 2))), ((1, 2), ((1, 1), (2, 2))), ([[0, 1], [2, 3]], ((0, 1), (2, 3))), (0, ((0, 0), (0, 0)))],
)
def test_paddings_are_written_as_in_keras(padding: Any, expected: Any) -> None:
    assert ZeroPadding2D(padding).padding == expected


@pytest.mark.parametrize(
    "padding", [-1, 1.5, (1,), (1, 2, 3), ((1, 2), (3, -4)), ((1, 2, 3), (1, 2)), "same", None, True]
)
def test_paddings_that_are_none(padding: Any) -> None:
    with pytest.raises(OptionError, match=r"padding as n, \(rows, columns\) or.*Received"):
        ZeroPadding2D(padding)


def test_flatten_reads_row_by_row_with_channels_last() -> None:
    x = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    y, cache = flatten(x)
    assert y.shape == (2, 60)
    for n, h, w, c in np.ndindex(*x.shape):
        assert y[n, (h * 4 + w) * 5 + c] == x[n, h, w, c]
    np.testing.assert_array_equal(flatten_backward(y, cache), x)


def test_flatten_copies_only_what_is_scattered() -> None:
    x = np.ones((2, 3, 4))
    assert np.shares_memory(flatten(x)[0], x)
    turned = np.arange(24.0).reshape(4, 3, 2).transpose(2, 1, 0)
    np.testing.assert_array_equal(flatten(turned)[0], [list(turned[0].ravel()), list(turned[1].ravel())])


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        zero_pad2d(np.ones((3, 4, 2)), ((1, 1), (1, 1)))
    _, padded = zero_pad2d(np.ones((1, 3, 4, 2)), ((1, 1), (1, 1)))
    with pytest.raises(ShapeError, match=r"shape of y, \(1, 5, 6, 2\)"):
        zero_pad2d_backward(np.ones((1, 3, 4, 2)), padded)
    _, flat = flatten(np.ones((2, 3, 4)))
    with pytest.raises(ShapeError, match=r"shape of y, \(2, 12\)"):
        flatten_backward(np.ones((2, 3, 4)), flat)
