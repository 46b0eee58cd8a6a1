"""The compiled loops of ``direct.py`` for the gradient of the kernel: windows^T @ dy, summed over positions.

    dkernel[k, f] = sum over positions of  window[position, k] * dy[position, f]

Here a row of the tile is a *column* of the windows: one number from each position. Read in place, a step would use 24
of the 64 bytes that come with each line of memory, and all lines would compete for a few places of the cache, since
positions lie a power of two apart. So both factors are copied, for a block of positions: the columns of some tiles,
each tile's numbers side by side, as they stand in the picture too; and dy one panel at a time. The panel, of which each
step reads two vectors, stays in the nearest cache while all these tiles meet it; of a tile a step reads few numbers, so
the next cache is near enough.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.gemm import even_rows
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.micro_kernel import ROWS, divide, tile_in_parts
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES, pointer
from minicnn.ops.vectors import lanes, load, load_like, prefetch, store, widen
from minicnn.shapes import Array

TERMS = 64  # positions that are added up at once: short sums round less
POSITIONS = 4 * TERMS  # in a block, whose sums are added to the total
TILES = 24  # whose columns are copied together: 144 KB with six rows
NEIGHBOURS = 16  # positions that all these tiles copy before the next, while their pixels are in the nearest cache


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

    ``upstream`` (N*OH*OW, F); ``starts`` (N*OH,): where each row of outputs begins in the picture. ``taps``: where
    each run of kernel rows begins in a window. ``sizes``: outputs in a row; the distance of two positions in the
    picture; kernel rows in a run. Each worker has tiles of its own, and goes through the positions block by block, with
    their sums in ``total`` (tiles, panels, ROWS, W), in float64. Meanwhile it asks for the next block's pixels, each
    once and in order: for the lowest rows of its windows, as earlier windows have read the others.
    """
    groups, filters = dkernel.shape[1:]
    tiles, P, _, W = total.shape
    positions, rows = len(upstream), sizes[2]
    height, per_group = even_rows(rows, ROWS), len(taps) // groups
    parts = (rows + height - 1) // height
    at_once = even_rows(positions, POSITIONS)
    for worker in prange(workers):
        begin, end = tiles * worker // workers, tiles * (worker + 1) // workers
        columns, panel = np.empty(TILES * POSITIONS * ROWS, picture.dtype), np.empty(POSITIONS * W, picture.dtype)
        sums, table = np.empty((ROWS, W), picture.dtype), np.empty(3 * POSITIONS // TERMS, np.intp)
        nothing, places = np.zeros(W, picture.dtype), np.empty((TILES, 2), np.intp)
        total[begin:end] = 0.0
        for s in range(0, positions, at_once):
            here = min(at_once, positions - s)
            terms = even_rows(here, TERMS)
            after, last = min(positions - 1, s + at_once), min(positions - 1, s + 2 * at_once)
            pixels, end_pixels = window_at(starts, sizes, after) + taps[-1], window_at(starts, sizes, last) + taps[-1]
            each = lines_each(picture, end_pixels - pixels, max(1, (end - begin) * P))  # a worker may have no tile
            first = begin
            while first < end:
                g = first // (per_group * parts)
                some = min(end, (g + 1) * per_group * parts, first + TILES) - first
                for i in range(some):
                    _, tap, r, own = part_of(first + i, per_group, parts, rows, height)
                    places[i, 0], places[i, 1] = taps[g * per_group + tap] + r, own
                pack_windows(picture, starts, s, here, sizes, places[:some], columns)
                for p in range(P):
                    left = min(W, filters - p * W)
                    pack_panel(upstream, s, here, g * filters + p * W, left, panel)
                    vectors = 2 if left > W // 2 else 1
                    for i in range(some):
                        own = places[i, 1]
                        ask_for(picture, pixels, min(end_pixels, pixels + each))
                        pixels += each
                        pieces = divide(here, terms, own, W, table)
                        a, b = pointer(columns, i * POSITIONS * ROWS), pointer(panel, 0)
                        at, to = pointer(table, 0), pointer(sums, 0)
                        tile_in_parts(1, own, vectors, a, 1, own, b, at, pieces, pointer(nothing, 0), 0, to, W)
                        add_to(total, ((first + i) * P + p) * ROWS * W, sums, own)
                first += some
        for turn in range(begin, end):
            write_tile(total, turn, part_of(turn, per_group, parts, rows, height), rows, dkernel)


@njit
def part_of(turn: int, per_group: int, parts: int, rows: int, height: int) -> tuple[int, int, int, int]:
    """What tile ``turn`` is: group, run of kernel rows, its first row in the run's ``rows``, how many rows it has.

    Each group has ``per_group`` runs, each run ``parts`` tiles of up to ``height`` rows.
    """
    r = turn % parts * height
    return turn // (per_group * parts), turn // parts % per_group, r, min(height, rows - r)


@njit
def write_tile(total: Array, turn: int, part: tuple[int, int, int, int], rows: int, dkernel: Array) -> None:
    """The sums of tile ``turn``, which is that ``part``, put where they belong in dkernel."""
    (g, tap, r, own), (_, P, _, W) = part, total.shape
    for p in range(P):
        for i in range(own):
            for c in range(min(W, dkernel.shape[2] - p * W)):
                dkernel[tap * rows + r + i, g, p * W + c] = total[turn, p, i, c]


@njit
def window_at(starts: Array, sizes: Array, position: int) -> int:
    """Where the window at a position begins in the picture."""
    place: int = starts[position // sizes[0]] + position % sizes[0] * sizes[1]
    return place


@njit
def ask_for(array: Array, begin: int, end: int) -> None:
    """Ask for the numbers from ``begin`` to ``end`` before they are needed, a line of memory at a time.

    Processors follow a loop through memory by themselves, but what the next block of work begins with they cannot know.
    """
    for at in range(begin, end, LINE_BYTES // array.itemsize):
        prefetch(array, at)


@njit
def lines_each(array: Array, numbers: int, turns: int) -> int:
    """How many numbers to ask for in each of some turns, in whole lines, so that all were asked for in the end."""
    line = LINE_BYTES // array.itemsize
    return (numbers + turns * line - 1) // (turns * line) * line


@njit
def pack_windows(
    picture: Array, starts: Array, first: int, count: int, sizes: Array, places: Array, columns: Array
) -> None:
    """Each tile's columns of the windows at ``count`` positions from ``first`` on, (count, own).

    ``places`` (tiles, 2): where a tile's columns begin in a window, and how many it has. In ``columns``, each tile has
    room for POSITIONS times ROWS numbers.
    """
    run, step = sizes[0], sizes[1]
    done = 0
    while done < count:
        here = window_at(starts, sizes, first + done)
        some = min(NEIGHBOURS, count - done, run - (first + done) % run)
        for i in range(len(places)):
            own = places[i, 1]
            at, into = here + places[i, 0], i * POSITIONS * ROWS + done * own
            source, to = pointer(picture, at), pointer(columns, into)
            if VECTOR_BYTES == 64 and own <= lanes(columns):  # part of a vector is one move with AVX-512; not before it
                for k in range(some):
                    store(columns, into + k * own, load(picture, at + k * step, own), own)
            elif own == ROWS:  # a number known to the compiler: a few moves instead of a loop
                for k in range(some):
                    for c in range(ROWS):
                        to[k * ROWS + c] = source[k * step + c]
            else:
                for k in range(some):
                    for c in range(own):
                        to[k * own + c] = source[k * step + c]
        done += some


@njit
def pack_panel(upstream: Array, first: int, count: int, f: int, filters: int, panel: Array) -> None:
    """panel (count, W) = columns f and following of upstream at ``count`` positions from ``first`` on."""
    F, width = upstream.shape[1], lanes(panel)
    for position in range(count):
        at, to = (first + position) * F + f, position * 2 * width
        store(panel, to, load(upstream, at, filters), width)
        store(panel, to + width, load(upstream, at + width, filters - width), width)


@njit
def add_to(total: Array, at: int, sums: Array, rows: int) -> None:
    """total (from ``at`` on) += the first ``rows`` of sums."""
    width = lanes(sums)
    for i in range(0, rows * sums.shape[1], width):
        new = widen(load(sums, i, width))
        store(total, at + i, load_like(total, at + i, width, new) + new, width)
