"""The products of a dense layer for many samples: many rows, times a matrix that is read where it lies.

    c = a @ b  (+ bias, cut off at 0)       or  c = a @ b^T         (M, K) @ (K, N) -> (M, N)

With many samples the multiplications take longer than reading the kernel, so the register tile (``micro_kernel.py``)
does them. What it reads of b must lie in panels. ``gemm.pack`` would copy all of b first, another 411 MB for fc6 of
VGG-Face; here a block of ``RUN`` rows and ``PANELS`` panels is copied, 64 KB, and used at once for some hundred rows of
a, from the cache. For b^T the block is turned while it is copied.

Cores share blocks of c. Each number of it is added up by one core, ``terms`` at a time, in one order: its bits depend
neither on the number of cores nor on that of the samples.
"""

from __future__ import annotations

import numba
import numpy as np

from minicnn.ops.copying import clear, copy
from minicnn.ops.gemm import even_tiles, floor_of, rows_of_block
from minicnn.ops.jit import njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.micro_kernel import ROWS, panel_width, parts, tile
from minicnn.ops.simd import pointer
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, select, splat, store
from minicnn.shapes import Array, Pair

RUN, PANELS = 32, 16  # rows, and panels at most, of b in a copied block: 64 KB


def product(
    a: Array, b: Array, terms: int, bias: Array | None = None, *, relu: bool = False, turned: bool = False
) -> Array:
    """The formula above, with b^T if ``turned``; ``terms`` of a sum are added up at once. All C-contiguous."""
    columns, width = b.shape[0 if turned else 1], panel_width(a.dtype)
    c = empty((len(a), columns), a.dtype)
    addend = np.zeros(columns, a.dtype) if bias is None else np.ascontiguousarray(bias)
    panels = -(-columns // width)
    blocks = -(-panels // PANELS)
    size = rows_of_block(len(a), -(-numba.get_num_threads() // blocks)), -(-panels // blocks) * width
    _product(b.nbytes * -(-len(a) // ROWS), a, b, turned, terms, addend, floor_of(relu, a.dtype), size, width, c)
    return c


@turns
def _product(
    a: Array, b: Array, turned: bool, terms: int, bias: Array, floor: float, size: Pair, W: int, c: Array
) -> None:
    """A block of c per turn, of ``size``: so many rows, and the columns of some panels."""
    (M, K), N, (rows, width) = a.shape, c.shape[1], size
    across = (N + width - 1) // width
    for turn in prange((M + rows - 1) // rows * across):
        first, column = turn // across * rows, turn % across * width
        count, columns = min(rows, M - first), min(width, N - column)
        panels = (columns + W - 1) // W
        block = np.empty((panels, RUN, W), c.dtype)
        sums = np.empty((count, panels * W + W // 2), c.dtype)  # half a panel more: no power of two
        for start in range(0, K, terms):
            stop = min(K, start + terms)
            for k in range(start, stop, RUN):
                run = min(RUN, stop - k)
                if turned:
                    _copy_turned(b, k, column, run, columns, block)
                else:
                    _copy(b, k, column, run, columns, block)
                _add_block(a, first, k, run, block, columns, k == start, sums)
            _add_sums(sums, columns, start == 0, stop == K, bias, floor, c, first, column)


@njit
def _copy(b: Array, k: int, column: int, run: int, columns: int, block: Array) -> None:
    """``block`` (panels, RUN, W) = ``run`` rows of b from ``k`` on, of each ``columns`` numbers from ``column`` on;
    zeros fill the last panel."""
    panels, _, W = block.shape
    for i in range(run):
        for panel in range(panels):
            whole, to = min(W, columns - panel * W), (panel * RUN + i) * W
            copy(b, (k + i) * b.shape[1] + column + panel * W, whole, block, to)
            clear(block, to + whole, W - whole)


@njit
def _copy_turned(b: Array, k: int, column: int, run: int, columns: int, block: Array) -> None:
    """The same of b^T."""
    panels, _, W = block.shape
    for panel in range(panels):
        for w in range(W):
            row = panel * W + w
            if row < columns:
                for i in range(run):
                    block[panel, i, w] = b[column + row, k + i]
            else:
                for i in range(run):
                    block[panel, i, w] = 0.0


@njit
def _add_block(a: Array, first: int, k: int, run: int, block: Array, columns: int, fresh: bool, sums: Array) -> None:
    """sums += a[first:, k : k+run] @ block, or = if they are ``fresh``; what fills up the last vector is no matter."""
    (count, wide), (panels, _, W), K = sums.shape, block.shape, a.shape[1]
    half = W // 2
    table, nothing = parts(run, run, 1, W), np.zeros(W, a.dtype)
    for panel in range(panels):
        for rows, tiles, r in even_tiles(count):
            if tiles == 0:
                continue
            to = pointer(sums, r * wide + panel * W)
            tile(
                tiles,
                rows,
                (min(W, columns - panel * W) + half - 1) // half,
                pointer(a, (first + r) * K + k),
                K,
                1,
                pointer(block, panel * RUN * W),
                pointer(table, 0),
                1,
                pointer(nothing, 0) if fresh else to,
                0 if fresh else wide,
                to,
                wide,
                a.dtype.type(-np.inf),
            )


@njit
def _add_sums(
    sums: Array, columns: int, fresh: bool, last: bool, bias: Array, floor: float, c: Array, first: int, column: int
) -> None:
    """c[first:, column:] += sums, or = if it is ``fresh``; after the ``last`` of them the bias, cut off at ``floor``.
    NaN stays."""
    (count, wide), N = sums.shape, c.shape[1]
    for r in range(count):
        for n in range(0, columns, lanes(c)):
            at, left = (first + r) * N + column + n, columns - n
            total = load(sums, r * wide + n, left)
            if not fresh:
                total = load(c, at, left) + total
            if last:
                total = total + load(bias, column + n, left)
                least = splat(floor, total)
                total = select(total <= least, least, total)
            store(c, at, total, left)
