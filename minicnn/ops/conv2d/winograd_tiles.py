"""Winograd's transforms of one tile, compiled: from the picture into the products' layout, and back.

Every transform is a small matrix from both sides, M d M^T: first along rows, then along columns; what has a complex
point along both is put together there (``winograd_transforms.py``). Channels are taken
``CHANNELS`` at a time, so that what stands between the two steps stays in the cache nearest to the core.

Layouts. ``tiles`` (Q*Q, plane): for each of the Q*Q entries of a transformed tile, a *plane*: a matrix with a row per
tile, (T, C), and a few bytes that are not used. ``panels`` (Q*Q, P, rows, W): the same as the right-hand side of a
product, cut into panels of W columns (``ops/gemm``). A transform writes one row of every plane; if planes lay a power
of two apart, all of these would compete for a few places of the cache, hence the bytes (``winograd_plan.planes``).
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.activation_loops import gate_numbers
from minicnn.ops.constant_product import left_multiply, left_multiply_add
from minicnn.ops.conv2d.winograd_transforms import (
    CHANNELS,
    INPUT_FIRST,
    INPUT_PAIR,
    INPUT_ROW,
    OUTPUT_COLUMN,
    OUTPUT_LAST,
    OUTPUT_PAIR,
    UPSTREAM_FIRST,
    UPSTREAM_PAIR,
    UPSTREAM_ROW,
    inputs_of,
    outputs_of,
    values_of,
)
from minicnn.ops.copying import clear, copy, copy_past_cache, passes_cache
from minicnn.ops.jit import njit
from minicnn.ops.max_pooling import halve_window
from minicnn.ops.normalising import normalise_and_halve, normalise_rows
from minicnn.ops.simd import offset, pointer
from minicnn.shapes import Array

#: What is done with outputs: bias (F,), factors to normalise with (3, F) or (3, 0), what they are cut off at, whether
#: of every 2x2 only the largest is kept, and a gate, in the shape of the outputs or empty: where it is not above 0,
#: they become 0, as in ReLU's backward pass.
Last = tuple[Array, Array, float, bool, Array]


#: The tiles of a picture: how many down and across, and row and column where the first begins: of inputs, of outputs.
Grid = tuple[int, int, int, int, int, int]


@njit
def inside(start: int, size: int, limit: int) -> tuple[int, int]:
    """Which of the ``size`` places from ``start`` on lie in [0, limit): from the how many-th, and up to which."""
    first = min(size, max(0, -start))
    return first, max(first, min(size, limit - start))


@njit
def gather(x: Array, picture: int, row0: int, column0: int, size: int, square: Array) -> None:
    """square (size * size * C) = the pixels from (row0, column0) on; beyond the border they are zero."""
    _, H, W, C = x.shape
    first, end = inside(column0, size, W)
    for i in range(size):
        row, at = row0 + i, i * size * C
        if 0 <= row < H:
            clear(square, at, first * C)
            copy(x, ((picture * H + row) * W + column0 + first) * C, (end - first) * C, square, at + first * C)
            clear(square, at + end * C, (size - end) * C)
        else:
            clear(square, at, size * C)


@njit
def input_tile(
    form: int, x: Array, picture: int, row0: int, column0: int, tiles: Array, t: int, half: Array, square: Array
) -> None:
    """Row t of every plane = B^T d B for the n x n inputs d from (row0, column0) on."""
    _, H, W, C = x.shape
    n, (_, reals, pairs, Q), plane = inputs_of(form), values_of(form), tiles.shape[1]
    if row0 >= 0 and column0 >= 0 and row0 + n <= H and column0 + n <= W:
        source, row = pointer(x, ((picture * H + row0) * W + column0) * C), W * C
    else:
        gather(x, picture, row0, column0, n, square)
        source, row = pointer(square, 0), n * C
    for c in range(0, C, CHANNELS):
        w = min(CHANNELS, C - c)
        together = n if w == C else 1  # the columns of few channels lie side by side: take all of them as one
        for j in range(0, n, together):
            at = pointer(half, j * w)
            left_multiply(INPUT_FIRST, form, offset(source, j * C + c), row, at, n * w, together * w)
        for i in range(reals):
            to = pointer(tiles, i * Q * plane + t * C + c)
            left_multiply(INPUT_ROW, form, pointer(half, i * n * w), w, to, plane, w)
        for pair in range(pairs):
            at, to = (reals + 2 * pair) * n * w, (reals + 3 * pair) * Q * plane + t * C + c
            left_multiply(INPUT_PAIR, form, pointer(half, at), w, pointer(tiles, to), plane, w)


@njit
def output_tile(
    form: int,
    products: Array,
    width: int,
    t: int,
    last: Last,
    y: Array,
    picture: int,
    row0: int,
    column0: int,
    half: Array,
    square: Array,
) -> None:
    """The m x m outputs A^T M A + bias of tile t, where they belong; what hangs over the border is dropped.

    ``products`` (Q*Q, plane) with rows of ``width``. If ``last`` says so, of every 2x2 outputs the largest.
    """
    _, OH, OW, F = y.shape
    bias, factors, floor, halve, _ = last
    least = y.dtype.type(-np.inf) if factors.shape[1] > 0 else y.dtype.type(floor)
    m, (values, reals, pairs, _), plane = outputs_of(form), values_of(form), products.shape[1]
    (first_row, end_row), (first, end) = inside(row0, m, OH), inside(column0, m, OW)
    whole = end_row - first_row == end - first == m and not halve and not passes_cache(y, F)
    if whole:
        result, row = pointer(y, ((picture * OH + row0) * OW + column0) * F), OW * F
    else:
        result, row = pointer(square, 0), m * F
    for f in range(0, F, CHANNELS):
        w = min(CHANNELS, F - f)
        for j in range(reals):
            source = pointer(products, j * plane + t * width + f)
            left_multiply(OUTPUT_COLUMN, form, source, plane, pointer(half, j * w), values * w, w)
        for pair in range(pairs):
            source = pointer(products, (reals + 3 * pair) * plane + t * width + f)
            left_multiply(OUTPUT_PAIR, form, source, plane, pointer(half, (reals + 2 * pair) * w), w, w)
        for i in range(m):
            source, to = pointer(half, i * values * w), offset(result, i * row + f)
            left_multiply_add(OUTPUT_LAST, form, source, w, to, F, w, pointer(bias, f), least)
    if halve:
        halve_tile(square, m, factors, floor, y, picture, row0 // 2, column0 // 2)
        return
    found = y.reshape(-1, F) if whole else square[: m * m * F].reshape(-1, F)
    finish_tile(found, whole, m, last, y, picture, row0, column0)


@njit
def finish_tile(
    found: Array, in_place: bool, m: int, last: Last, y: Array, picture: int, row0: int, column0: int
) -> None:
    """Of the m x m outputs in ``found`` (pixels, F), those inside the picture: what ``last`` wants, then to their place
    in y. ``in_place``: ``found`` is y, and all of them are there."""
    _, OH, OW, F = y.shape
    _, factors, floor, _, gate = last
    (first_row, end_row), (first, end) = inside(row0, m, OH), inside(column0, m, OW)
    past, count = passes_cache(y, F), end - first
    for i in range(first_row, end_row):
        into = (picture * OH + row0 + i) * OW + column0 + first  # the pixel of y that this row of outputs begins with
        at = into if in_place else i * m + first
        if factors.shape[1] > 0:
            normalise_rows(found, factors, floor, found, at, at + count, 0, F)
        if gate.size > 0:
            gate_numbers(found, at * F, gate, into * F, found, at * F, count * F)
        if past:
            copy_past_cache(found, at * F, count * F, y, into * F)
        elif not in_place:
            copy(found, at * F, count * F, y, into * F)


@njit
def halve_tile(
    square: Array, m: int, factors: Array, floor: float, y: Array, picture: int, row: int, column: int
) -> None:
    """The largest of every 2x2 of the m x m pixels in ``square``, from (row, column) of y on; m is even."""
    _, OH, OW, F = y.shape
    for i in range(min(m // 2, OH - row)):
        for j in range(min(m // 2, OW - column)):
            at, to = 2 * (i * m + j) * F, ((picture * OH + row + i) * OW + column + j) * F
            if factors.shape[1] > 0:
                normalise_and_halve(square, at, m * F, F, factors, floor, y, to)
            else:
                halve_window(square, at, m * F, F, y, to, None)


@njit
def upstream_tile(
    form: int,
    dy: Array,
    picture: int,
    row0: int,
    column0: int,
    panels: Array,
    T: int,
    W: int,
    t: int,
    half: Array,
    square: Array,
) -> None:
    """A dy A^T for the m x m gradients from (row0, column0) on: ``output_tile``, transposed.

    It becomes row t of every panel in ``panels`` (Q*Q, plane), a plane being P panels (T, W).
    """
    _, OH, OW, F = dy.shape
    m, (_, reals, pairs, Q), plane = outputs_of(form), values_of(form), panels.shape[1]
    if row0 + m <= OH and column0 + m <= OW:
        source, row = pointer(dy, ((picture * OH + row0) * OW + column0) * F), OW * F
    else:
        gather(dy, picture, row0, column0, m, square)
        source, row = pointer(square, 0), m * F
    for f in range(0, F, CHANNELS):  # a whole number of panels
        w = min(CHANNELS, F - f)
        together = m if w == F else 1
        for j in range(0, m, together):
            at = pointer(half, j * w)
            left_multiply(UPSTREAM_FIRST, form, offset(source, j * F + f), row, at, m * w, together * w)
        for p in range(f // W, (f + w + W - 1) // W):
            wide, into, column = min(W, F - p * W), (p * T + t) * W, p * W - f
            for i in range(reals):
                to = pointer(panels, i * Q * plane + into)
                left_multiply(UPSTREAM_ROW, form, pointer(half, i * m * w + column), w, to, plane, wide)
            for pair in range(pairs):
                at, to = (reals + 2 * pair) * m * w + column, pointer(panels, (reals + 3 * pair) * Q * plane + into)
                left_multiply(UPSTREAM_PAIR, form, pointer(half, at), w, to, plane, wide)
            for k in range(wide, W):  # what fills up the last panel is multiplied too, and must not be NaN
                for point in range(Q * Q):
                    panels[point, into + k] = 0.0
