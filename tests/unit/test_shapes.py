"""Window arithmetic against windows that are really slid, and every refusal of a bad argument."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.shapes import Window, check_array, check_same_dtype, float_dtype, pair, whole
from minicnn.shapes import sizes as as_sizes

sizes = st.integers(1, 40)
taps = st.integers(1, 7)
steps = st.integers(1, 4)
zeros = st.tuples(st.integers(0, 5), st.integers(0, 5))


def slide(n: int, before: int, after: int, size: int, stride: int, dilation: int) -> int:
    """How many windows fit, by trying every start position."""
    starts = range(0, before + n + after, stride)
    return sum(start + (size - 1) * dilation < before + n + after for start in starts)


@given(sizes, sizes, taps, taps, steps, steps, zeros, zeros)
def test_output_size_counts_the_windows_that_fit(
    h: int, w: int, kh: int, kw: int, sh: int, sw: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    expected = slide(h, *rows, kh, sh, 1), slide(w, *columns, kw, sw, 1)
    assume(min(expected) > 0)
    assert Window.of((kh, kw), (sh, sw), (rows, columns)).output_size(h, w) == expected


@given(sizes, taps, st.integers(1, 4))
def test_dilated_windows_fit_as_often_as_their_span(n: int, k: int, d: int) -> None:
    window = Window.of(k, 1, "valid", d)
    assert window.span == ((k - 1) * d + 1,) * 2
    expected = slide(n, 0, 0, k, 1, d)
    assume(expected > 0)
    assert window.output_size(n, n) == (expected, expected)


@given(sizes, taps, steps, st.integers(1, 4))
def test_same_padding_divides_by_the_stride_and_puts_the_odd_zero_after(n: int, k: int, s: int, d: int) -> None:
    d = 1 if s > 1 else d
    window = Window.of(k, s, "same", d)
    assert window.output_size(n, n) == (math.ceil(n / s),) * 2
    (before, after), _ = window.pads(n, n)
    assert after - before in (0, 1)
    # No more zeros than needed: with one fewer, the last window would not fit.
    if before + after:
        assert slide(n, before, after - 1, k, s, d) == math.ceil(n / s) - 1


@pytest.mark.parametrize(
    "n, k, s, pads",
    [(5, 3, 1, (1, 1)), (5, 2, 1, (0, 1)), (5, 4, 1, (1, 2)), (6, 3, 2, (0, 1)), (5, 3, 2, (1, 1)), (4, 1, 3, (0, 0))],
)
def test_same_padding_by_hand(n: int, k: int, s: int, pads: tuple[int, int]) -> None:
    assert Window.of(k, s, "same").pads(n, n) == (pads, pads)


@given(sizes, sizes, taps, taps, steps, st.integers(1, 3), st.sampled_from(["valid", "same", ((1, 2), (0, 3))]))
def test_reads_lists_every_tap_that_meets_the_picture(
    h: int, w: int, kh: int, kw: int, stride: int, dilation: int, padding: Any
) -> None:
    """A picture of its own row numbers, padded, and every window looked through."""
    window = Window.of((kh, kw), stride, padding, dilation if stride == 1 else 1)
    assume(all(slide(n, *pad, k, s, d) for n, pad, k, s, d in axes_of(window, h, w)))
    for table, (n, pad, k, s, d) in zip(window.reads(h, w), axes_of(window, h, w), strict=True):
        places = [-1] * pad[0] + list(range(n)) + [-1] * pad[1]
        looked = [(o, tap, places[o * s + tap * d]) for o in range(slide(n, *pad, k, s, d)) for tap in range(k)]
        assert [tuple(row) for row in table.tolist()] == [row for row in looked if row[2] >= 0]


def axes_of(window: Window, h: int, w: int) -> list[tuple[int, tuple[int, int], int, int, int]]:
    """For rows and columns: (length, padding, taps, stride, dilation)."""
    return list(zip((h, w), window.pads(h, w), window.size, window.strides, window.dilation, strict=True))


def test_axes_are_independent() -> None:
    window = Window.of((1, 4), (3, 2), "same")
    assert window.pads(7, 9) == ((0, 0), (1, 2))
    assert window.output_size(7, 9) == (3, 5)


def test_odd_sizes_floor_through_the_pools_of_a_vgg() -> None:
    pool, size, seen = Window.of(2, 2), 200, []
    for _ in range(4):
        size = pool.output_size(size, size)[0]
        seen.append(size)
    assert seen == [100, 50, 25, 12]


def test_window_normalises_its_arguments() -> None:
    assert Window.of([3, 2], 2, "SAME") == Window((3, 2), (2, 2), "same", (1, 1))
    assert Window.of(np.int64(3)) == Window((3, 3))
    assert Window.of(3, padding=[[1, 2], [0, 1]]) == Window((3, 3), padding=((1, 2), (0, 1)))
    assert hash(Window.of(3)) == hash(Window.of((3, 3)))


@pytest.mark.parametrize("value", [0, -1, 1.0, "3", None, (3,), (3, 3, 3), (3, 0), (1.5, 2), True, (True, 1), [[3, 3]]])
def test_bad_pairs_are_refused_with_their_name(value: Any) -> None:
    with pytest.raises(OptionError, match=r"Expected strides as an integer or a pair .* Received: .* Give one integer"):
        pair(value, "strides")
    with pytest.raises(OptionError, match="strides"):
        Window.of(3, value)


@pytest.mark.parametrize("padding", ["full", "", None, 1, (1, 1), ((1, 1),), ((-1, 0), (0, 0)), ((1, 1), (1, 1.5))])
def test_bad_paddings_are_refused(padding: Any) -> None:
    with pytest.raises(OptionError, match=r"Expected padding 'valid', 'same' or .* Received: "):
        Window.of(3, padding=padding)


def test_strides_and_dilation_exclude_each_other() -> None:
    with pytest.raises(OptionError, match=r"either strides > 1 or dilation_rate > 1.*strides=\(2, 2\)"):
        Window.of(3, 2, "valid", 2)
    Window.of(1, 2, "valid", 1)


@pytest.mark.parametrize(
    "window, height, width",
    [
        (Window.of(3), 2, 9),
        (Window.of(3), 9, 2),
        (Window.of(3, dilation=2), 4, 4),
        (Window.of(4, padding=((1, 1), (1, 1))), 1, 5),
        (Window.of(1, padding="same"), 0, 3),
        (Window.of(1, padding=((1, 1), (1, 1))), 0, 3),
    ],
)
def test_a_window_that_does_not_fit_names_both_sizes(window: Window, height: int, width: int) -> None:
    least = f"{window.span[0]}x{window.span[1]}"
    with pytest.raises(ShapeError, match=rf"at least {least}.*Received: {height}x{width} .*Use padding='same'"):
        window.output_size(height, width)


def test_check_array_accepts_what_operations_compute_with() -> None:
    for dtype in (np.float32, np.float64):
        check_array(np.zeros((1, 2, 3, 1), dtype), "x", 4, "(N, H, W, C)")
    check_array(np.zeros((0, 3), np.float32), "x", 2, "(N, C)", empty=True)


@pytest.mark.parametrize(
    "x, error, expected",
    [
        ([[1.0]], DtypeError, r"x as a NumPy array \(N, H, W, C\)\. Received: list.*np\.asarray"),
        (
            np.zeros((2, 3, 1), np.float32),
            ShapeError,
            r"4 axes \(N, H, W, C\)\. Received: shape \(2, 3, 1\).*x\[None\]",
        ),
        (np.zeros((2, 3), np.float32), ShapeError, r"Received: shape \(2, 3\)\.$"),
        (np.zeros((1, 2, 3, 1, 1), np.float32), ShapeError, r"4 axes.*Received: shape \(1, 2, 3, 1, 1\)"),
        (np.zeros((1, 2, 3, 1), np.uint8), DtypeError, r"float32 or float64\. Received: dtype uint8.*x\.astype"),
        (np.zeros((1, 2, 3, 1), np.float16), DtypeError, "dtype float16"),
        (np.zeros((1, 2, 3, 1), complex), DtypeError, "dtype complex128"),
        (np.zeros((0, 2, 3, 1), np.float32), ShapeError, r"at least one element.*Received: shape \(0, 2, 3, 1\)"),
    ],
)
def test_check_array_names_what_it_wants_and_what_came(x: Any, error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=expected):
        check_array(x, "x", 4, "(N, H, W, C)")


def test_check_same_dtype_names_both() -> None:
    single, double = np.zeros(1, np.float32), np.zeros(1)
    check_same_dtype(single, single, "x", "kernel")
    with pytest.raises(DtypeError, match=r"x and kernel of the same dtype\. Received: float32 and float64\. Convert"):
        check_same_dtype(single, double, "x", "kernel")


@pytest.mark.parametrize("value", [0, -3, 2.0, True, "2", None, np.float32(2)])
def test_whole_refuses_what_is_no_count(value: Any) -> None:
    with pytest.raises(OptionError, match=r"Expected filters as an integer of at least 1\. Received: "):
        whole(value, "filters")


def test_whole_takes_any_integer_type() -> None:
    assert whole(np.int64(3), "filters") == 3
    assert type(whole(np.uint8(3), "filters")) is int
    assert whole(0, "epoch", least=0) == 0


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype(np.float32)])
def test_float_dtype_takes_names_and_types(dtype: Any) -> None:
    assert float_dtype(dtype) == np.float32


@pytest.mark.parametrize("dtype", ["float16", "single", "f4", "floaty", int, float, None, np.float16, 32])
def test_float_dtype_refuses_the_rest(dtype: Any) -> None:
    with pytest.raises(OptionError, match=r"dtype 'float32' or 'float64'\. Received: "):
        float_dtype(dtype)


def test_sizes_are_a_tuple_of_whole_numbers() -> None:
    assert as_sizes([np.int64(3), 2], "shape") == (3, 2)
    assert as_sizes((), "shape") == ()
    for shape in (5, "55", None):
        with pytest.raises(OptionError, match=r"shape as sizes without the batch axis.*Received"):
            as_sizes(shape, "shape")
    for shape in ((0, 3), (None, 3), (2.0,)):
        with pytest.raises(OptionError, match=r"a size in shape as an integer of at least 1.*without the batch axis"):
            as_sizes(shape, "shape")
