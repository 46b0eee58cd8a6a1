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
from minicnn.ops.jit import njit_parallel, prange
from minicnn.ops.simd import pointer
from minicnn.shapes import Array

CHANNEL_BLOCK = 32  # channels whose rows of a panel are written one after the other


@njit_parallel
def kernel_panels(form: int, kernel: Array, panels: Array) -> None:
    """panels (Q*Q, P, C, W) = G k G^T for the kernel (r, r, C, F) of every pair of a channel and a filter.

    Between the two steps in float64, whatever the dtype: nothing costs F(4x4) more digits than rounded kernels, and the
    time goes into writing the panels.
    """
    taps, _, C, F = kernel.shape
    (values, reals, pairs, Q), (_, P, _, W) = values_of(form), panels.shape
    plane, blocks = P * C * W, (C + CHANNEL_BLOCK - 1) // CHANNEL_BLOCK
    for piece in prange(blocks * P):  # of a panel, so many rows, which lie one behind the other in every plane
        block, p = piece // P, piece % P
        w, half = min(W, F - p * W), np.empty(values * taps * W, np.float64)
        for c in range(block * CHANNEL_BLOCK, min(C, (block + 1) * CHANNEL_BLOCK)):
            into = (p * C + c) * W
            for j in range(taps):
                source = pointer(kernel, (j * C + c) * F + p * W)
                left_multiply(KERNEL_FIRST, form, source, taps * C * F, pointer(half, j * w), taps * w, w)
            for i in range(reals):
                to = pointer(panels, i * Q * plane + into)
                left_multiply(KERNEL_ROW, form, pointer(half, i * taps * w), w, to, plane, w)
            for pair in range(pairs):
                at, to = (reals + 2 * pair) * taps * w, pointer(panels, (reals + 3 * pair) * Q * plane + into)
                left_multiply(KERNEL_PAIR, form, pointer(half, at), w, to, plane, w)
            for f in range(w, W):
                for point in range(Q * Q):
                    panels[point, p, c, f] = 0.0


@njit_parallel
def kernel_gradients(form: int, total: Array, dkernel: Array) -> None:
    """dkernel (r, r, C, F) = G^T dU G, for dU as ``total`` (Q*Q, C, width); in between in float64."""
    taps, _, C, F = dkernel.shape
    (values, reals, pairs, _), plane = values_of(form), C * total.shape[2]
    for c in prange(C):
        half, at = np.empty(values * taps * F, np.float64), c * total.shape[2]
        for j in range(reals):
            source, to = pointer(total, j * plane + at), pointer(half, j * F)
            left_multiply(GRADIENT_COLUMN, form, source, plane, to, values * F, F)
        for pair in range(pairs):
            source, to = pointer(total, (reals + 3 * pair) * plane + at), pointer(half, (reals + 2 * pair) * F)
            left_multiply(GRADIENT_PAIR, form, source, plane, to, F, F)
        for i in range(taps):
            to = pointer(dkernel, (i * taps * C + c) * F)
            left_multiply(GRADIENT_LAST, form, pointer(half, i * values * F), F, to, C * F, F)


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
