"""The register tile against its definition in plain Python, for every size it is generated for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.ops.jit import njit
from minicnn.ops.micro_kernel import (
    ROWS,
    VECTORS,
    panel_width,
    parts,
    tile,
    tile_in_parts,
    tile_in_parts_in_python,
    tile_in_python,
)
from minicnn.ops.simd import keep_alive, pointer
from minicnn.shapes import Array


@njit
def _compiled(rows, vectors, a, a_row, a_step, b, table, addend, addend_row, c, floor):  # type: ignore[no-untyped-def]
    """b is a panel; with a row of room in front of and behind the tile."""
    width = c.shape[1]
    tile(
        1,
        rows,
        vectors,
        pointer(a, 0),
        a_row,
        a_step,
        pointer(b, 0),
        pointer(table, 0),
        len(table) // 3,
        pointer(addend, 0),
        addend_row,
        pointer(c, width + 3),
        width,
        floor,
    )


def both(
    rows: int,
    vectors: int,
    a: Array,
    steps: tuple[int, int],
    b: Array,
    table: Array,
    addend: Array,
    **more: Any,
) -> tuple[Array, Array]:
    """(compiled, defined), each the whole array of which the tile is a part; 7 where nothing was written."""
    addend_row, floor = more.get("addend_row", 0), more.get("floor", -np.inf)
    number = a.dtype.type
    found = []
    for compiled in (True, False):
        c = np.full((ROWS + 2, panel_width(a.dtype) + 7), 7, a.dtype)
        width = c.shape[1]
        if compiled:
            _compiled(rows, vectors, a, *steps, b, table, addend, addend_row, c, number(floor))
        else:
            flat = [array.reshape(-1) for array in (a, b, addend, c)]
            tile_in_python(
                1,
                rows,
                vectors,
                flat[0],
                *steps,
                flat[1],
                table,
                len(table) // 3,
                flat[2],
                addend_row,
                flat[3][width + 3 :],
                width,
                number(floor),
            )
        found.append(c)
    return found[0], found[1]


def close(pair: tuple[Array, Array]) -> bool:
    return np.allclose(*pair, rtol=1e-5 if pair[0].dtype == np.float32 else 1e-13, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vectors", range(1, VECTORS + 1))
@pytest.mark.parametrize("rows", range(1, ROWS + 1))
def test_every_size(rows: int, vectors: int, dtype: Any, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((ROWS, 9)).astype(dtype), rng.standard_normal((9, panel_width(dtype))).astype(dtype)
    addend, table = rng.standard_normal(panel_width(dtype)).astype(dtype), parts(9, 9, 1, panel_width(dtype))
    c, defined = both(rows, vectors, a, (9, 1), b, table, addend)
    assert close((c, defined))
    columns = vectors * panel_width(dtype) // VECTORS
    written = np.zeros(c.shape, bool)
    written[1 : rows + 1, 3 : columns + 3] = True
    assert (c[~written] == 7).all()  # and nothing beside the tile
    expected = a[:rows].astype("f8") @ b[:, :columns] + addend[:columns]
    np.testing.assert_allclose(c[1 : rows + 1, 3 : columns + 3], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("runs", [(1, 1, 1), (2, 2, 2), (7, 7, 7), (7, 1, 2), (1, 8, 5)])
def test_segments_strides_and_an_addend_of_its_own_for_each_row(
    runs: tuple[int, int, int], dtype: Any, rng: np.random.Generator
) -> None:
    """Three pieces of a window: rows of a lie 2 apart, its numbers 3; the pieces anywhere, of any length."""
    width = panel_width(dtype)
    a, b = rng.standard_normal(200).astype(dtype), rng.standard_normal((40, width)).astype(dtype)
    table = np.array([60, 10 * width, runs[0], 0, 0, runs[1], 17, 30 * width, runs[2]], np.intp)
    addend = rng.standard_normal((ROWS, width + 1)).astype(dtype)
    assert close(both(5, 2, a, (2, 3), b, table, addend, addend_row=addend.shape[1]))
    assert close(both(ROWS, 1, a, (0, 1), b, table, addend))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_floor_and_numbers_that_are_not_finite(dtype: Any, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((ROWS, 4)).astype(dtype), rng.standard_normal((4, panel_width(dtype))).astype(dtype)
    a[1, 2], a[2, 0], b[3, 1] = np.nan, np.inf, -np.inf
    addend, table = np.zeros(panel_width(dtype), dtype), parts(4, 4, 1, panel_width(dtype))
    with np.errstate(invalid="ignore"):
        c, defined = both(4, 2, a, (4, 1), b, table, addend, floor=0.0)
    np.testing.assert_array_equal(np.isnan(c), np.isnan(defined))
    assert np.isnan(c[2, 3 : 3 + len(addend)]).all()  # NaN is not cut off
    assert close((c, defined))
    finite = c[1, 3 : 3 + len(addend)]
    assert (finite >= 0).all()
    assert (finite == 0).any()


@njit
def _from_panel(rows, vectors, a, b, table, c):  # type: ignore[no-untyped-def]
    zeros, floor = np.zeros(c.shape[1], c.dtype), c.dtype.type(-np.inf)
    first = (pointer(a, 0), a.shape[1], 1, pointer(b, 0))
    last = (pointer(table, 0), len(table) // 3, pointer(zeros, 0), 0, pointer(c, 0), c.shape[1], floor)
    tile(1, rows, vectors, *first, *last)
    keep_alive(zeros)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("run", [1, 3, 4, 5, 64, 65])
@pytest.mark.parametrize("rest", [0, 1])
def test_in_a_panel(run: int, rest: int, dtype: Any, rng: np.random.Generator) -> None:
    """Every length of a run: those that are no multiple of what the loop takes at once have a rest."""
    width, count = panel_width(dtype), 3 * run + rest
    a = rng.standard_normal((ROWS, count)).astype(dtype)
    b = rng.standard_normal((count, width)).astype(dtype)
    table = parts(count, run, 1, width)
    assert table.reshape(-1, 3)[:, 2].sum() == count
    found, defined = np.zeros((ROWS, width), dtype), np.zeros((ROWS, width), dtype)
    _from_panel(ROWS, VECTORS, a, b, table, found)
    flat = (a.reshape(-1), count, 1, b.reshape(-1), table, len(table) // 3)
    tile_in_python(1, ROWS, VECTORS, *flat, np.zeros(width, dtype), 0, defined.reshape(-1), width, dtype(-np.inf))
    bound = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, defined, rtol=0, atol=bound * np.abs(a @ b).max())
    np.testing.assert_allclose(found, a.astype("f8") @ b, rtol=0, atol=bound * np.abs(a @ b).max())


@njit
def _in_parts(tiles, rows, vectors, a, b, table, addend, addend_row, c):  # type: ignore[no-untyped-def]
    first = (pointer(a, 0), a.shape[1], 1, pointer(b, 0))
    last = (pointer(table, 0), len(table) // 3, pointer(addend, 0), addend_row, pointer(c, 0), c.shape[1])
    tile_in_parts(tiles, rows, vectors, *first, *last)


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS])
@pytest.mark.parametrize("run, count", [(1, 4), (5, 15), (32, 32), (32, 160), (32, 150)])
def test_in_parts(rows: int, run: int, count: int, rng: np.random.Generator) -> None:
    """To the last bit but one: each segment from zero, then added to what is there; products rounded with their sum."""
    dtype = np.float32
    width = panel_width(dtype)
    a = rng.standard_normal((ROWS, count)).astype(dtype)
    b = rng.standard_normal((count, width)).astype(dtype)
    table = parts(count, run, 1, width)
    addend = rng.standard_normal((ROWS, width)).astype(dtype)
    for addend_row in (0, width):
        found, defined = np.full((ROWS, width), 7, dtype), np.full((ROWS, width), 7, dtype)
        _in_parts(1, rows, VECTORS, a, b, table, addend, addend_row, found)
        flat = (a.reshape(-1), count, 1, b.reshape(-1), table, len(table) // 3, addend.reshape(-1), addend_row)
        tile_in_parts_in_python(1, rows, VECTORS, *flat, defined.reshape(-1), width)
        assert close((found, defined))
        expected = np.broadcast_to(addend[0], addend.shape) if addend_row == 0 else addend
        for begin in range(0, count, run):
            own = np.s_[begin : begin + run]
            exact = np.zeros((ROWS, width), dtype)
            for k in range(len(b[own])):  # a product and a sum, rounded once: float64 holds the product of two float32
                exact = (exact + a[:, own][:, k, None].astype("f8") * b[own][k]).astype(dtype)
            expected = expected + exact
        np.testing.assert_allclose(
            found[:rows], expected[:rows], rtol=0, atol=2 * float(np.spacing(np.abs(expected).max()))
        )
        assert (found[rows:] == 7).all()


@njit
def _in_one(tiles, rows, vectors, a, b, table, addend, addend_row, c):  # type: ignore[no-untyped-def]
    first = (pointer(a, 0), a.shape[1], 1, pointer(b, 0), pointer(table, 0), len(table) // 3)
    tile(tiles, rows, vectors, *first, pointer(addend, 0), addend_row, pointer(c, 0), c.shape[1], c.dtype.type(0))


@pytest.mark.parametrize("in_parts", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("rows", [1, 3, ROWS])
@pytest.mark.parametrize("tiles", range(4))
def test_tiles_below_each_other_are_so_many_calls(
    tiles: int, rows: int, compiled: bool, in_parts: bool, rng: np.random.Generator
) -> None:
    """To the bit, and nothing is written below the last one."""
    width, run, segments = panel_width(np.float32), 4, 2
    defined, floor = (tile_in_parts_in_python, ()) if in_parts else (tile_in_python, (np.float32(0),))

    def add(tiles: int, a: Array, addend: Array, c: Array) -> None:
        row = 0 if len(addend) == 1 else width
        if compiled:
            (_in_parts if in_parts else _in_one)(tiles, rows, VECTORS, a, b, table, addend, row, c)
        else:
            flat = (a.reshape(-1), a.shape[1], 1, b.reshape(-1), table, segments, addend.reshape(-1), row)
            defined(tiles, rows, VECTORS, *flat, c.reshape(-1), width, *floor)

    a = rng.standard_normal((4 * ROWS, run * segments)).astype(np.float32)
    b = rng.standard_normal((run * segments, width)).astype(np.float32)
    table = parts(run * segments, run, 1, width)
    for addend in (rng.standard_normal((1, width)), rng.standard_normal((4 * ROWS, width))):
        own = addend.astype(np.float32)
        found, expected = np.full((4 * ROWS, width), 7, np.float32), np.full((4 * ROWS, width), 7, np.float32)
        add(tiles, a, own, found)
        for t in range(tiles):
            here = slice(t * rows, (t + 1) * rows)
            add(1, a[here], own if len(own) == 1 else own[here], expected[here])
        np.testing.assert_array_equal(found, expected)
        assert (found[tiles * rows :] == 7).all()


def test_parts_round_less_than_one_long_sum(rng: np.random.Generator) -> None:
    width, count = panel_width(np.float32), 32 * 32
    a = rng.uniform(0, 1, (ROWS, count)).astype(np.float32)  # all of one sign: errors add up
    b = rng.uniform(0, 1, (count, width)).astype(np.float32)
    table = parts(count, 32, 1, width)
    long, short = np.zeros((ROWS, width), np.float32), np.zeros((ROWS, width), np.float32)
    _from_panel(ROWS, VECTORS, a, b, table, long)
    _in_parts(1, ROWS, VECTORS, a, b, table, np.zeros(width, np.float32), 0, short)
    truth = a.astype("f8") @ b
    assert np.square(short - truth).mean() < np.square(long - truth).mean() / 4
