"""Convolution as loops again, in an order that the processor likes.

The idea: the definition's innermost loop walks over input channels, and each step needs a kernel entry F numbers
further on. Put the loop over *filters* innermost instead. Then kernel and output are both read in the order they lie
in memory, eight or sixteen numbers at a time by the vector units, while one input number is held fixed:

    for each output row:                                  (in parallel)
        for kh, kw, ow, c:   y[ow, :] += x[ow*SW + kw, c] * kernel[kh, kw, c, :]

Four channels are taken per step, so that an output vector is loaded and stored once for four products instead of for
one. All three passes are this one loop. dx runs it over dy with the kernel's last two axes exchanged; dkernel runs it
once for every (kh, kw, c), along the output rows that this entry met. No copy of the input is made, not even for
padding: the range of positions that meet real pixels is computed instead.

Cost: as many multiplications as the definition, almost no extra memory. When it wins: many groups, where matrix
products would be thin. Limits: each product still costs a load, so other layers run faster as matrix products or with
Winograd.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.jit import inline, njit_parallel, prange
from minicnn.shapes import Array, Pair, Shape, Window


def unsupported(kernel_shape: Shape, window: Window, groups: int) -> str | None:
    """Nothing: every kernel, stride, padding, dilation and number of groups will do."""
    return None


def forward(x: Array, kernel: Array, bias: Array | None, window: Window, groups: int) -> Array:
    """(N, H, W, C), (KH, KW, C/groups, F) -> (N, OH, OW, F)"""
    filters = kernel.shape[3]
    y = np.empty((len(x), *window.output_size(*x.shape[1:3]), filters), x.dtype)
    start = np.zeros(filters, x.dtype) if bias is None else np.ascontiguousarray(bias)
    _forward(_dense(x), _by_group(kernel, groups), start, y, *_geometry(window, x.shape))
    return y


def input_gradient(dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (KH, KW, C/groups, F) -> (N, H, W, C)"""
    dx = np.empty(x_shape, dy.dtype)
    turned = np.ascontiguousarray(_by_group(kernel, groups).swapaxes(3, 4))  # (G, KH, KW, C, F) -> (G, KH, KW, F, C)
    _input_gradient(_dense(dy), turned, dx, *_geometry(window, x_shape))
    return dx


