"""The compiled loops of ``direct.py`` for the gradient of the kernel: windows^T @ dy, summed over positions.

    dkernel[k, f] = sum over positions of  window[position, k] * dy[position, f]

Here a row of the tile is a *column* of the windows: one number from each position. Read in place, a step would use 24
of the 64 bytes that come with each line of memory, and all lines would compete for a few places of the cache, since
positions lie a power of two apart. So for a block of positions, the columns of one tile are copied side by side (their
numbers stand side by side in the picture, too), and meet all panels of dy before the next are copied.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.gemm import even_rows
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.micro_kernel import ROWS, tile, tile_in_parts
from minicnn.ops.simd import pointer
from minicnn.shapes import Array

TERMS = 64  # positions that are added up at once: short sums round less


@njit_parallel
def window_products(
    workers: int,
    picture: Array,
    upstream: Array,
    starts: Array,
    sizes: Array,
    taps: Array,
    total: Array,
    dkernel: Array,
) -> None:
    """dkernel[k, g, f] = sum over positions of  window[position, k] * dy[position, f]  of group g.

    ``upstream`` (N*OH, OW, F); ``starts`` (N*OH,): where each row of outputs begins in the picture. ``taps``: where
    each run of kernel rows begins in a window. ``sizes``: how many rows of outputs are added up at once; the distance
    of two positions in the picture; filters per group; columns of a panel; kernel rows in a run. Each worker has its
    own part of the sums, ``total`` [g, k, f] in float64, and goes through the positions block by block.
    """
    groups, _, columns = total.shape
    run = upstream.shape[1]
    at_once, step, filters, W, rows = sizes
    height, per_group = even_rows(rows, ROWS), len(taps) // groups
    parts = (rows + height - 1) // height
    tiles = groups * per_group * parts
    for worker in prange(workers):
        begin, end = tiles * worker // workers, tiles * (worker + 1) // workers
        packed = np.empty((columns // W, at_once * run, W), picture.dtype)
        window, sums = np.empty(at_once * run * ROWS, picture.dtype), np.empty((ROWS, W), picture.dtype)
        nothing, offsets = np.zeros(W, picture.dtype), np.empty(2 * (at_once * run // TERMS + 1), np.intp)
        floor = picture.dtype.type(-np.inf)
        for turn in range(begin, end):
            g, tap, r, own = part_of(turn, per_group, parts, rows, height)
            total[g, tap * rows + r : tap * rows + r + own] = 0.0
        for s in range(0, len(starts), at_once):
            here, packed_group = min(at_once, len(starts) - s), -1
            for turn in range(begin, end):
                g, tap, r, own = part_of(turn, per_group, parts, rows, height)
                if g != packed_group:
                    pack_panels(upstream, s, here, g * filters, filters, packed)
                    packed_group = g
                pack_window(picture, starts, s, here, run, taps[g * per_group + tap] + r, step, own, window)
                whole, rest = here * run // TERMS, here * run % TERMS
                for part in range(whole + 1):
                    offsets[2 * part], offsets[2 * part + 1] = part * TERMS * own, part * TERMS * W
                for panel in range(columns // W):
                    vectors = 2 if filters - panel * W > W // 2 else 1
                    a, b, c_at = pointer(window, 0), pointer(packed, panel * at_once * run * W), pointer(sums, 0)
                    start, start_row = pointer(nothing, 0), 0
                    if whole:
                        at = pointer(offsets, 0)
                        tile_in_parts(1, own, vectors, a, 1, own, b, at, whole, TERMS, start, 0, c_at, W)
                        start, start_row = c_at, W
                    if rest:
                        at = pointer(offsets, 2 * whole)
                        tile(own, vectors, a, 1, own, b, at, 1, rest, start, start_row, c_at, W, floor)
                    for i in range(own):
                        for c in range(vectors * (W // 2)):
                            total[g, tap * rows + r + i, panel * W + c] += sums[i, c]
        for turn in range(begin, end):
            g, tap, r, own = part_of(turn, per_group, parts, rows, height)
            for k in range(tap * rows + r, tap * rows + r + own):
                for f in range(filters):
                    dkernel[k, g, f] = total[g, k, f]


@njit
def part_of(turn: int, per_group: int, parts: int, rows: int, height: int) -> tuple[int, int, int, int]:
    """What tile ``turn`` is: group, run of kernel rows, its first row in the run's ``rows``, how many rows it has.

    Each group has ``per_group`` runs, each run ``parts`` tiles of up to ``height`` rows.
    """
    r = turn % parts * height
    return turn // (per_group * parts), turn // parts % per_group, r, min(height, rows - r)


@njit
def pack_window(
    picture: Array, starts: Array, first: int, rows: int, run: int, at: int, step: int, own: int, window: Array
) -> None:
    """window (rows * run, own) = ``own`` columns of the windows, from the one that begins ``at`` on."""
    for row in range(rows):
        source, to = pointer(picture, starts[first + row] + at), pointer(window, row * run * own)
        if own == ROWS:  # a number known to the compiler: a few moves instead of a loop
            for k in range(run):
                for i in range(ROWS):
                    to[k * ROWS + i] = source[k * step + i]
        else:
            for k in range(run):
                for i in range(own):
                    to[k * own + i] = source[k * step + i]


@njit
def pack_panels(upstream: Array, first: int, rows: int, f: int, filters: int, packed: Array) -> None:
    """packed (P, rows * OW, W) = ``filters`` columns of upstream from f on, in panels; zeros fill the last one."""
    _, run, F = upstream.shape
    P, _, W = packed.shape
    for p in range(P):
        whole = min(W, filters - p * W)
        for position in range(rows * run):
            source = pointer(upstream, (first * run + position) * F + f + p * W)
            for c in range(whole):
                packed[p, position, c] = source[c]
            for c in range(whole, W):
                packed[p, position, c] = 0.0
