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
from minicnn.ops.jit import njit_parallel, prange
from minicnn.ops.simd import LINE_BYTES, pointer
from minicnn.shapes import Array

ROWS_AT_ONCE = 8  # of a panel, of all planes: in the cache next to the nearest, where one plane follows the other


@njit_parallel
def kernel_panels(form: int, used: Array, kernel: Array, panels: Array) -> None:
    """panels (Q*Q, P, C, W) = G k G^T for the kernel (r, r, C, F) of every pair of a channel and a filter.

    Between the two steps in float64, whatever the dtype: nothing costs F(4x4) more digits than rounded kernels, and the
    time goes into writing the panels. These lie far apart: what some channels have in one is written together.
    """
    taps, _, C, F = kernel.shape
    (values, reals, pairs, Q), (points, P, _, W) = values_of(form), panels.shape
    plane, blocks = ROWS_AT_ONCE * W + LINE_BYTES // panels.itemsize, (C + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
    past = passes_cache(panels, W)
    for piece in prange(blocks * P):
        p, first = piece // blocks, piece % blocks * ROWS_AT_ONCE
        rows, w = min(ROWS_AT_ONCE, C - first), min(W, F - p * W)
        half, own = np.empty(values * taps * W, np.float64), np.zeros(points * plane, panels.dtype)
        for row in range(rows):
            for j in range(taps):
                source = pointer(kernel, (j * C + first + row) * F + p * W)
                left_multiply(KERNEL_FIRST, form, source, taps * C * F, pointer(half, j * w), taps * w, w)
            for i in range(reals):
                to = pointer(own, i * Q * plane + row * W)
                left_multiply(KERNEL_ROW, form, pointer(half, i * taps * w), w, to, plane, w)
            for pair in range(pairs):
                at, to = (reals + 2 * pair) * taps * w, pointer(own, (reals + 3 * pair) * Q * plane + row * W)
                left_multiply(KERNEL_PAIR, form, pointer(half, at), w, to, plane, w)
        for point in used:
            to = ((point * P + p) * C + first) * W
            if past:
                copy_past_cache(own, point * plane, rows * W, panels, to)
            else:
                copy(own, point * plane, rows * W, panels, to)


@njit_parallel
def kernel_gradients(form: int, used: Array, total: Array, W: int, dkernel: Array) -> None:
    """dkernel (r, r, C, F) = G^T dU G, for dU as ``total`` (Q*Q, plane) with panels (C, W); in between in float64."""
    taps, _, C, F = dkernel.shape
    (values, reals, pairs, _), points = values_of(form), len(total)
    plane, blocks = ROWS_AT_ONCE * W + LINE_BYTES // total.itemsize, (C + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
    for piece in prange(blocks * ((F + W - 1) // W)):
        p, first = piece // blocks, piece % blocks * ROWS_AT_ONCE
        rows, w = min(ROWS_AT_ONCE, C - first), min(W, F - p * W)
        half, own = np.empty(values * taps * W, np.float64), np.empty(points * plane, total.dtype)
        for point in used:
            copy(total, point * total.shape[1] + (p * C + first) * W, rows * W, own, point * plane)
        for row in range(rows):
            for j in range(reals):
                source, to = pointer(own, j * plane + row * W), pointer(half, j * w)
                left_multiply(GRADIENT_COLUMN, form, source, plane, to, values * w, w)
            for pair in range(pairs):
                source, to = pointer(own, (reals + 3 * pair) * plane + row * W), pointer(half, (reals + 2 * pair) * w)
                left_multiply(GRADIENT_PAIR, form, source, plane, to, w, w)
            for i in range(taps):
                to = pointer(dkernel, (i * taps * C + first + row) * F + p * W)
                left_multiply(GRADIENT_LAST, form, pointer(half, i * values * w), w, to, C * F, w)


@njit_parallel
def turn(kernel: Array, turned: Array) -> None:
    """turned (r, r, F, C) = kernel (r, r, C, F), rotated by 180 degrees, its last two axes exchanged."""
    size_h, size_w, C, F = kernel.shape
    blocks = (F + 15) // 16
    for block in prange(size_h * size_w * blocks):
        tap, first = block // blocks, block % blocks * 16
        kh, kw = tap // size_w, tap % size_w
        for c0 in range(0, C, 16):
            for f in range(first, min(F, first + 16)):
                for c in range(c0, min(C, c0 + 16)):
                    turned[size_h - 1 - kh, size_w - 1 - kw, f, c] = kernel[kh, kw, c, f]
