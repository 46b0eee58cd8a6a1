"""Direct convolution and Winograd's two ways: the corners of their loops, ReLU in the same pass, and equal bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minicnn.ops.activations import ActivationCache, relu_backward
from minicnn.ops.conv2d import (
    ALGORITHMS,
    conv2d,
    conv2d_backward,
    direct,
    direct_dx,
    direct_gradient,
    winograd,
    winograd_gradient,
)
from minicnn.ops.conv2d import winograd_blocks as blocks
from minicnn.ops.conv2d import winograd_plan as plan
from minicnn.ops.conv2d.direct_windows import segments_of, segments_per_sum
from minicnn.ops.finishing import Finish
from minicnn.ops.micro_kernel import ROWS, panel_width
from minicnn.shapes import Array, Window
from tests.cases import kernel_size_for, strides_for

U = 2.0**-24
Options = dict[str, Any]


def made(x: tuple[int, ...], kernel: tuple[int, ...], dtype: Any = np.float64, **options: Any) -> tuple[Array, ...]:
    """x, kernel, bias and dy of normally distributed numbers that float32 holds exactly."""
    rng = np.random.default_rng(sum(x) + 100 * sum(kernel))
    chosen = {name: options[name] for name in ("strides", "padding", "dilation_rate") if name in options}
    window = Window.of(kernel[:2], *(chosen.get(key, d) for key, d in WINDOW.items()))
    y = (x[0], *window.output_size(*x[1:3]), kernel[3])
    return tuple(rng.standard_normal(shape, np.float32).astype(dtype) for shape in (x, kernel, kernel[3:], y))


WINDOW: Options = {"strides": 1, "padding": "valid", "dilation_rate": 1}


def passes(
    algorithm: str, x: Array, kernel: Array, bias: Array | None, dy: Array, **options: Any
) -> tuple[Array, Array, Array]:
    y, cache = conv2d(x, kernel, bias, algorithm=algorithm, **options)
    dx, dkernel, _ = conv2d_backward(dy, cache)
    assert dx is not None
    assert dkernel is not None
    return y, dx, dkernel


def assert_right(x: tuple[int, ...], kernel: tuple[int, ...], algorithm: str = "direct", **options: Any) -> None:
    """In float64 as the definition computes it; in float32 within the rule."""
    expected = passes("loops", *made(x, kernel, **options), **options)
    for dtype, bound in ((np.float64, 1e-13), (np.float32, 8 * U)):
        found = passes(algorithm, *made(x, kernel, dtype, **options), **options)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == dtype
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max()


# -- dx, phase by phase ------------------------------------------------------------------------------------------------

SMALL_KERNELS = [(1, 1), (1, 2), (2, 1), (2, 3), (3, 3), (4, 5)]


@pytest.mark.parametrize("kernel", SMALL_KERNELS)
@pytest.mark.parametrize("strides", [(2, 2), (3, 3), (2, 3), (4, 1), (5, 2)])
def test_every_remainder_by_the_stride(kernel: tuple[int, int], strides: tuple[int, int]) -> None:
    """Heights and widths of every remainder, so that each phase is the first, the last, and missing once."""
    for extra in range(max(strides)):
        for padding in ("valid", "same", ((1, 0), (0, 2))):
            x = (1, kernel[0] + extra + 1, kernel[1] + 2 * extra, 2)
            assert_right(x, (*kernel, 2, 1), strides=strides, padding=padding)


@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
def test_pixels_that_no_window_sees_get_exactly_zero(algorithm: str) -> None:
    """A 1x2 kernel at strides of (3, 4): rows 1, 2, 4, 5, ... and columns 2, 3, 6, 7, ... are never looked at."""
    x, kernel, _, dy = made((2, 8, 11, 3), (1, 2, 3, 4), strides=(3, 4))
    dirt = [np.full(2**16, np.nan) for _ in range(20)]
    del dirt
    _, dx, _ = passes(algorithm, x, kernel, None, dy, strides=(3, 4))
    seen = np.zeros((8, 11), bool)
    seen[np.ix_([0, 3, 6], [0, 1, 4, 5, 8, 9])] = True
    assert (dx[:, ~seen] == 0).all()
    assert (dx[:, seen] != 0).all()


def test_unseen_pixels_are_zero_in_memory_that_was_used_before() -> None:
    """dx is large enough to come out of recycled memory, which is full of NaN."""
    x, kernel, _, dy = made((4, 60, 70, 3), (2, 2, 3, 4), strides=(3, 3))
    first, *_ = (np.asarray(a) for a in passes("direct", x, kernel, None, dy, strides=(3, 3))[1:2])
    expected = first.copy()
    first[...] = np.nan
    del first
    again = passes("direct", x, kernel, None, dy, strides=(3, 3))[1]
    assert again.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (3, 3)])
@pytest.mark.parametrize("rate", [(2, 1), (1, 3), (2, 3)])
@pytest.mark.parametrize("padding", ["valid", "same", ((0, 3), (2, 0)), ((4, 0), (0, 5))])
def test_dilation(kernel: tuple[int, int], rate: tuple[int, int], padding: Any) -> None:
    assert_right((2, 7, 8, 2), (*kernel, 2, 3), dilation_rate=rate, padding=padding)


SIDES = [((1, 0), (0, 0)), ((0, 1), (0, 0)), ((0, 0), (1, 0)), ((0, 0), (0, 1)), ((2, 0), (0, 2)), ((0, 5), (4, 0))]


@pytest.mark.parametrize("padding", SIDES)
@pytest.mark.parametrize("strides", [1, 2])
def test_padding_on_one_side_only(padding: Any, strides: int) -> None:
    assert_right((2, 5, 6, 3), (3, 3, 3, 2), padding=padding, strides=strides)
    assert_right((1, 4, 5, 2), (2, 4, 2, 2), padding=padding, strides=strides)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name.startswith("winograd")])
@pytest.mark.parametrize("padding", [side for side in SIDES if max(max(pair) for pair in side) < 3])
def test_winograd_with_padding_on_one_side_only(algorithm: str, padding: Any) -> None:
    size = kernel_size_for(algorithm)
    options = {"padding": padding, "strides": strides_for(algorithm)}
    arrays = made((2, 7, 6, 3), (size, size, 3, 2), **options)
    expected = passes("loops", *arrays, **options)
    for ours, theirs in zip(passes(algorithm, *arrays, **options), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


# -- vectors and tiles that are not full -------------------------------------------------------------------------------

WIDTH = panel_width(np.float32)


@pytest.mark.parametrize("filters", [1, 5, WIDTH // 2 - 1, WIDTH // 2 + 1, WIDTH - 1, WIDTH + 1])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_groups_whose_filters_do_not_fill_vectors(filters: int, groups: int) -> None:
    assert_right((1, 3, 4, 2 * groups), (2, 2, 2, filters * groups), padding="same", groups=groups)


def test_groups_at_strides() -> None:
    assert_right((2, 6, 7, 6), (3, 2, 2, 9), strides=(2, 3), padding="same", groups=3)


@pytest.mark.parametrize("width", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 1, 3 * ROWS])
def test_rows_that_do_not_fill_tiles(width: int) -> None:
    assert_right((1, 2, width, 2), (1, 1, 2, 3))
    assert_right((1, 2, width + 2, 2), (2, 3, 2, 2))


def test_all_phases_together_add_up_as_many_terms_as_one_by_one() -> None:
    """2x2 kernels at stride 2: each phase sees one entry of the kernel, so together they are a 1x1 convolution. Its
    sums must not become those of 1x1 layers, which are longer; of equal length, they have equal bits."""
    x, kernel, _, dy = made((2, 12, 12, 3), (2, 2, 3, 300), np.float32, strides=2)
    window = Window((2, 2), (2, 2))
    together = direct_dx.together(dy, kernel, x.shape, window)
    np.testing.assert_array_equal(together, direct_dx.apart(dy, kernel, x.shape, window, 1))


@pytest.mark.parametrize("shape", [(2, 3, 500, 3), (1, 30, 30, 2), (2, 1, 449, 2), (3, 7, 64, 1), (2, 13, 1, 2)])
def test_1x1_kernels_on_rows_put_together(shape: tuple[int, ...]) -> None:
    """Rows of one picture become one long row, up to LONG_ROW pixels, and no row of two pictures."""
    kernel = (1, 1, shape[3], 3)
    arrays = made(shape, kernel)
    expected = passes("im2col", *arrays)
    for ours, theirs in zip(passes("direct", *arrays), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("run", [30, 31, 80, 100, direct.TERMS, direct_dx.TERMS, 289, 293, 320, 600])
def test_long_windows_are_summed_piece_by_piece(run: int) -> None:
    """A kernel row of ``run`` numbers, also where it cannot be divided evenly (293 is a prime)."""
    arrays = made((1, 3, 3, run), (2, 1, run, 3))
    expected = passes("im2col", *arrays)
    for ours, theirs in zip(passes("direct", *arrays), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)


def test_rows_longer_than_what_is_summed_at_once() -> None:
    arrays = made((2, 4, 2 * direct_gradient.POSITIONS + 3, 2), (2, 2, 2, 3))
    expected = passes("im2col", *arrays)
    for ours, theirs in zip(passes("direct", *arrays), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("positions", [5, direct_gradient.TERMS + 3, 2 * direct_gradient.POSITIONS - 1])
def test_kernel_gradients_of_more_tiles_than_are_copied_together(positions: int, groups: int) -> None:
    """Also where a block's positions cannot be divided evenly, and after a block of another length."""
    channels = ROWS * direct_gradient.TILES + 1
    assert_right((1, 1, positions, channels * groups), (1, 1, channels, 3 * groups), groups=groups)