def kernel_gradient(dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (N, H, W, C) -> (KH, KW, C/groups, F)"""
    size_h, size_w, channels, filters = kernel_shape
    dkernel = np.zeros((groups, size_h, size_w, channels, filters // groups))
    _kernel_gradient(_dense(dy), _dense(x), dkernel, *_geometry(window, x.shape))
    # (G, KH, KW, C, F/G) -> (KH, KW, C, G, F/G) -> (KH, KW, C, F)
    return np.ascontiguousarray(dkernel.transpose(1, 2, 3, 0, 4).reshape(kernel_shape), dy.dtype)


def _dense(array: Array) -> Array:
    return np.ascontiguousarray(array)


def _by_group(kernel: Array, groups: int) -> Array:
    """(KH, KW, C, F) -> (G, KH, KW, C, F/G): each group's filters side by side in memory."""
    split = kernel.reshape(*kernel.shape[:3], groups, -1)  # (KH, KW, C, F) -> (KH, KW, C, G, F/G)
    return np.ascontiguousarray(split.transpose(3, 0, 1, 2, 4))


def _geometry(window: Window, x_shape: Shape) -> tuple[int, int, int, int, int, int]:
    """What the compiled loops need to know of the window: strides, dilations, zeros above and to the left."""
    (top, _), (left, _) = window.pads(*x_shape[1:3])
    return *window.strides, *window.dilation, top, left


@inline
def _inside(offset: int, stride: int, size: int, steps: int) -> Pair:
    """The steps i for which ``0 <= offset + i * stride < size``, as a half-open range within 0..steps."""
    first = max(0, -(offset // stride)) if offset < 0 else 0
    last = (size - 1 - offset) // stride + 1 if offset < size else 0
    return first, min(steps, last)


@inline
def _add_products(total: Array, row: Array, weights: Array) -> None:
    """total[f] += sum over c of row[c] * weights[c, f], four rows of weights at a time."""
    channels, width = weights.shape
    c = 0
    while c + 4 <= channels:
        a0, a1, a2, a3 = row[c], row[c + 1], row[c + 2], row[c + 3]
        for f in range(width):
            products = a0 * weights[c, f] + a1 * weights[c + 1, f]
            products += a2 * weights[c + 2, f] + a3 * weights[c + 3, f]
            total[f] += products
        c += 4
    while c < channels:
        a0 = row[c]
        for f in range(width):
            total[f] += a0 * weights[c, f]
        c += 1


@njit_parallel
def _forward(
    x: Array,
    kernel: Array,
    bias: Array,
    y: Array,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    top: int,
    left: int,
) -> None:
    count, height, width, _ = x.shape
    groups, size_h, size_w, channels, filters = kernel.shape
    out_h, out_w = y.shape[1], y.shape[2]
    for n_oh in prange(count * out_h):
        n, oh = n_oh // out_h, n_oh % out_h
        y[n, oh] = bias
        for g in range(groups):
            for kh in range(size_h):
                ih = oh * stride_h + kh * dilation_h - top
                if ih < 0 or ih >= height:
                    continue
                for kw in range(size_w):
                    offset = kw * dilation_w - left
                    first, last = _inside(offset, stride_w, width, out_w)
                    for ow in range(first, last):
                        row = x[n, ih, offset + ow * stride_w, g * channels : (g + 1) * channels]
                        _add_products(y[n, oh, ow, g * filters : (g + 1) * filters], row, kernel[g, kh, kw])


@njit_parallel
def _input_gradient(
    dy: Array,
    kernel: Array,
    dx: Array,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    top: int,
    left: int,
) -> None:
    count, height, width, _ = dx.shape
    groups, size_h, size_w, filters, channels = kernel.shape
    out_h, out_w = dy.shape[1], dy.shape[2]
    for n_ih in prange(count * height):
        n, ih = n_ih // height, n_ih % height
        dx[n, ih] = 0
        for g in range(groups):
            for kh in range(size_h):
                # Which output row looked at input row ih through kernel row kh? oh * stride_h = ih + top - kh *
                # dilation_h
                reach = ih + top - kh * dilation_h
                oh = reach // stride_h
                if reach < 0 or reach % stride_h or oh >= out_h:
                    continue
                for kw in range(size_w):
                    offset = kw * dilation_w - left
                    first, last = _inside(offset, stride_w, width, out_w)
                    for ow in range(first, last):
                        row = dy[n, oh, ow, g * filters : (g + 1) * filters]
                        into = dx[n, ih, offset + ow * stride_w, g * channels : (g + 1) * channels]
                        _add_products(into, row, kernel[g, kh, kw])


@njit_parallel
def _kernel_gradient(
    dy: Array,
    x: Array,
    dkernel: Array,
    stride_h: int,
    stride_w: int,
    dilation_h: int,
    dilation_w: int,
    top: int,
    left: int,
) -> None:
    count, height, width, _ = x.shape
    groups, size_h, size_w, channels, filters = dkernel.shape
    out_h, out_w = dy.shape[1], dy.shape[2]
    for index in prange(groups * size_h * size_w * channels):
        rest, c = index // channels, index % channels
        rest, kw = rest // size_w, rest % size_w
        g, kh = rest // size_h, rest % size_h
        offset = kw * dilation_w - left
        first, last = _inside(offset, stride_w, width, out_w)
        row_sum = np.empty(filters, dy.dtype)
        for n in range(count):
            for oh in range(out_h):
                ih = oh * stride_h + kh * dilation_h - top
                if ih < 0 or ih >= height or first >= last:
                    continue
                row_sum[:] = 0
                column = x[
                    n, ih, offset + first * stride_w : offset + (last - 1) * stride_w + 1 : stride_w, g * channels + c
                ]
                _add_products(row_sum, column, dy[n, oh, first:last, g * filters : (g + 1) * filters])
                # One row's sum is short; the sum of all rows is long and kept in float64.
                for f in range(filters):
                    dkernel[g, kh, kw, c, f] += row_sum[f]
