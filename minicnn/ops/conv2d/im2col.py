"""Convolution as one matrix product ("image to columns").

The idea: lay out, for every output position, the KH*KW*C inputs it looks at as one row of a matrix. All outputs are
then a single product, and matrix products are what computers do best:

    columns  (N*OH*OW, KH*KW*C)   @   kernel (KH*KW*C, F)   ->   y (N*OH*OW, F)

Backward, by the two rules for a product Y = X @ K:

    dkernel = columns.T @ dy                    dcolumns = dy @ kernel.T,  added back to where each column came from

Cost: every input is copied KH*KW times, and memory traffic becomes the limit when channels are few. The matrix is
therefore never built whole but for a block of output rows at a time (``BLOCK_BYTES``), which also bounds the memory.
Its product runs at the full speed of the BLAS; ``direct`` multiplies as fast and copies nothing, so "auto" never takes
this one. Paper: Chellapilla, Puri, Simard 2006, "High Performance Convolutional Neural Networks for Document
Processing".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minicnn.ops.conv2d.prepared import never_prepared
from minicnn.ops.finishing import PLAIN, Finish, gated
from minicnn.shapes import Array, Pair, Shape, Window

BLOCK_BYTES = 8 * 2**20  # a block of columns should stay in the caches between being written and being multiplied


def unsupported(kernel_shape: Shape, window: Window, groups: int) -> str | None:
    """Nothing: every kernel, stride, padding, dilation and number of groups will do."""
    return None


def prepare(kernel: Array, window: Window, groups: int) -> None:
    """Nothing: kernels are used as they are."""


def forward(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    finish: Finish = PLAIN,
    prepared: Array | None = None,
) -> Array:
    """(N, H, W, C), (KH, KW, C/groups, F) -> (N, OH, OW, F)"""
    channels, filters = kernel.shape[2:]
    out = window.output_size(*x.shape[1:3])
    y = np.empty((len(x), *out, filters), x.dtype)
    padded = padded_pictures(x, window)
    for g, f in _groups(groups, channels, filters):
        weights = kernel[..., f].reshape(-1, filters // groups)  # (KH, KW, C, F) -> (KH*KW*C, F)
        for n, rows in _blocks(len(x), out, weights.shape[0] * x.itemsize):
            columns = image_columns(padded[n, :, :, g], rows, out[1], window)
            y[n, rows, :, f] = (columns @ weights).reshape(-1, out[1], filters // groups)
    if bias is not None:
        y += bias
    return finish.apply(y)


ready = never_prepared(forward)


def input_gradient(
    dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int, gate: Array | None = None
) -> Array:
    """(N, OH, OW, F), (KH, KW, C/groups, F) -> (N, H, W, C)"""
    size_h, size_w, channels, filters = kernel.shape
    out: Pair = dy.shape[1:3]
    (top, bottom), (left, right) = window.pads(*x_shape[1:3])
    count, height, width, _ = x_shape
    dpadded = np.zeros((count, height + top + bottom, width + left + right, x_shape[3]), dy.dtype)
    for g, f in _groups(groups, channels, filters):
        weights = kernel[..., f].reshape(-1, filters // groups)  # (KH, KW, C, F) -> (KH*KW*C, F)
        for n, rows in _blocks(count, out, weights.shape[0] * dy.itemsize):
            upstream = dy[n, rows, :, f].reshape(-1, filters // groups)  # (rows, OW, F) -> (rows*OW, F)
            dcolumns = (upstream @ weights.T).reshape(-1, out[1], size_h, size_w, channels)
            # Windows overlap, so their gradients must be added, one kernel position at a time.
            for kh, kw in np.ndindex(size_h, size_w):
                _tap(dpadded[n, :, :, g], rows, out[1], kh, kw, window)[...] += dcolumns[:, :, kh, kw]
    return gated(np.ascontiguousarray(dpadded[:, top : top + height, left : left + width]), gate)


def kernel_gradient(dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (N, H, W, C) -> (KH, KW, C/groups, F)"""
    size_h, size_w, channels, filters = kernel_shape
    out: Pair = dy.shape[1:3]
    dkernel = np.empty(kernel_shape, dy.dtype)
    padded = padded_pictures(x, window)
    for g, f in _groups(groups, channels, filters):
        # The blocks' sums are few but long: adding them up in float64 keeps float32 as exact as its products.
        total = np.zeros((size_h * size_w * channels, filters // groups))
        for n, rows in _blocks(len(x), out, total.shape[0] * x.itemsize):
            upstream = dy[n, rows, :, f].reshape(-1, filters // groups)  # (rows, OW, F) -> (rows*OW, F)
            total += image_columns(padded[n, :, :, g], rows, out[1], window).T @ upstream
        dkernel[..., f] = total.reshape(size_h, size_w, channels, -1)  # (KH*KW*C, F) -> (KH, KW, C, F)
    return dkernel


def padded_pictures(x: Array, window: Window) -> Array:
    """x with the zeros that its window reaches into, (N, H, W, C) -> (N, PH, PW, C)."""
    pads = window.pads(*x.shape[1:3])
    return np.pad(x, ((0, 0), *pads, (0, 0))) if np.any(pads) else x


def _groups(groups: int, channels: int, filters: int) -> Iterator[tuple[slice, slice]]:
    """For each group, the input channels it reads and the filters it feeds."""
    per_group = filters // groups
    for g in range(groups):
        yield slice(g * channels, (g + 1) * channels), slice(g * per_group, (g + 1) * per_group)


def _blocks(count: int, out: Pair, bytes_per_position: int) -> Iterator[tuple[int, slice]]:
    """Picture by picture, as many output rows at once as BLOCK_BYTES allow."""
    rows = max(1, BLOCK_BYTES // (bytes_per_position * out[1]))
    for n in range(count):
        for start in range(0, out[0], rows):
            yield n, slice(start, min(start + rows, out[0]))


def _tap(picture: Array, rows: slice, width: int, kh: int, kw: int, window: Window) -> Array:
    """The inputs that kernel position (kh, kw) meets in these output rows: a strided view, (rows, OW, C)."""
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilation
    top, left = kh * dilation_h + rows.start * stride_h, kw * dilation_w
    last_row = top + (rows.stop - rows.start - 1) * stride_h
    return picture[top : last_row + 1 : stride_h, left : left + (width - 1) * stride_w + 1 : stride_w]


def image_columns(picture: Array, rows: slice, width: int, window: Window) -> Array:
    """The matrix for some rows of outputs: a padded picture (PH, PW, C) -> (rows*OW, KH*KW*C)."""
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilation
    everywhere = sliding_window_view(picture, window.span, axis=(0, 1))  # -> (*, *, C, span, span), a view
    top, last_row = rows.start * stride_h, (rows.stop - 1) * stride_h
    chosen = everywhere[top : last_row + 1 : stride_h, : (width - 1) * stride_w + 1 : stride_w]
    taps = chosen[:, :, :, ::dilation_h, ::dilation_w].transpose(0, 1, 3, 4, 2)  # -> (rows, OW, KH, KW, C), a view
    return taps.reshape((rows.stop - rows.start) * width, -1)  # here every input is copied KH*KW times
