"""How fast matrix products work: packing, blocking, and a tile in registers.

    c = a @ b                               (M, K) @ (K, N) -> (M, N)

A product of n x n matrices computes with each number n times. Whether it is fast depends on where the number is found:
in a register, in a cache near the core, or in memory, each ten times as far away as the one before. Three
ideas, from the inside out:

1. **A tile in registers** (``micro_kernel.py``): 14 x 32 sums stay in registers while the loop runs over K.
2. **Packing**: the tile reads a row of 32 numbers of b at each step. Copied into *panels*, 32 columns each, these rows
   lie one behind the other, and the processor fetches them before they are asked for. Packing costs one pass over b and
   pays when b is used for many rows; the layers keep their kernels packed. a could be read where it lies; but its
   rows, if they are a power of two apart, compete for a few places of the cache, so blocks of it are packed as well.
3. **Blocking**: a block of a (some ROWS, ``TERMS`` of K) and some panels of b fit the cache of a core together, and all
   their products are computed while they are there.

Every sum over K is taken ``TERMS`` terms at a time, and the partial sums are added: shorter sums round less. Work is
divided over blocks of c, so each number is added up by one thread in one order, whatever the number of threads.

Why not the BLAS? Its product is nearly as fast. But it brings threads of its own, which fight with those of the loops
before and after it for the same cores (``benchmarks/NOTES.md``), and it cannot add a bias, cut off at zero, or read a
convolution's windows.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.copying import clear, copy
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.memory import empty
from minicnn.ops.micro_kernel import ROWS, panel_width, parts, tile
from minicnn.ops.simd import offset, pointer
from minicnn.shapes import Array, check_array, check_same_dtype

TERMS = 512  # of a sum that are added up at once
ROW_BLOCK = 24 * ROWS  # rows of a, TERMS numbers each, that stay in the cache of a core: 0.7 MB
PANEL_BLOCK = 128  # panels of b for which such a block is packed once
PACKED = 16  # rows, and panels, that are packed together


def matmul(a: Array, b: Array) -> Array:
    """a @ b for (M, K) and (K, N) matrices of one real dtype, any strides -> (M, N), C-contiguous.

    Costs 2*M*K*N floating-point operations. Raises ShapeError, DtypeError.
    """
    check_array(a, "a", 2, "(M, K)")
    check_array(b, "b", 2, "(K, N)")
    check_same_dtype(a, b, "a", "b")
    if a.shape[1] != b.shape[0]:
        raise ShapeError(explain("as many columns of a as rows of b", f"shapes {a.shape} and {b.shape}"))
    c = empty((len(a), b.shape[1]), a.dtype)
    multiply(a, pack(b), c)
    return c


def multiply(a: Array, panels: Array, c: Array, bias: Array | None = None, relu: bool = False) -> None:
    """c = a @ b (+ bias) (cut off at 0), for b as ``pack`` left it. c (M, N) is C-contiguous."""
    if not a.flags.c_contiguous and not a.T.flags.c_contiguous:
        a = np.ascontiguousarray(a)
    flat = a.reshape(-1) if a.flags.c_contiguous else a.T.reshape(-1)
    addend = np.zeros(panels.shape[0] * panels.shape[2], c.dtype)
    if bias is not None:
        addend[: c.shape[1]] = bias
    row, step = (stride // a.itemsize for stride in a.strides)
    block_rows = rows_of_block(len(c), numba.get_num_threads())
    _multiply(flat, row, step, a.shape[1], panels, addend, c, floor_of(relu, c.dtype), block_rows)


def rows_of_block(rows: int, cores: int) -> int:
    """How many of the ``rows`` make a block, at most ROW_BLOCK.

    A small block left over at the end would let one core wait for another. So there are as many blocks for each core,
    or nearly, of one size, or nearly; but no more blocks than the rows fill tiles. In what order numbers are added up
    does not depend on it.
    """
    blocks = min(-(-rows // (ROW_BLOCK * cores)) * cores, -(-rows // ROWS))
    return -(-rows // max(1, blocks))


def floor_of(relu: bool, dtype: np.dtype) -> Any:
    """What results are cut off at: 0 for ReLU, minus infinity for none, as a number of ``dtype``."""
    return dtype.type(0.0 if relu else -np.inf)


def pack(b: Array) -> Array:
    """(K, N) -> panels (ceil(N / W), K, W): W columns side by side; zeros fill the last panel."""
    width = panel_width(b.dtype)
    panels = empty((-(-b.shape[1] // width), b.shape[0], width), b.dtype)
    if b.flags.f_contiguous and not b.flags.c_contiguous:
        _pack_columns(b, panels)
    else:
        _pack(np.ascontiguousarray(b), panels)
    return panels


@njit_parallel
def _pack(b: Array, panels: Array) -> None:
    """A block of rows and panels at a time: read and written a few lines of the cache in a row."""
    P, K, W = panels.shape
    N = b.shape[1]
    row_blocks, panel_blocks = (K + PACKED - 1) // PACKED, (P + PACKED - 1) // PACKED
    for block in prange(row_blocks * panel_blocks):
        first_row, first_panel = block // panel_blocks * PACKED, block % panel_blocks * PACKED
        for k in range(first_row, min(K, first_row + PACKED)):
            for p in range(first_panel, min(P, first_panel + PACKED)):
                whole, to = min(W, N - p * W), (p * K + k) * W
                copy(b, k * N + p * W, whole, panels, to)
                clear(panels, to + whole, W - whole)


@njit_parallel
def _pack_columns(b: Array, panels: Array) -> None:
    """The same for a b whose columns lie side by side, such as a transpose."""
    P, K, W = panels.shape
    N = b.shape[1]
    for p in prange(P):
        whole = min(W, N - p * W)
        for k in range(K):
            for w in range(whole):
                panels[p, k, w] = b[k, p * W + w]
            for w in range(whole, W):
                panels[p, k, w] = 0.0


@njit
def tiles_or_edges(
    rows: int,
    columns: int,
    a: Any,
    a_row: int,
    a_step: int,
    b: Any,
    table: Any,
    segments: int,
    addend: Any,
    addend_row: int,
    c: Any,
    c_row: int,
    floor: float,
    spare: Array,
) -> None:
    """``tile`` for any number of ``rows``, and of ``columns`` up to a panel's width.

    Where columns do not fill whole vectors, a tile is computed in ``spare`` (ROWS, W), and its part copied: a store
    must not write beyond c, nor a load read beyond the addend.
    """
    lanes, width = spare.shape[1] // 2, spare.shape[1]
    vectors = (columns + lanes - 1) // lanes
    whole, own = vectors * lanes == columns, pointer(spare, 0)
    if not whole:
        spare[:, columns:] = 0
    for high, tiles, begin in even_tiles(rows):
        if whole and tiles > 0:
            top, before, to = offset(a, begin * a_row), offset(addend, begin * addend_row), offset(c, begin * c_row)
            tile(tiles, high, vectors, top, a_row, a_step, b, table, segments, before, addend_row, to, c_row, floor)
            continue
        for first in range(begin, begin + tiles * high, high):
            top, before, to = offset(a, first * a_row), offset(addend, first * addend_row), offset(c, first * c_row)
            _copy_rows(before, addend_row, high, columns, own, width)
            tile(1, high, vectors, top, a_row, a_step, b, table, segments, own, width, own, width, floor)
            _copy_rows(own, width, high, columns, to, c_row)


@njit
def _copy_rows(source: Any, source_row: int, rows: int, columns: int, to: Any, to_row: int) -> None:
    """The first ``columns`` numbers of so many rows, whose distances are given."""
    for r in range(rows):
        for w in range(columns):
            to[r * to_row + w] = source[r * source_row + w]


@njit
def even_tiles(rows: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """``rows`` cut into as few register tiles as possible, of nearly as many rows each: one of one or two rows would
    not keep the multipliers busy. Rows of a tile, how many of these there are (maybe none), where the first begins;
    then the same of the tiles that have one row less.
    """
    tiles = (rows + ROWS - 1) // ROWS
    fewer, more = rows // tiles, rows % tiles
    return (fewer + 1, more, 0), (fewer, tiles - more, more * (fewer + 1))


@njit
def even_rows(rows: int, most: int) -> int:
    """How many rows the tiles get when ``rows`` are divided evenly among as few tiles as possible."""
    tiles = (rows + most - 1) // most
    return (rows + tiles - 1) // tiles


@njit
def _pack_rows(a: Array, at: int, a_row: int, a_step: int, rows: int, at_once: int, run: int, packed: Array) -> None:
    """A block of a, tile after tile, as the tile reads it: number k of each of its rows, side by side.

    Rows of a matrix whose width is a power of two all compete for the same few places of a cache; packed, they do not.
    """
    for first in range(0, rows, at_once):
        for r in range(min(at_once, rows - first)):
            start, into = at + (first + r) * a_row, first * run + r
            for k in range(run):
                packed[into + k * at_once] = a[start + k * a_step]


@njit_parallel
def _multiply(
    a: Array, a_row: int, a_step: int, K: int, panels: Array, bias: Array, c: Array, floor: float, block_rows: int
) -> None:
    M, N = c.shape
    P, _, W = panels.shape
    row_blocks, panel_blocks = (M + block_rows - 1) // block_rows, (P + PANEL_BLOCK - 1) // PANEL_BLOCK
    nothing = -np.inf
    for block in prange(row_blocks * panel_blocks):
        first_row, first_panel = block // panel_blocks * block_rows, block % panel_blocks * PANEL_BLOCK
        rows = min(M - first_row, block_rows)
        at_once = even_rows(rows, ROWS)
        spare, packed = np.empty((ROWS, W), c.dtype), np.empty((rows + ROWS) * TERMS, c.dtype)  # the last tile's room
        for k in range(0, K, TERMS):
            run = min(TERMS, K - k)
            table = parts(run, run, 1, W)
            least = floor if k + run == K else c.dtype.type(nothing)
            _pack_rows(a, first_row * a_row + k * a_step, a_row, a_step, rows, at_once, run, packed)
            for p in range(first_panel, min(P, first_panel + PANEL_BLOCK)):
                for r in range(0, rows, at_once):  # one by one, as they were packed
                    at = (first_row + r) * N + p * W
                    tiles_or_edges(
                        min(at_once, rows - r),
                        min(W, N - p * W),
                        pointer(packed, r * run),
                        1,
                        at_once,
                        pointer(panels, (p * K + k) * W),
                        pointer(table, 0),
                        1,
                        pointer(bias, p * W) if k == 0 else pointer(c, at),
                        0 if k == 0 else N,
                        pointer(c, at),
                        N,
                        least,
                        spare,
                    )