@pytest.mark.parametrize("channels", [1, 64, 65, 127, 128, 337])
@pytest.mark.parametrize("size, groups", [((1, 1), 1), ((3, 3), 1), ((3, 3), 2)])
def test_no_segment_is_longer_than_allowed(channels: int, size: tuple[int, int], groups: int) -> None:
    """Also where the number of channels has no divisors; and every number of a window has its place in the panel."""
    window = Window(size)
    table = segments_of(9, channels * groups, (*size, channels, 4), window, groups, 64)
    starts, places, lengths = table.T
    assert lengths.max() <= 64
    assert lengths.min() >= min(channels * (size[1] if groups == 1 else 1), 64) // 2
    np.testing.assert_array_equal(places, np.cumsum(lengths) - lengths)
    found = np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])
    picture = np.arange(9 * 9 * channels * groups).reshape(9, 9, channels * groups)
    np.testing.assert_array_equal(found, picture[: size[0], : size[1], :channels].reshape(-1))


@pytest.mark.parametrize(
    "lengths, together",
    [
        ([21] * 7, 4),  # 84 and 63 numbers, not 126 and 21
        ([32] * 5, 3),
        ([32] * 8, 4),
        ([32] * 9, 3),
        ([128] * 2, 1),
        ([1], 1),
        ([200], 1),
    ],
)
def test_sums_are_nearly_of_one_length(lengths: list[int], together: int) -> None:
    assert segments_per_sum(np.array([[0, 0, length] for length in lengths]), 128) == together


