"""The gradient of a Winograd convolution's kernel, up to its last transform: for every product, a sum over all tiles.

    dU[p] (C, F)  =  sum over tiles of  V[p]^T (C, tiles)  @  (A dy A^T)[p] (tiles, F)

Tiles are transformed some at a time, and what they add stays in the cache, or near it, as far as it fits. Sums lie in
panels, as right-hand sides do (``ops/gemm``): the rows of a register tile, one for each of its channels, then lie side
by side. In a matrix (C, F) they would often lie a power of two apart, and compete for a few places of the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minicnn.ops.conv2d import winograd_blocks as blocks
from minicnn.ops.conv2d import winograd_plan as plan
from minicnn.ops.conv2d.winograd_blocks import outputs_at, tiles_per_turn
from minicnn.ops.conv2d.winograd_tiles import Grid, upstream_tile
from minicnn.ops.conv2d.winograd_transforms import CHANNELS, PRODUCTS
from minicnn.ops.gemm import even_tiles
from minicnn.ops.jit import njit_parallel, prange
from minicnn.ops.micro_kernel import panel_width, parts, tile_in_parts
from minicnn.ops.simd import pointer
from minicnn.shapes import Array

BLOCK_BYTES = 4 * 2**20  # of transformed tiles held at once, or as many as their sums have: these are read again,
MOST_BYTES = 32 * 2**20  # and at most
PIECE = 4096  # sums per turn of a loop
GROUP_TILES = 2048  # whose sums are then added to those of others in float64


@contextmanager
def sums_over_tiles(form: int, used: Array, sum_tiles: int, x: Array, dy: Array, grid: Grid) -> Iterator[Array]:
    """dU as (Q*Q, plane), a plane being P panels (C, W) and some bytes more; float64 if there are many tiles.

    ``used``: the planes that are products; the others are left as they are. ``sum_tiles`` are added up at once, such
    sums up to GROUP_TILES, and these in float64. Columns that fill up the last panel may hold anything. A context: the
    memory is used again after it.
    """
    points, channels, filters, panel = PRODUCTS[form] ** 2, x.shape[3], dy.shape[3], panel_width(x.dtype)
    width = -(-filters // panel) * panel
    total, size = len(dy) * grid[0] * grid[1], (channels + width) * x.itemsize
    several, numbers = total > GROUP_TILES, channels * width
    own = points * channels * plan.whole_vectors(filters, x.dtype) * x.itemsize  # bytes of the sums that are used
    limit = min(MOST_BYTES, max(BLOCK_BYTES, own), GROUP_TILES * len(used) * size)
    tiles_in_blocks = list(plan.in_blocks(total, len(used) * size, limit, sum_tiles))
    most = max((count for _, count in tiles_in_blocks), default=0)
    with (
        plan.planes("kernel_sums", points, numbers, x.dtype) as sums,
        plan.planes("kernel_totals", points, numbers if several else 0, np.dtype(np.float64)) as totals,
        plan.planes("tiles", points, most * channels, x.dtype) as tiles,
        plan.planes("products", points, most * width, x.dtype) as upstream,
    ):
        held = 0  # tiles in the sums
        for first, count in tiles_in_blocks:
            blocks.all_input_tiles(form, x, first, count, grid, tiles)
            all_upstream_tiles(form, dy, first, count, grid, upstream, panel)
            add_products(used, tiles, upstream, channels, filters, panel, sums, count, sum_tiles, held == 0)
            held, end = held + count, first + count
            if several and (held >= GROUP_TILES or end == total):
                add_sums(used, sums, totals, held == end)
                held = 0
        yield totals if several else sums


@njit_parallel
def all_upstream_tiles(form: int, dy: Array, first: int, count: int, grid: Grid, panels: Array, W: int) -> None:
    """The rows of every panel, W wide, for the output gradients of ``count`` tiles from ``first`` on."""
    points = len(panels)
    per_turn = tiles_per_turn(count)
    for turn in prange((count + per_turn - 1) // per_turn):
        half, square = np.empty(points * CHANNELS, dy.dtype), np.empty(points * dy.shape[3], dy.dtype)
        for t in range(turn * per_turn, min(count, (turn + 1) * per_turn)):
            picture, row, column = outputs_at(form, first + t, grid)
            upstream_tile(form, dy, picture, row, column, panels, count, W, t, half, square)


@njit_parallel
def add_products(
    used: Array, tiles: Array, upstream: Array, C: int, F: int, W: int, sums: Array, count: int, terms: int, fresh: bool
) -> None:
    """sums[p] += (rows of plane p of the tiles)^T @ (those of ``upstream``), or = for ``fresh`` sums.

    ``upstream`` has panels W wide. ``terms`` of the ``count`` tiles are added up at once, and then such sums.
    """
    P, table = (F + W - 1) // W, parts(count, terms, C, W)
    for turn in prange(len(used) * P):
        p, panel = used[turn // P], turn % P
        vectors = 2 if 2 * (F - panel * W) > W else 1
        nothing = np.zeros(W, tiles.dtype)
        b = pointer(upstream, p * upstream.shape[1] + panel * count * W)
        for rows, tiles_below, c in even_tiles(C):
            a, to = pointer(tiles, p * tiles.shape[1] + c), pointer(sums, p * sums.shape[1] + (panel * C + c) * W)
            start, start_row = (pointer(nothing, 0), 0) if fresh else (to, W)
            at, segments = pointer(table, 0), len(table) // 3
            tile_in_parts(tiles_below, rows, vectors, a, 1, C, b, at, segments, start, start_row, to, W)


@njit_parallel
def add_sums(used: Array, sums: Array, totals: Array, fresh: bool) -> None:
    """totals[p] += sums[p] for every plane in use, or = for ``fresh`` totals, which are in float64."""
    plane = min(sums.shape[1], totals.shape[1])  # what is behind the numbers of a plane differs
    pieces = (plane + PIECE - 1) // PIECE
    for turn in prange(len(used) * pieces):
        p, first = used[turn // pieces], turn % pieces * PIECE
        for k in range(first, min(plane, first + PIECE)):
            totals[p, k] = sums[p, k] + (0.0 if fresh else totals[p, k])
