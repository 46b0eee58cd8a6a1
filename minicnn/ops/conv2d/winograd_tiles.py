"""Winograd's transforms of one tile, compiled: from the picture into the products' layout, and back.

Every transform is a small matrix from both sides, M d M^T: first along rows, then along columns. Channels are taken
``CHANNELS`` at a time, so that what stands between the two steps stays in the cache nearest to the core.

Layouts. ``tiles`` (Q*Q, plane): for each of the Q*Q entries of a transformed tile, a *plane*: a matrix with a row per
tile, (T, C), and a few bytes that are not used. ``panels`` (Q*Q, P, rows, W): the same as the right-hand side of a
product, cut into panels of W columns (``ops/gemm``). A transform writes one row of every plane; if planes lay a power
of two apart, all of these would compete for a few places of the cache, hence the bytes (``winograd.planes``).
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.conv2d.winograd_transforms import (
    inputs_of,
    outputs_of,
    products_of,
    to_input,
    to_kernel,
    to_kernel_gradient,
    to_output,
    to_output_add,
    to_upstream,
)
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.simd import offset, pointer
from minicnn.shapes import Array

CHANNELS = 64  # at a time: 6 x 7 x 64 numbers between two steps, 11 KB


@njit
def gather(x: Array, picture: int, row0: int, column0: int, size: int, square: Array) -> None:
    """square (size * size * C) = the pixels from (row0, column0) on; beyond the border they are zero."""
    _, H, W, C = x.shape
    at = 0
    for row in range(row0, row0 + size):
        for column in range(column0, column0 + size):
            if 0 <= row < H and 0 <= column < W:
                for c in range(C):
                    square[at + c] = x[picture, row, column, c]
            else:
                for c in range(C):
                    square[at + c] = 0.0
            at += C


@njit
def input_tile(
    form: int, x: Array, picture: int, row0: int, column0: int, tiles: Array, t: int, half: Array, square: Array
) -> None:
    """Row t of every plane = B^T d B for the n x n inputs d from (row0, column0) on."""
    _, H, W, C = x.shape
    n, Q, plane = inputs_of(form), products_of(form), tiles.shape[1]
    if row0 >= 0 and column0 >= 0 and row0 + n <= H and column0 + n <= W:
        source, row = pointer(x, ((picture * H + row0) * W + column0) * C), W * C
    else:
        gather(x, picture, row0, column0, n, square)
        source, row = pointer(square, 0), n * C
    for c in range(0, C, CHANNELS):
        w = min(CHANNELS, C - c)
        together = n if w == C else 1  # the columns of few channels lie side by side: take all of them as one
        for j in range(0, n, together):
            to_input(form, offset(source, j * C + c), row, pointer(half, j * w), n * w, together * w)
        for i in range(Q):
            to = pointer(tiles, i * Q * plane + t * C + c)
            to_input(form, pointer(half, i * n * w), w, to, plane, w)


@njit
def output_tile(
    form: int,
    products: Array,
    width: int,
    t: int,
    bias: Array,
    floor: float,
    y: Array,
    picture: int,
    row0: int,
    column0: int,
    half: Array,
    square: Array,
) -> None:
    """The m x m outputs A^T M A + bias of tile t, where they belong; what hangs over the border is dropped.

    ``products`` (Q*Q, plane) with rows of ``width``.
    """
    _, OH, OW, F = y.shape
    m, Q, plane = outputs_of(form), products_of(form), products.shape[1]
    inside = row0 >= 0 and column0 >= 0 and row0 + m <= OH and column0 + m <= OW
    if inside:
        result, row = pointer(y, ((picture * OH + row0) * OW + column0) * F), OW * F
    else:
        result, row = pointer(square, 0), m * F
    for f in range(0, F, CHANNELS):
        w = min(CHANNELS, F - f)
        for j in range(Q):
            source = pointer(products, j * plane + t * width + f)
            to_output(form, source, Q * plane, pointer(half, j * w), Q * w, w)
        for i in range(m):
            source, to = pointer(half, i * Q * w), offset(result, i * row + f)
            to_output_add(form, source, w, to, F, w, pointer(bias, f), floor)
    if not inside:
        for i in range(max(0, -row0), min(m, OH - row0)):
            for j in range(max(0, -column0), min(m, OW - column0)):
                for f in range(F):
                    y[picture, row0 + i, column0 + j, f] = square[(i * m + j) * F + f]


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
    m, Q, plane = outputs_of(form), products_of(form), panels.shape[1]
    if row0 + m <= OH and column0 + m <= OW:
        source, row = pointer(dy, ((picture * OH + row0) * OW + column0) * F), OW * F
    else:
        gather(dy, picture, row0, column0, m, square)
        source, row = pointer(square, 0), m * F
    for f in range(0, F, CHANNELS):  # a whole number of panels
        w = min(CHANNELS, F - f)
        together = m if w == F else 1
        for j in range(0, m, together):
            to_upstream(form, offset(source, j * F + f), row, pointer(half, j * w), m * w, together * w)
        for p in range(f // W, (f + w + W - 1) // W):
            inside = min(W, F - p * W)
            for i in range(Q):
                to = pointer(panels, i * Q * plane + (p * T + t) * W)
                to_upstream(form, pointer(half, i * m * w + p * W - f), w, to, plane, inside)
                for j in range(Q):  # what fills up the last panel is multiplied too, and must not be NaN
                    for k in range(inside, W):
                        panels[i * Q + j, (p * T + t) * W + k] = 0.0


@njit_parallel
def kernel_panels(form: int, kernel: Array, panels: Array) -> None:
    """panels (Q*Q, P, C, W) = G k G^T for the kernel (r, r, C, F) of every pair of a channel and a filter.

    Between the two steps in float64, whatever the dtype: nothing costs F(4x4) more digits than rounded kernels, and the
    time goes into writing the panels.
    """
    taps, _, C, F = kernel.shape
    Q, (_, P, _, W) = products_of(form), panels.shape
    for c in prange(C):
        half = np.empty(Q * taps * W, np.float64)
        for p in range(P):
            w = min(W, F - p * W)
            for j in range(taps):
                source = (j * C + c) * F + p * W
                to_kernel(form, pointer(kernel, source), taps * C * F, pointer(half, j * w), taps * w, w)
            for i in range(Q):
                into = ((i * Q * P + p) * C + c) * W
                to_kernel(form, pointer(half, i * taps * w), w, pointer(panels, into), P * C * W, w)
                for j in range(Q):
                    for f in range(w, W):
                        panels[i * Q + j, p, c, f] = 0.0


@njit_parallel
def kernel_gradients(form: int, total: Array, dkernel: Array) -> None:
    """dkernel (r, r, C, F) = G^T dU G, for dU as ``total`` (Q*Q, C, width); in between in float64."""
    taps, _, C, F = dkernel.shape
    Q, width = products_of(form), total.shape[2]
    for c in prange(C):
        half = np.empty(Q * taps * F, np.float64)
        for j in range(Q):
            source = (j * C + c) * width
            to_kernel_gradient(form, pointer(total, source), Q * C * width, pointer(half, j * F), Q * F, F)
        for i in range(taps):
            into = (i * taps * C + c) * F
            to_kernel_gradient(form, pointer(half, i * Q * F), F, pointer(dkernel, into), C * F, F)


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