def test_sums_over_many_channels_without_divisors_stay_exact() -> None:
    for kernel in ((1, 1), (1, 3)):
        assert_right((1, 2, 40, 337), (*kernel, 337, 5))


def test_windows_begin_in_the_middle_of_a_row() -> None:
    """Blocks of positions end where they end: here in the first row, at a stride, and in the fourth."""
    assert_right((1, 9, 2 * direct_gradient.POSITIONS - 90, 3), (3, 3, 3, 2), strides=2, padding="same")


@st.composite
def strided(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], Options]:
    """Any geometry at all; strides and dilation exclude each other, as in Keras."""
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    pads = st.tuples(st.integers(0, 4), st.integers(0, 4))
    groups, channels, filters = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    dilated = draw(st.booleans())
    options: Options = {
        "strides": 1 if dilated else draw(pair),
        "dilation_rate": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) if dilated else (1, 1),
        "padding": (draw(pads), draw(pads)),
        "groups": groups,
    }
    x = (1, draw(st.integers(1, 9)), draw(st.integers(1, 9)), channels * groups)
    kernel = (*draw(pair), channels, filters * groups)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel[:2], options["dilation_rate"], strict=True)]
    assume(all(n + sum(p) >= span for n, p, span in zip(x[1:3], options["padding"], spans, strict=True)))
    return x, kernel, options


