"""One row of a depthwise convolution, and of its kernel's gradient: the compiled loops against their definition.

Small whole numbers: every order of adding them up gives the same bits.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from minicnn.ops import depthwise_row, depthwise_row_gradient
from minicnn.ops.depthwise_row import add_row
from minicnn.ops.depthwise_row_gradient import add_gradient
from minicnn.ops.depthwise_taps import KERNEL_ROWS, PIECE, PLACES
from minicnn.ops.jit import njit
from minicnn.ops.simd import VECTOR_BYTES, pointer
from minicnn.shapes import Array

WIDTH = 9  # pixels of a row
STEP, APART = 2, 3  # pixels from one that is met to the next one; results from one to the next one


@njit
def _add_row(
    piece: Array, source: Array, kernel: Array, begin: Array, result: Array, sizes: tuple[int, ...], past: bool
) -> None:
    rows, taps, first, end, results, begin_step, tap, between, C = sizes
    add_row(
        rows,
        taps,
        pointer(piece, 0),
        pointer(source, C),
        WIDTH * C,
        STEP * C,
        first,
        end,
        pointer(kernel, 0),
        4 * C,
        tap * C,
        between * C,
        pointer(begin, 0),
        begin_step * C,
        pointer(result, 0),
        APART * C,
        results,
        C,
        past,
    )


@njit
def _add_gradient(
    piece: Array, x: Array, dy: Array, gradient: Array, sizes: tuple[int, ...], lines: int, C: int
) -> None:
    rows, taps, first, end, results, tap, between = sizes
    add_gradient(
        rows,
        taps,
        pointer(piece, 0),
        pointer(x, C),
        WIDTH * C,
        STEP * C,
        first,
        end,
        pointer(dy, 0),
        results * APART * C,
        APART * C,
        results,
        lines,
        2,
        pointer(gradient, 0),
        4 * C,
        tap * C,
        between * C,
        C,
    )


def _piece(rows: int) -> Array:
    """These rows of the source meet these of the kernel, neither side by side."""
    piece = np.zeros(PIECE, np.intp)
    piece[PLACES : PLACES + rows], piece[KERNEL_ROWS : KERNEL_ROWS + rows] = (0, 2, 3)[:rows], (3, 0, 1)[:rows]
    return piece


def _whole(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    return rng.integers(-8, 9, shape).astype(dtype)


LANES = VECTOR_BYTES // 4
CHANNELS = [1, 3, LANES, LANES + 1, 2 * LANES, 5 * LANES - 2]
#: pixels from .. to before, of so many results; some are missing at the left, at the right, in the middle
STRETCHES = [(0, 4, 4), (1, 4, 5), (0, 3, 6), (2, 4, 4), (0, 1, 1), (1, 2, 2)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("again", [False, True], ids=["from the bias", "from the result"])
def test_a_row_is_its_definition(channels: int, again: bool, dtype: type, rng: np.random.Generator) -> None:
    source, kernel = _whole(rng, dtype, 5, WIDTH, channels), _whole(rng, dtype, 4, 4, channels)
    for rows, taps, (first, end, results) in product((1, 2, 3), (1, 2, 3), STRETCHES):
        before = _whole(rng, dtype, APART * results, channels)
        begin = None if again else _whole(rng, dtype, channels)
        for tap, between in ((0, 1), (3, -1)):
            sizes = rows, taps, first, end, results, APART if again else 0, tap, between, channels
            ours, theirs = before.copy(), before.copy()
            for function, result in ((_add_row, ours), (_add_row_in_python, theirs)):
                function(_piece(rows), source, kernel, result if begin is None else begin, result, sizes, False)
            np.testing.assert_array_equal(ours, theirs)
            untouched = np.arange(APART * results) % APART != 0
            np.testing.assert_array_equal(ours[untouched], before[untouched])


def _add_row_in_python(
    piece: Array, source: Array, kernel: Array, begin: Array, result: Array, sizes: tuple[int, ...], past: bool
) -> None:
    rows, taps, first, end, results, begin_step, tap, between, C = sizes
    flat = source.reshape(-1)[C:], kernel.reshape(-1), begin.reshape(-1), result.reshape(-1)
    definition = depthwise_row._add_row_in_python
    places = (WIDTH * C, STEP * C, first, end, flat[1], 4 * C, tap * C, between * C)
    definition(rows, taps, piece, flat[0], *places, flat[2], begin_step * C, flat[3], APART * C, results, C, past)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("lines", [1, 2])
def test_a_gradient_is_its_definition(channels: int, lines: int, dtype: type, rng: np.random.Generator) -> None:
    x, C = _whole(rng, dtype, 7, WIDTH, channels), channels
    for rows, taps, (first, end, results) in product((1, 2, 3), (1, 2, 3), STRETCHES):
        dy, before = _whole(rng, dtype, lines, results * APART, C), _whole(rng, np.float64, 4, 4, C)
        for tap, between in ((0, 1), (3, -1)):
            ours, theirs = before.copy(), before.copy()
            _add_gradient(_piece(rows), x, dy, ours, (rows, taps, first, end, results, tap, between), lines, C)
            places = (
                WIDTH * C,
                STEP * C,
                first,
                end,
                dy.reshape(-1),
                results * APART * C,
                APART * C,
                results,
                lines,
                2,
            )
            into = (theirs.reshape(-1), 4 * C, tap * C, between * C, C)
            definition = depthwise_row_gradient._add_gradient_in_python
            definition(rows, taps, _piece(rows), x.reshape(-1)[C:], *places, *into)
            np.testing.assert_array_equal(ours, theirs)


def test_padding_is_no_factor(rng: np.random.Generator) -> None:
    """Neither pixels nor numbers of dy beyond the end are multiplied with what is not finite: 0 times that is NaN."""
    C = 2 * LANES
    source, kernel = _whole(rng, np.float32, 5, WIDTH, C), np.full((4, 4, C), np.inf, np.float32)
    result = np.empty((APART * 4, C), np.float32)
    _add_row(_piece(3), source, kernel, np.ones(C, np.float32), result, (3, 3, 3, 4, 4, 0, 0, 1, C), False)
    np.testing.assert_array_equal(result[0], 1)  # result 0 meets pixels 0, 1 and 2, and there is only pixel 3
    source[:, STEP + 1], gradient = np.nan, np.zeros((4, 4, C))  # the second pixel, which tap 2 meets for result -1
    _add_gradient(_piece(1), source, np.ones((1, APART * 2, C), np.float32), gradient, (1, 3, 0, 2, 2, 0, 1), 1, C)
    np.testing.assert_array_equal(np.isnan(gradient[3, :, 0]), [True, True, False, False])
