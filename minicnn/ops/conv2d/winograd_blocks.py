"""Winograd's three steps for many tiles: transform them, multiply, transform back. Compiled, and divided over the
cores.

Two ways to walk through a layer, with the same arithmetic and so the same bits:

``in_cache``: each thread takes a few tiles through all three steps, and what it computes on the way never leaves the
cache of its core. For layers whose transformed kernels fit there too, or nearly: the early ones, with many pixels.

``in_steps``: all tiles (or a large block of them) take each step together, and within the second step each of the n*n
products is computed for all of them. Transformed kernels, 38 MB for 512 to 512 channels, are then read once instead of
once per few tiles, and even 16 tiles keep all cores busy, because there are n*n products of them.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.conv2d.winograd_tiles import input_tile, output_tile, upstream_tile
from minicnn.ops.gemm import even_rows
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.micro_kernel import ROWS, tile
from minicnn.ops.simd import pointer
from minicnn.shapes import Array

TILES_PER_TURN = 8  # of a parallel loop over tiles
TERMS_2, TERMS_4 = 32, 64  # of a sum that F(2x2) and F(4x4) add up at once; short sums round less
ROW_BLOCK = 224 // ROWS * ROWS  # tiles that are multiplied with one panel after the other while they are in the cache


@njit
def place_of(t: int, m: int, OH: int, OW: int) -> tuple[int, int, int]:
    """Picture, first row and first column of the outputs of tile t. Tiles count picture by picture, row by row."""
    down, across = (OH + m - 1) // m, (OW + m - 1) // m
    inside = t % (down * across)
    return t // (down * across), inside // across * m, inside % across * m


@njit
def multiply_rows(
    tiles: Array,
    panels: Array,
    products: Array,
    nothing: Array,
    offsets: Array,
    p: int,
    first: int,
    end: int,
    panel: int,
) -> None:
    """products[p, first:end] = tiles[p, first:end] @ panels[p, panel], for the columns of one panel."""
    _, T, C = tiles.shape
    _, P, _, W = panels.shape
    width = products.shape[2]
    at_once = even_rows(end - first, ROWS)
    vectors = 2 if width - panel * W >= W else 1
    terms = TERMS_2 if len(tiles) == 16 else TERMS_4
    floor = products.dtype.type(-np.inf)
    for r in range(first, end, at_once):
        to = pointer(products, (p * T + r) * width + panel * W)
        for c in range(0, C, terms):
            tile(
                min(at_once, end - r),
                vectors,
                pointer(tiles, (p * T + r) * C + c),
                C,
                1,
                pointer(panels, ((p * P + panel) * C + c) * W),
                pointer(offsets, 0),
                1,
                min(terms, C - c),
                pointer(nothing, 0) if c == 0 else to,
                0 if c == 0 else width,
                to,
                width,
                floor,
            )


@njit_parallel
def in_cache(
    m: int,
    x: Array,
    panels: Array,
    bias: Array,
    floor: float,
    y: Array,
    top: int,
    left: int,
    tiles: Array,
    products: Array,
) -> None:
    """The whole layer. ``tiles`` (workers, n*n, T, C) and ``products`` (workers, n*n, T, width) are scratch."""
    N, OH, OW, _ = y.shape
    workers, points, T, C = tiles.shape
    width = products.shape[3]
    total = N * ((OH + m - 1) // m) * ((OW + m - 1) // m)
    blocks = (total + T - 1) // T
    for worker in prange(workers):
        own_tiles, own_products = tiles[worker], products[worker]
        half, square = np.empty(points * max(C, width), x.dtype), np.empty(points * max(C, width), x.dtype)
        nothing, offsets = np.zeros(panels.shape[3], x.dtype), np.zeros(2, np.intp)
        for block in range(worker, blocks, workers):
            first = block * T
            count = min(T, total - first)
            for t in range(count):
                picture, row, column = place_of(first + t, m, OH, OW)
                input_tile(m, x, picture, row - top, column - left, own_tiles, t, half, square)
            for p in range(points):
                for panel in range(panels.shape[1]):
                    multiply_rows(own_tiles, panels, own_products, nothing, offsets, p, 0, count, panel)
            for t in range(count):
                picture, row, column = place_of(first + t, m, OH, OW)
                output_tile(m, own_products, t, bias, floor, y, picture, row, column, half, square)


@njit_parallel
def all_input_tiles(
    m: int, x: Array, first: int, count: int, OH: int, OW: int, top: int, left: int, tiles: Array
) -> None:
    """tiles[:, :count] for the tiles from ``first`` on."""
    points, C = tiles.shape[0], x.shape[3]
    for turn in prange((count + TILES_PER_TURN - 1) // TILES_PER_TURN):
        half, square = np.empty(points * C, x.dtype), np.empty(points * C, x.dtype)
        for t in range(turn * TILES_PER_TURN, min(count, (turn + 1) * TILES_PER_TURN)):
            picture, row, column = place_of(first + t, m, OH, OW)
            input_tile(m, x, picture, row - top, column - left, tiles, t, half, square)


@njit_parallel
def all_products(tiles: Array, panels: Array, products: Array, count: int) -> None:
    """products[p] = tiles[p] @ kernel[p] for every p and the first ``count`` tiles."""
    points, P, _, W = panels.shape
    row_blocks = (count + ROW_BLOCK - 1) // ROW_BLOCK
    for turn in prange(points * row_blocks):
        p, first = turn // row_blocks, turn % row_blocks * ROW_BLOCK
        nothing, offsets = np.zeros(W, tiles.dtype), np.zeros(2, np.intp)
        for panel in range(P):
            multiply_rows(tiles, panels, products, nothing, offsets, p, first, min(count, first + ROW_BLOCK), panel)


@njit_parallel
def all_output_tiles(m: int, products: Array, bias: Array, floor: float, y: Array, first: int, count: int) -> None:
    """y for the tiles from ``first`` on."""
    points, _, width = products.shape
    OH, OW = y.shape[1:3]
    for turn in prange((count + TILES_PER_TURN - 1) // TILES_PER_TURN):
        half, square = np.empty(points * width, y.dtype), np.empty(points * width, y.dtype)
        for t in range(turn * TILES_PER_TURN, min(count, (turn + 1) * TILES_PER_TURN)):
            picture, row, column = place_of(first + t, m, OH, OW)
            output_tile(m, products, t, bias, floor, y, picture, row, column, half, square)


@njit_parallel
def all_upstream_tiles(m: int, dy: Array, first: int, count: int, panels: Array) -> None:
    """panels[:, :, :count] for the output gradients of the tiles from ``first`` on."""
    points, _, _, W = panels.shape
    OH, OW = dy.shape[1:3]
    for turn in prange((count + TILES_PER_TURN - 1) // TILES_PER_TURN):
        half, square = np.empty(points * W, dy.dtype), np.empty(points * dy.shape[3], dy.dtype)
        for t in range(turn * TILES_PER_TURN, min(count, (turn + 1) * TILES_PER_TURN)):
            picture, row, column = place_of(first + t, m, OH, OW)
            upstream_tile(m, dy, picture, row, column, panels, t, half, square)


@njit_parallel
def add_kernel_products(tiles: Array, upstream: Array, total: Array, first: int, count: int, fresh: bool) -> None:
    """total[p] (C, width) += tiles[p, first:first + count]^T @ upstream[p, ...], or = for ``fresh`` totals."""
    points, T, C = tiles.shape
    _, P, _, W = upstream.shape
    width = total.shape[2]
    at_once = even_rows(C, ROWS)
    for turn in prange(points * P):
        p, panel = turn // P, turn % P
        nothing, offsets = np.zeros(W, tiles.dtype), np.zeros(2, np.intp)
        for c in range(0, C, at_once):
            at = (p * C + c) * width + panel * W
            tile(
                min(at_once, C - c),
                2 if width - panel * W >= W else 1,
                pointer(tiles, (p * T + first) * C + c),
                1,
                C,
                pointer(upstream, ((p * P + panel) * T + first) * W),
                pointer(offsets, 0),
                1,
                count,
                pointer(nothing, 0) if fresh else pointer(total, at),
                0 if fresh else width,
                pointer(total, at),
                width,
                total.dtype.type(-np.inf),
            )