@given(strided())
def test_any_geometry(case: tuple[tuple[int, ...], tuple[int, ...], Options]) -> None:
    x, kernel, options = case
    arrays = made(x, kernel, **options)
    for ours, theirs in zip(passes("direct", *arrays, **options), passes("im2col", *arrays, **options), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


# -- ReLU in the same pass ---------------------------------------------------------------------------------------------

RELU_CASES: list[tuple[tuple[int, ...], int, Options]] = [
    ((2, 5, 6, 3), 4, {}),
    ((1, 6, 7, 20), 17, {"padding": "same"}),
    ((1, 9, 9, 2), WIDTH + 3, {"padding": ((1, 0), (0, 2))}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("case", RELU_CASES, ids=str)
@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "loops"])
def test_relu_cuts_off_at_zero(name: str, case: Any, with_bias: bool, dtype: Any) -> None:
    shape, filters, options = case
    size, options = kernel_size_for(name), options | {"strides": strides_for(name)}
    x, kernel, bias, dy = made(shape, (size, size, shape[3], filters), dtype, **options)
    plain, _ = conv2d(x, kernel, bias if with_bias else None, algorithm=name, **options)
    y, cache = conv2d(x, kernel, bias if with_bias else None, algorithm=name, relu=True, **options)
    assert (plain < 0).any()
    assert y.tobytes() == np.where(plain <= 0, dtype(0), plain).tobytes()
    masked = np.where(y > 0, dy, dtype(0))
    dx, dkernel, dbias = conv2d_backward(masked, cache)
    plain_dx, plain_dkernel, plain_dbias = conv2d_backward(masked, cache._replace(has_bias=with_bias))
    assert np.array_equal(dx, plain_dx)  # type: ignore[arg-type]
    assert np.array_equal(dkernel, plain_dkernel)  # type: ignore[arg-type]
    assert (dbias is None) == (plain_dbias is None) == (not with_bias)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_relu_of_the_definition(name: str) -> None:
    size, strides = kernel_size_for(name), strides_for(name)
    x, kernel, bias, _ = made((1, 6, 5, 2), (size, size, 2, 2), strides=strides)
    expected = np.maximum(conv2d(x, kernel, bias, strides=strides, algorithm="loops")[0], 0)
    y, _ = conv2d(x, kernel, bias, strides=strides, algorithm=name, relu=True)
    np.testing.assert_allclose(y, expected, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_nan_stays_nan_and_infinity_infinity_through_relu(name: str, dtype: Any) -> None:
    size, strides = kernel_size_for(name), strides_for(name)
    x, kernel, bias, _ = made((1, size + 2, size + 1, 2), (size, size, 2, 3), dtype, strides=strides)
    x[0, 1, 1, 0] = np.nan
    with np.errstate(invalid="ignore"):
        plain, _ = conv2d(x, kernel, bias, strides=strides, algorithm=name)
        y, _ = conv2d(x, kernel, bias, strides=strides, algorithm=name, relu=True)
    assert np.isnan(plain).any()
    assert np.array_equal(np.isnan(y), np.isnan(plain))
    for value in (np.nan, np.inf, -np.inf):
        bias[...] = value
        x[...] = 1
        with np.errstate(invalid="ignore"):
            y, _ = conv2d(x, kernel, bias, strides=strides, algorithm=name, relu=True)
        assert np.array_equal(y, np.full_like(y, max(value, 0) if value == value else value), equal_nan=True)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_relu_leaves_no_negative_zeros(name: str) -> None:
    """Products too small for the dtype become -0.0, and a bias of -0.0 leaves them so."""
    size = kernel_size_for(name)
    x = np.full((1, 6, 6, 1), np.finfo(np.float32).tiny)
    kernel, bias = np.full((size, size, 1, 1), -np.finfo(np.float32).tiny), np.full(1, -0.0, np.float32)
    y, _ = conv2d(x, kernel, bias, strides=strides_for(name), algorithm=name, relu=True)
    assert (y == 0).all()
    assert not np.signbit(y).any()


# -- arrays of every kind ----------------------------------------------------------------------------------------------


def variants(array: Array) -> Iterator[Array]:
    """The same numbers: read-only, in another order of axes, reversed, and with gaps."""
    locked = array.copy()
    locked.flags.writeable = False
    yield locked
    yield np.asfortranarray(array)
    yield np.ascontiguousarray(array[:, ::-1])[:, ::-1] if array.ndim > 1 else np.ascontiguousarray(array[::-1])[::-1]
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::2] = array
    yield wide[..., ::2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name, options",
    [
        ("direct", {}),
        ("direct", {"strides": 2, "padding": "same"}),
        ("direct", {"padding": ((0, 1), (2, 0)), "dilation_rate": 2}),
        ("winograd", {"padding": "same"}),
        ("winograd_2x2", {}),
        ("winograd_complex", {"padding": "same"}),
        ("winograd_6x6", {"padding": "same"}),
        ("winograd_5x5", {"padding": "same"}),
        ("winograd_5x5_4x4", {"padding": "same"}),
        ("winograd_stride_2", {"padding": "same", "strides": 2}),
    ],
)
def test_read_only_and_strided_arrays_give_the_same_bits(name: str, options: Options, dtype: Any) -> None:
    size = kernel_size_for(name)
    arrays = made((2, 7, 6, 3), (size, size, 3, 5), dtype, **options)
    expected = [a.tobytes() for a in passes(name, *arrays, **options)]
    for changed in zip(*(variants(array) for array in arrays), strict=True):
        assert [a.tobytes() for a in passes(name, *changed, **options)] == expected


def test_1x1_kernels_read_strided_pictures_right() -> None:
    arrays = made((2, 7, 6, 3), (1, 1, 3, 5), np.float32)
    expected = [a.tobytes() for a in passes("direct", *arrays)]
    for changed in zip(*(variants(array) for array in arrays), strict=True):
        assert [a.tobytes() for a in passes("direct", *changed)] == expected


# -- the same bits -----------------------------------------------------------------------------------------------------


@pytest.fixture
def _restore_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


SAME: list[tuple[str, tuple[int, ...], tuple[int, ...], Options]] = [
    ("direct", (3, 21, 19, 5), (3, 3, 5, 37), {"padding": "same"}),
    ("direct", (2, 33, 30, 3), (7, 7, 3, 20), {"strides": (4, 3), "padding": "same"}),
    ("direct", (2, 20, 23, 6), (3, 2, 3, 34), {"dilation_rate": (2, 3), "groups": 2}),
    ("direct", (3, 14, 15, 40), (1, 1, 40, 50), {}),
    ("direct", (1, 3, 3, 64), (3, 3, 64, 130), {}),
    ("winograd", (3, 21, 19, 17), (3, 3, 17, 37), {"padding": "same"}),
    ("winograd", (2, 18, 23, 70), (3, 3, 70, 66), {}),
    ("winograd_2x2", (3, 21, 19, 17), (3, 3, 17, 37), {"padding": ((2, 0), (1, 2))}),
    ("winograd_2x2", (2, 12, 13, 100), (3, 3, 100, 40), {"padding": "same"}),
    ("winograd_complex", (2, 15, 13, 100), (3, 3, 100, 40), {"padding": "same"}),
    ("winograd_6x6", (2, 15, 13, 100), (3, 3, 100, 40), {"padding": "same"}),
    ("winograd_5x5", (2, 15, 13, 100), (5, 5, 100, 40), {"padding": "same"}),
    ("winograd_5x5_4x4", (2, 15, 13, 100), (5, 5, 100, 40), {"padding": "same"}),
    ("winograd_stride_2", (3, 25, 22, 100), (3, 3, 100, 40), {"padding": "same", "strides": 2}),
]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="MINICNN_TEST_THREADS=1 leaves nothing to compare with")
@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("kernel_bytes", [0, 10**9], ids=["in steps", "in cache"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, x, kernel, options", SAME)
def test_the_bits_do_not_depend_on_threads(
    name: str,
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    options: Options,
    dtype: Any,
    kernel_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor do they depend on which way a layer goes that both ways could take."""
    arrays = made(x, kernel, dtype, **options)
    as_chosen = [a.tobytes() for a in passes(name, *arrays, **options)]
    monkeypatch.setattr(plan, "LIMITS", plan.LIMITS._replace(kernel_bytes=kernel_bytes))
    for threads in (1, 2):
        numba.set_num_threads(threads)
        assert [a.tobytes() for a in passes(name, *arrays, **options)] == as_chosen


@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("tiles", [3, 4, 5, 7])  # with 4 and 5 the last turn has fewer than the others
def test_turns_of_any_size_make_the_same_bits(tiles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the cache as in steps, bit for bit; 18 tiles of two pictures, shared by one thread and by two."""
    arrays = made((2, 18, 14, 16), (3, 3, 16, 20), np.float32, padding="same")
    monkeypatch.setattr(plan, "LIMITS", plan.LIMITS._replace(kernel_bytes=0))
    in_steps = [a.tobytes() for a in passes("winograd_6x6", *arrays, padding="same")]
    monkeypatch.setattr(plan, "LIMITS", plan.Limits(tiles * 81 * (16 + 32) * 4, 0, 0, 1, 10**9))
    for threads in {1, numba.config.NUMBA_NUM_THREADS}:
        numba.set_num_threads(threads)
        assert [a.tobytes() for a in passes("winograd_6x6", *arrays, padding="same")] == in_steps


@pytest.mark.parametrize("everything", [False, True], ids=["plain", "normalised, cut off and halved"])
@pytest.mark.parametrize(
    "algorithm",
    [algorithm for algorithm in ALGORITHMS.values() if isinstance(algorithm, winograd.Winograd)],
    ids=[name for name in ALGORITHMS if name.startswith("winograd")],
)
def test_both_ways_of_winograd_are_taken_and_agree(
    algorithm: winograd.Winograd, everything: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, kernel, bias, _ = made((2, 13, 11, 20), (algorithm.r, algorithm.r, 20, 21), np.float32)
    window, taken = Window.of(kernel.shape[:2], algorithm.stride, "same"), []
    factors = np.random.default_rng(1).uniform(0.5, 2, (3, 21)).astype(np.float32)
    finish = Finish(factors, relu=True, halve=True) if everything else Finish()
    for name in ("in_cache", "all_products"):
        real = getattr(blocks, name)
        monkeypatch.setattr(blocks, name, lambda *a, real=real, name=name: taken.append(name) or real(*a))
    results = []
    for kernel_bytes in (10**9, 0):
        monkeypatch.setattr(plan, "LIMITS", plan.LIMITS._replace(kernel_bytes=kernel_bytes))
        results.append(algorithm.forward(x, kernel, bias, window, 1, finish).tobytes())
    assert results[0] == results[1]
    assert taken == ["in_cache", "all_products"]


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name.startswith("winograd")])
def test_kernel_gradients_of_many_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many tiles that they come in several blocks, and each block in several sums."""
    size = kernel_size_for(name)
    options = {"padding": "same", "strides": strides_for(name)}
    arrays = made((3, 50, 46, 3), (size, size, 3, 2), **options)
    expected = passes("im2col", *arrays, **options)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
    monkeypatch.setattr(winograd_gradient, "MOST_BYTES", 1)
    for size in (16, 64):
        monkeypatch.setattr(ALGORITHMS[name], "sum_tiles", size)
        for ours, theirs in zip(passes(name, *arrays, **options), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


# -- dx through the ReLU before it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_dx_through_a_relu_has_the_bits_of_two_passes(name: str, dtype: Any) -> None:
    size = kernel_size_for(name)
    options = {"padding": "same", "strides": strides_for(name)}
    x, kernel, bias, dy = made((2, 9, 11, 3), (size, size, 3, 2), dtype, **options)
    x[0, :2, :2] = 0.0, -0.0, np.nan
    _, cache = conv2d(x, kernel, bias, algorithm=name, **options)
    dx, dkernel, dbias = conv2d_backward(dy, cache)
    through, same_dkernel, same_dbias = conv2d_backward(dy, cache, through_relu=True)
    assert dx is not None
    assert through is not None
    assert through.tobytes() == relu_backward(dx, ActivationCache(x)).tobytes()
    np.testing.assert_array_equal(same_dkernel, dkernel)
    np.testing.assert_array_equal(same_dbias, dbias)
    assert conv2d_backward(dy, cache, input_gradient=False, through_relu=True)[0] is None


# -- plain Python ------------------------------------------------------------------------------------------------------

PLAIN: list[tuple[str, tuple[int, ...], tuple[int, ...], Options]] = [
    ("direct", (2, 5, 4, 2), (3, 2, 2, 3), {"strides": [2, 3], "padding": "same"}),
    ("direct", (1, 5, 4, 4), (2, 2, 2, 4), {"groups": 2, "dilation_rate": [2, 1]}),
    ("direct", (1, 3, 4, 3), (1, 1, 3, 18), {}),
    ("direct", (1, 3, 9, 90), (3, 1, 90, 32), {}),
    ("winograd", (1, 5, 4, 3), (3, 3, 3, 2), {"padding": "same"}),
    ("winograd_2x2", (1, 4, 5, 2), (3, 3, 2, 3), {}),
    ("winograd_complex", (1, 3, 4, 34), (3, 3, 34, 3), {}),
    ("winograd_6x6", (1, 3, 4, 34), (3, 3, 34, 3), {}),
    ("winograd_5x5", (1, 5, 6, 34), (5, 5, 34, 3), {}),
    ("winograd_5x5_4x4", (1, 5, 6, 34), (5, 5, 34, 3), {}),
    ("winograd_stride_2", (1, 7, 6, 34), (3, 3, 34, 3), {"padding": "same", "strides": 2}),
]
SCRIPT = """
import json, sys
import numpy as np
from minicnn.ops.conv2d import conv2d, conv2d_backward, winograd_plan as plan
for path in (10**9, 0):
    plan.LIMITS = plan.LIMITS._replace(kernel_bytes=path)
    for name, shapes, options in json.loads(sys.argv[1]):
        rng = np.random.default_rng(1)
        x, kernel, bias = (rng.standard_normal(s, np.float32) for s in shapes)
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        y, cache = conv2d(x, kernel, bias, algorithm=name, relu=True, **options)
        dx, dkernel, dbias = conv2d_backward(rng.standard_normal(y.shape, np.float32), cache)
        print(json.dumps([a.ravel().astype(float).tolist() for a in (y, dx, dkernel, dbias)]))
"""


def test_without_the_compiler_the_same_numbers() -> None:
    """NUMBA_DISABLE_JIT=1: products may be rounded twice there, so to rounding."""
    cases = json.dumps([(name, (x, kernel, kernel[3:]), options) for name, x, kernel, options in PLAIN])
    found = []
    for disabled in ("0", "1"):
        variables = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        command = [sys.executable, "-c", SCRIPT, cases]
        output = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=True).stdout
        found.append([[np.array(a) for a in json.loads(line)] for line in output.splitlines()])
    compiled, plain = found
    assert len(compiled) == len(plain) == 2 * len(PLAIN)
    for ours, theirs in zip(plain, compiled, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a - b).max() <= 32 * U * np.abs(b).max()
