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
from minicnn.ops.depthwise_taps import KERNEL_ROWS, PIECE_FIELDS, PLACES
from minicnn.ops.jit import njit
from minicnn.ops.memory import Block
from minicnn.ops.simd import VECTOR_BYTES, pointer
from minicnn.shapes import Array

WIDTH = 14  # pixels of a row
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
    piece: Array, x: Array, dy: Array, gradient: Array, sizes: tuple[int, ...], dy_rows: int, C: int
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
        dy_rows,
        2,
        pointer(gradient, 0),
        4 * C,
        tap * C,
        between * C,
        C,
    )


def _piece(rows: int) -> Array:
    """These rows of the source meet these of the kernel, neither side by side."""
    piece = np.zeros(PIECE_FIELDS, np.intp)
    piece[PLACES : PLACES + rows], piece[KERNEL_ROWS : KERNEL_ROWS + rows] = (0, 2, 3)[:rows], (3, 0, 1)[:rows]
    return piece


def _sizes() -> list[tuple[int, int, tuple[int, int, int]]]:
    """Every number of rows and of taps, with every stretch."""
    return [(rows, taps, stretch) for rows, taps in product((1, 2, 3), (1, 2, 3)) for stretch in _stretches(taps)]


def _whole(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    return rng.integers(-8, 9, shape).astype(dtype)


LANES = VECTOR_BYTES // 4
CHANNELS = [1, 3, LANES, LANES + 1, 2 * LANES, 3 * LANES + 1, 5 * LANES - 2]


def _stretches(taps: int) -> list[tuple[int, int, int]]:
    """(first, end, results): pixels are missing at the left, at the right, at both ends or nowhere; and a single
    one, the first or the last."""
    end = 4 + taps - 1
    return [(1, end, 4), (0, end - 1, 4), (1, end - 1, 4), (0, end, 4), (0, 1, 4), (end - 1, end, 4), (0, taps, 1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("again", [False, True], ids=["from the bias", "from the result"])
def test_a_row_is_its_definition(channels: int, again: bool, dtype: type, rng: np.random.Generator) -> None:
    source, kernel = _whole(rng, dtype, 5, WIDTH, channels), _whole(rng, dtype, 4, 4, channels)
    for rows, taps, (first, end, results) in _sizes():
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
@pytest.mark.parametrize("dy_rows", [1, 2])
def test_a_gradient_is_its_definition(channels: int, dy_rows: int, dtype: type, rng: np.random.Generator) -> None:
    x, C = _whole(rng, dtype, 7, WIDTH, channels), channels
    for rows, taps, (first, end, results) in _sizes():
        dy, before = _whole(rng, dtype, dy_rows, results * APART, C), _whole(rng, np.float64, 4, 4, C)
        for tap, between in ((0, 1), (3, -1)):
            ours, theirs = before.copy(), before.copy()
            _add_gradient(_piece(rows), x, dy, ours, (rows, taps, first, end, results, tap, between), dy_rows, C)
            places = (
                WIDTH * C,
                STEP * C,
                first,
                end,
                dy.reshape(-1),
                results * APART * C,
                APART * C,
                results,
                dy_rows,
                2,
            )
            into = (theirs.reshape(-1), 4 * C, tap * C, between * C, C)
            definition = depthwise_row_gradient._add_gradient_in_python
            definition(rows, taps, _piece(rows), x.reshape(-1)[C:], *places, *into)
            np.testing.assert_array_equal(ours, theirs)


def test_padding_is_no_factor(rng: np.random.Generator) -> None:
    """Pixels that there are not, and numbers of dy before the first and after the last, are multiplied with nothing: 0
    times what is not finite would be NaN."""
    C = 2 * LANES
    source, kernel = _whole(rng, np.float32, 5, WIDTH, C), np.full((4, 4, C), np.inf, np.float32)
    result = np.empty((APART * 4, C), np.float32)
    _add_row(_piece(3), source, kernel, np.ones(C, np.float32), result, (3, 3, 3, 4, 4, 0, 0, 1, C), False)
    np.testing.assert_array_equal(result[0], 1)  # result 0 meets pixels 0, 1 and 2, and there is only pixel 3
    dy = np.ones((1, APART * 2, C), np.float32)  # two results: pixels 0 to 3, of which tap q meets q and q + 1
    for pixel, met in enumerate([[0], [0, 1], [1, 2], [2]]):
        x, gradient = source.copy(), np.zeros((4, 4, C))
        x[:, 1 + STEP * pixel] = np.nan
        _add_gradient(_piece(1), x, dy, gradient, (1, 3, 0, 4, 2, 0, 1), 1, C)
        assert np.flatnonzero(np.isnan(gradient[3, :3, 0])).tolist() == met


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vectors", [1, 2, 3])
def test_rows_past_the_cache_are_the_same(vectors: int, dtype: type, rng: np.random.Generator) -> None:
    """Two vectors of channels at once, and a single one."""
    C = vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    source, kernel, bias = (_whole(rng, dtype, *shape) for shape in ((5, WIDTH, C), (4, 4, C), (C,)))
    for rows, taps, (first, end, results) in _sizes():
        shape = (APART * results, C)
        into, past = (Block(bias.nbytes * shape[0]).bytes.view(dtype).reshape(shape) for _ in range(2))
        into[...], past[...] = 0, 0
        sizes = rows, taps, first, end, results, 0, 0, 1, C
        _add_row(_piece(rows), source, kernel, bias, into, sizes, False)
        _add_row(_piece(rows), source, kernel, bias, past, sizes, True)
        np.testing.assert_array_equal(past, into)
