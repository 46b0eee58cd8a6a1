"""Winograd's three steps for many tiles: transform them, multiply, transform back. Compiled, and divided over the
cores.

Two ways to walk through a layer, with the same arithmetic and so the same bits:

``in_cache``: each thread takes a few tiles through all three steps, and what it computes on the way stays in the cache
of its core, or near it. Every turn reads all transformed kernels, so these must be near too: in layers of few channels,
the early ones, with many pixels.

``all_input_tiles``, ``all_products``, ``all_output_tiles``: all tiles (or a large block of them) take each step
together, and within the second step each of the products, 16 to 78, is computed for all of them. Transformed kernels,
82 MB for 512 to 512 channels and F(6x6), are then read once instead of once per few tiles, and even 16 tiles keep all
cores busy, because there are so many products of them.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.conv2d.winograd_tiles import Grid, Last, input_tile, output_tile
from minicnn.ops.conv2d.winograd_transforms import outputs_of, step_of, terms_of
from minicnn.ops.gemm import even_tiles
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.micro_kernel import ROWS, parts, tile_in_parts
from minicnn.ops.simd import pointer
from minicnn.shapes import Array

TILES_PER_TURN = 8  # of a parallel loop over tiles, at most,
FEWEST_TURNS = 64  # and fewer where there would not be so many turns for the cores to share
ROW_BLOCK = 224 // ROWS * ROWS  # tiles that are multiplied with one panel after the other while they are in the cache


@njit
def place_of(t: int, grid: Grid) -> tuple[int, int, int]:
    """Picture, row and column of tile t. Tiles count picture by picture, row by row."""
    down, across = grid[:2]
    inside = t % (down * across)
    return t // (down * across), inside // across, inside % across


@njit
def inputs_at(form: int, t: int, grid: Grid) -> tuple[int, int, int]:
    """Picture, first row and first column of the inputs of tile t."""
    picture, row, column = place_of(t, grid)
    return picture, grid[2] + row * step_of(form), grid[3] + column * step_of(form)


@njit
def outputs_at(form: int, t: int, grid: Grid) -> tuple[int, int, int]:
    """Picture, first row and first column of the outputs of tile t."""
    picture, row, column = place_of(t, grid)
    return picture, grid[4] + row * outputs_of(form), grid[5] + column * outputs_of(form)


@njit
def multiply_rows(
    tiles: Array,
    panels: Array,
    products: Array,
    width: int,
    nothing: Array,
    table: Array,
    p: int,
    first: int,
    end: int,
    panel: int,
) -> None:
    """Rows from ``first`` to ``end`` in plane p of the products = those of the tiles @ panels[p, panel].

    ``tiles`` (Q*Q, plane) and ``products`` (Q*Q, plane), whose rows are ``width`` long: see ``winograd_tiles``.
    ``table``: the parts of a sum over C (``micro_kernel.parts``).
    """
    _, P, C, W = panels.shape
    tile_plane, product_plane = tiles.shape[1], products.shape[1]
    vectors = 2 if width - panel * W >= W else 1
    b, at, segments = pointer(panels, (p * P + panel) * C * W), pointer(table, 0), len(table) // 3
    for rows, count, begin in even_tiles(end - first):
        r = first + begin
        a, to = pointer(tiles, p * tile_plane + r * C), pointer(products, p * product_plane + r * width + panel * W)
        tile_in_parts(count, rows, vectors, a, C, 1, b, at, segments, pointer(nothing, 0), 0, to, width)


@njit_parallel
def in_cache(
    form: int,
    x: Array,
    panels: Array,
    last: Last,
    y: Array,
    grid: Grid,
    used: Array,
    tiles: Array,
    products: Array,
    T: int,
    width: int,
) -> None:
    """The whole layer, T tiles at a time. ``tiles`` (workers, Q*Q, plane) and ``products`` likewise are scratch."""
    (_, P, C, W), terms, (workers, points, _) = panels.shape, terms_of(form), tiles.shape
    total = len(y) * grid[0] * grid[1]
    blocks = (total + T - 1) // T
    for worker in prange(workers):
        own_tiles, own_products = tiles[worker], products[worker]
        half, square = np.empty(points * max(C, width), x.dtype), np.empty(points * max(C, width), x.dtype)
        nothing, table = np.zeros(W, x.dtype), parts(C, terms, 1, W)
        for block in range(worker, blocks, workers):
            first = block * T
            count = min(T, total - first)
            for t in range(count):
                picture, row, column = inputs_at(form, first + t, grid)
                input_tile(form, x, picture, row, column, own_tiles, t, half, square)
            for p in used:
                for panel in range(P):
                    multiply_rows(own_tiles, panels, own_products, width, nothing, table, p, 0, count, panel)
            for t in range(count):
                picture, row, column = outputs_at(form, first + t, grid)
                output_tile(form, own_products, width, t, last, y, picture, row, column, half, square)


@njit
def tiles_per_turn(count: int) -> int:
    """So many that the cores can share ``count`` tiles evenly: 49 in seven turns would be 32 for one and 17 for the
    other."""
    return min(TILES_PER_TURN, max(1, count // FEWEST_TURNS))


@njit_parallel
def all_input_tiles(form: int, x: Array, first: int, count: int, grid: Grid, tiles: Array) -> None:
    """The rows of every plane for ``count`` tiles from ``first`` on."""
    points, C = tiles.shape[0], x.shape[3]
    per_turn = tiles_per_turn(count)
    for turn in prange((count + per_turn - 1) // per_turn):
        half, square = np.empty(points * C, x.dtype), np.empty(points * C, x.dtype)
        for t in range(turn * per_turn, min(count, (turn + 1) * per_turn)):
            picture, row, column = inputs_at(form, first + t, grid)
            input_tile(form, x, picture, row, column, tiles, t, half, square)


@njit_parallel
def all_products(form: int, used: Array, tiles: Array, panels: Array, products: Array, width: int, count: int) -> None:
    """products[p] = tiles[p] @ kernel[p] for every p in use and the first ``count`` tiles."""
    terms, (_, P, C, W) = terms_of(form), panels.shape
    row_blocks = (count + ROW_BLOCK - 1) // ROW_BLOCK
    for turn in prange(len(used) * row_blocks):
        p, block = used[turn // row_blocks], turn % row_blocks
        first, end = count * block // row_blocks, count * (block + 1) // row_blocks
        nothing, table = np.zeros(W, tiles.dtype), parts(C, terms, 1, W)
        for panel in range(P):
            multiply_rows(tiles, panels, products, width, nothing, table, p, first, end, panel)


@njit_parallel
def all_output_tiles(
    form: int, products: Array, width: int, last: Last, y: Array, first: int, count: int, grid: Grid
) -> None:
    """y for the tiles from ``first`` on."""
    points = len(products)
    per_turn = tiles_per_turn(count)
    for turn in prange((count + per_turn - 1) // per_turn):
        half, square = np.empty(points * width, y.dtype), np.empty(points * width, y.dtype)
        for t in range(turn * per_turn, min(count, (turn + 1) * per_turn)):
            picture, row, column = outputs_at(form, first + t, grid)
            output_tile(form, products, width, t, last, y, picture, row, column, half, square)
