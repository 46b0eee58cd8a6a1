"""Winograd's three steps for many tiles: transform them, multiply, transform back. Compiled, and divided over the
cores.

Two ways to walk through a layer, with the same arithmetic and so the same bits:

``in_cache``: each thread takes a few tiles through all three steps, and what it computes on the way never leaves the
cache of its core. For layers whose transformed kernels fit there too, or nearly: the early ones, with many pixels.

``in_steps``: all tiles (or a large block of them) take each step together, and within the second step each of the Q*Q
products is computed for all of them. Transformed kernels, 38 MB for 512 to 512 channels, are then read once instead of
once per few tiles, and even 16 tiles keep all cores busy, because there are Q*Q products of them.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.conv2d.winograd_tiles import CHANNELS, input_tile, output_tile, upstream_tile
from minicnn.ops.conv2d.winograd_transforms import outputs_of
from minicnn.ops.gemm import even_rows
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.micro_kernel import ROWS, tile, tile_in_parts
from minicnn.ops.simd import pointer
from minicnn.shapes import Array

TILES_PER_TURN = 8  # of a parallel loop over tiles
TERMS, TERMS_6 = 32, 64  # of a sum that is added up at once, and with Q = 6; short sums round less
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
    terms = len_of_sum(len(tiles))
    whole, rest = C // terms, C % terms
    floor = products.dtype.type(-np.inf)
    b = pointer(panels, (p * P + panel) * C * W)
    for r in range(first, end, at_once):
        rows = min(at_once, end - r)
        a, to = pointer(tiles, (p * T + r) * C), pointer(products, (p * T + r) * width + panel * W)
        if whole:
            start = pointer(nothing, 0)
            tile_in_parts(rows, vectors, a, C, 1, b, pointer(offsets, 0), whole, terms, start, 0, to, width)
        if rest:
            start, start_row = (to, width) if whole else (pointer(nothing, 0), 0)
            tile(rows, vectors, a, C, 1, b, pointer(offsets, 2 * whole), 1, rest, start, start_row, to, width, floor)


@njit
def len_of_sum(points: int) -> int:
    """How many terms are added up at once for a tile of so many points."""
    return TERMS_6 if points == 36 else TERMS


@njit
def parts_of(C: int, W: int, points: int) -> Array:
    """The table of offsets (``micro_kernel.tile``) of sums over C channels in parts; b is a panel of W columns."""
    terms = len_of_sum(points)
    table = np.empty(2 * (C // terms + 1), np.intp)
    for part in range(C // terms + 1):
        table[2 * part], table[2 * part + 1] = part * terms, part * terms * W
    return table


@njit_parallel
def in_cache(
    form: int,
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
    """The whole layer. ``tiles`` (workers, Q*Q, T, C) and ``products`` (workers, Q*Q, T, width) are scratch."""
    N, OH, OW, _ = y.shape
    m = outputs_of(form)
    workers, points, T, C = tiles.shape
    width = products.shape[3]
    total = N * ((OH + m - 1) // m) * ((OW + m - 1) // m)
    blocks = (total + T - 1) // T
    for worker in prange(workers):
        own_tiles, own_products = tiles[worker], products[worker]
        half, square = np.empty(points * max(C, width), x.dtype), np.empty(points * max(C, width), x.dtype)
        nothing, offsets = np.zeros(panels.shape[3], x.dtype), parts_of(C, panels.shape[3], points)
        for block in range(worker, blocks, workers):
            first = block * T
            count = min(T, total - first)
            for t in range(count):
                picture, row, column = place_of(first + t, m, OH, OW)
                input_tile(form, x, picture, row - top, column - left, own_tiles, t, half, square)
            for p in range(points):
                for panel in range(panels.shape[1]):
                    multiply_rows(own_tiles, panels, own_products, nothing, offsets, p, 0, count, panel)
            for t in range(count):
                picture, row, column = place_of(first + t, m, OH, OW)
                output_tile(form, own_products, t, bias, floor, y, picture, row, column, half, square)


@njit_parallel
def all_input_tiles(
    form: int, x: Array, first: int, count: int, OH: int, OW: int, top: int, left: int, tiles: Array
) -> None:
    """tiles[:, :count] for the tiles from ``first`` on."""
    m, points, C = outputs_of(form), tiles.shape[0], x.shape[3]
    for turn in prange((count + TILES_PER_TURN - 1) // TILES_PER_TURN):
        half, square = np.empty(points * C, x.dtype), np.empty(points * C, x.dtype)
        for t in range(turn * TILES_PER_TURN, min(count, (turn + 1) * TILES_PER_TURN)):
            picture, row, column = place_of(first + t, m, OH, OW)
            input_tile(form, x, picture, row - top, column - left, tiles, t, half, square)


@njit_parallel
def all_products(tiles: Array, panels: Array, products: Array, count: int) -> None:
    """products[p] = tiles[p] @ kernel[p] for every p and the first ``count`` tiles."""
    points, P, _, W = panels.shape
    row_blocks = (count + ROW_BLOCK - 1) // ROW_BLOCK
    for turn in prange(points * row_blocks):
        p, first = turn // row_blocks, turn % row_blocks * ROW_BLOCK
        nothing, offsets = np.zeros(W, tiles.dtype), parts_of(tiles.shape[2], W, points)
        for panel in range(P):
            multiply_rows(tiles, panels, products, nothing, offsets, p, first, min(count, first + ROW_BLOCK), panel)


@njit_parallel
def all_output_tiles(form: int, products: Array, bias: Array, floor: float, y: Array, first: int, count: int) -> None:
    """y for the tiles from ``first`` on."""
    points, _, width = products.shape
    m, OH, OW = outputs_of(form), y.shape[1], y.shape[2]
    for turn in prange((count + TILES_PER_TURN - 1) // TILES_PER_TURN):
        half, square = np.empty(points * width, y.dtype), np.empty(points * width, y.dtype)
        for t in range(turn * TILES_PER_TURN, min(count, (turn + 1) * TILES_PER_TURN)):
            picture, row, column = place_of(first + t, m, OH, OW)
            output_tile(form, products, t, bias, floor, y, picture, row, column, half, square)


@njit_parallel
def all_upstream_tiles(form: int, dy: Array, first: int, count: int, panels: Array) -> None:
    """panels[:, :, :count] for the output gradients of the tiles from ``first`` on."""
    points = len(panels)
    m, OH, OW = outputs_of(form), dy.shape[1], dy.shape[2]
    for turn in prange((count + TILES_PER_TURN - 1) // TILES_PER_TURN):
        half, square = np.empty(points * CHANNELS, dy.dtype), np.empty(points * dy.shape[3], dy.dtype)
        for t in range(turn * TILES_PER_TURN, min(count, (turn + 1) * TILES_PER_TURN)):
            picture, row, column = place_of(first + t, m, OH, OW)
            upstream_tile(form, dy, picture, row, column, panels, t, half, square)


@njit_parallel
def add_kernel_products(tiles: Array, upstream: Array, total: Array, count: int, terms: int, fresh: bool) -> None:
    """total[p] (C, width) += tiles[p, :count]^T @ upstream[p, :count], or = for ``fresh`` totals.

    ``terms`` tiles are added up at once, and then such sums.
    """
    points, T, C = tiles.shape
    _, P, _, W = upstream.shape
    width = total.shape[2]
    at_once = even_rows(C, ROWS)
    floor = total.dtype.type(-np.inf)
    whole, rest = count // terms, count % terms
    offsets = np.empty(2 * (whole + 1), np.intp)
    for part in range(whole + 1):
        offsets[2 * part], offsets[2 * part + 1] = part * terms * C, part * terms * W
    for turn in prange(points * P):
        p, panel = turn // P, turn % P
        vectors = 2 if width - panel * W >= W else 1
        nothing = np.zeros(W, tiles.dtype)
        b = pointer(upstream, (p * P + panel) * T * W)
        for c in range(0, C, at_once):
            rows, a = min(at_once, C - c), pointer(tiles, p * T * C + c)
            to = pointer(total, (p * C + c) * width + panel * W)
            start, start_row = (pointer(nothing, 0), 0) if fresh else (to, width)
            if whole:
                at = pointer(offsets, 0)
                tile_in_parts(rows, vectors, a, 1, C, b, at, whole, terms, start, start_row, to, width)
                start, start_row = to, width
            if rest:
                at = pointer(offsets, 2 * whole)
                tile(rows, vectors, a, 1, C, b, at, 1, rest, start, start_row, to, width, floor)
