"""Winograd's transforms of kernels, compiled: into the panels that tiles are multiplied with, and dU back to dkernel.

As in ``winograd_tiles``, a transform is a small matrix from both sides, M k M^T, first along rows, then along columns.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.constant_product import left_multiply
from minicnn.ops.conv2d.winograd_transforms import (
    GRADIENT_COLUMN,
    GRADIENT_LAST,
    GRADIENT_PAIR,
    KERNEL_FIRST,
    KERNEL_PAIR,
    KERNEL_ROW,
    values_of,
)
from minicnn.ops.copying import copy, copy_past_cache, passes_cache
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.simd import LINE_BYTES, pointer
from minicnn.shapes import Array

ROWS_AT_ONCE = 16  # of a panel, which lie one behind the other in every plane


@njit
def cut_out(
    kernel: Array, turned: bool, first: int, rows: int, column: int, columns: int, W: int, block: Array
) -> None:
    """block[tap, row, k], rows W wide, = kernel (r, r, C, F)[tap, first + row, column + k] for every tap of r * r.

    Or of the ``turned`` kernel (r, r, F, C): rotated by 180 degrees, its last two axes exchanged.
    """
    taps, _, C, F = kernel.shape
    flat = kernel.reshape(-1)
    for tap in range(taps * taps):
        at, to = tap * C * F, tap * ROWS_AT_ONCE * W
        if not turned:
            for row in range(rows):
                copy(kernel, at + (first + row) * F + column, columns, block, to + row * W)
        else:
            at = (taps * taps - 1 - tap) * C * F
            for row in range(rows):
                for k in range(columns):
                    block[to + row * W + k] = flat[at + (column + k) * F + first + row]


@njit_parallel
def kernel_panels(form: int, used: Array, kernel: Array, turned: bool, panels: Array) -> None:
    """panels (Q*Q, P, C, W) = G k G^T for the kernel (r, r, C, F) of every pair of a channel and a filter; or for the
    ``turned`` one, see ``cut_out``, whose channels are filters.

    Between the two steps in float64, whatever the dtype: nothing costs F(4x4) more digits than rounded kernels, and the
    time goes into writing the panels. What some channels have in all planes is first put together in the cache, because
    planes lie far apart, and often a power of two, for which the cache has few places.
    """
    taps, F = kernel.shape[0], kernel.shape[2 if turned else 3]
    (values, reals, pairs, Q), (points, P, C, W) = values_of(form), panels.shape
    blocks, size = (C + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE, ROWS_AT_ONCE * W
    plane = size + LINE_BYTES // panels.itemsize  # a line more, or these too were a power of two apart
    past = passes_cache(panels, W)
    for piece in prange(blocks * P):
        p, first = piece // blocks, piece % blocks * ROWS_AT_ONCE
        rows, w = min(ROWS_AT_ONCE, C - first), min(W, F - p * W)
        block, own = np.zeros(taps * taps * size, kernel.dtype), np.empty(points * plane, panels.dtype)
        half = np.empty(values * taps * size, np.float64)
        cut_out(kernel, turned, first, rows, p * W, w, W, block)
        for j in range(taps):
            to = pointer(half, j * size)
            left_multiply(KERNEL_FIRST, form, pointer(block, j * size), taps * size, to, taps * size, rows * W)
        for i in range(reals):
            to = pointer(own, i * Q * plane)
            left_multiply(KERNEL_ROW, form, pointer(half, i * taps * size), size, to, plane, rows * W)
        for pair in range(pairs):
            at, to = (reals + 2 * pair) * taps * size, pointer(own, (reals + 3 * pair) * Q * plane)
            left_multiply(KERNEL_PAIR, form, pointer(half, at), size, to, plane, rows * W)
        for point in used:
            to = ((point * P + p) * C + first) * W
            if past:
                copy_past_cache(own, point * plane, rows * W, panels, to)
            else:
                copy(own, point * plane, rows * W, panels, to)


@njit_parallel
def kernel_gradients(form: int, total: Array, W: int, dkernel: Array) -> None:
    """dkernel (r, r, C, F) = G^T dU G, for dU as ``total`` (Q*Q, plane) with panels (C, W); in between in float64."""
    taps, _, C, F = dkernel.shape
    (values, reals, pairs, _), plane = values_of(form), total.shape[1]
    blocks, size = (C + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE, ROWS_AT_ONCE * W
    for piece in prange(blocks * ((F + W - 1) // W)):
        p, first = piece // blocks, piece % blocks * ROWS_AT_ONCE
        rows, w = min(ROWS_AT_ONCE, C - first), min(W, F - p * W)
        half, at = np.empty(values * taps * size, np.float64), (p * C + first) * W
        for j in range(reals):
            source, to = pointer(total, j * plane + at), pointer(half, j * size)
            left_multiply(GRADIENT_COLUMN, form, source, plane, to, values * size, rows * W)
        for pair in range(pairs):
            source, to = pointer(total, (reals + 3 * pair) * plane + at), pointer(half, (reals + 2 * pair) * size)
            left_multiply(GRADIENT_PAIR, form, source, plane, to, size, rows * W)
        for i in range(taps):
            for row in range(rows):
                source = pointer(half, i * values * size + row * W)
                to = pointer(dkernel, (i * taps * C + first + row) * F + p * W)
                left_multiply(GRADIENT_LAST, form, source, size, to, C * F, w)
