"""dx of the direct algorithm: a convolution of dy with the turned kernel.

At stride 1 that is all. At stride s, the output at o saw the pixels o*s + k for the kernel's entries k; so the pixel
p = q*s + r, counted with the padding, was seen by entry r + s*j at output q - j, for every j that the kernel has. The
pixels with the same r, of s x s *phases*, see the same entries, and dx of one phase is a small convolution:

    dx[q*s + r] = sum over j of  dy[q - j] * kernel[r + s*j]

``apart`` computes one phase after the other: no multiplication too many. ``together`` computes them as the filters of
one convolution, C of them for each phase, and then puts the pixels where they belong. That is for few channels, whose
vectors would stay mostly empty: 3 channels at stride 2 are 12 filters. Where one phase has fewer entries than another,
its kernel is filled up with zeros. A zero times an infinity in dy is NaN; where a NaN comes out, ``apart`` decides.

The rearrangement of pixels is known from Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution Using an
Efficient Sub-Pixel Convolutional Neural Network".
"""

from __future__ import annotations

import numpy as np

from minicnn.ops import gemm
from minicnn.ops.conv2d.direct_rows import correlate_rows
from minicnn.ops.conv2d.direct_windows import (
    POINTWISE_TERMS,
    correlate,
    is_pointwise,
    pack_filters,
    pack_turned,
    segments_of,
    segments_per_sum,
)
from minicnn.ops.finishing import gated
from minicnn.ops.memory import empty
from minicnn.ops.micro_kernel import VECTORS, panel_width
from minicnn.ops.normalising import no_factors
from minicnn.shapes import Array, Shape, Window

TERMS = 64  # of a sum that are added up at once; twice as many put strided layers outside of the rule for errors


def input_gradient(
    dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int, gate: Array | None = None
) -> Array:
    """(N, OH, OW, F), (KH, KW, C/groups, F) -> (N, H, W, C)"""
    return gated(_input_gradient(dy, kernel, x_shape, window, groups), gate)


def _input_gradient(dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    if is_pointwise(window, window.pads(*x_shape[1:3])):
        nothing, floor = np.zeros(x_shape[3], dy.dtype), gemm.floor_of(False, dy.dtype)
        shape = (1, 1, kernel.shape[3] // groups, x_shape[3])
        return correlate(dy, pack_turned(kernel[0, 0], groups), shape, nothing, window, groups, floor, POINTWISE_TERMS)
    if groups == 1 and window.dilation == (1, 1) and _fewer_vectors(kernel.shape, window.strides, dy.dtype):
        dx = together(dy, kernel, x_shape, window)
        if not np.isnan(dx).any():
            return dx
    return apart(dy, kernel, x_shape, window, groups)


def _fewer_vectors(kernel_shape: Shape, strides: tuple[int, int], dtype: np.dtype) -> bool:
    """Whether all phases as one convolution take fewer multiplications of vectors than one after the other."""
    size_h, size_w, channels, _ = kernel_shape
    phases, lanes = strides[0] * strides[1], panel_width(dtype) // VECTORS
    most = -(-size_h // strides[0]) * -(-size_w // strides[1])  # entries that one phase sees
    return most * -(-channels * phases // lanes) < size_h * size_w * -(-channels // lanes)


def together(dy: Array, kernel: Array, x_shape: Shape, window: Window) -> Array:
    """All phases as the filters of one convolution."""
    (stride_h, stride_w), (size_h, size_w, channels, filters) = window.strides, kernel.shape
    (top, _), (left, _) = window.pads(*x_shape[1:3])
    taps_h, taps_w = -(-size_h // stride_h), -(-size_w // stride_w)
    own = np.zeros((taps_h * stride_h, taps_w * stride_w, channels, filters), kernel.dtype)
    own[:size_h, :size_w] = kernel
    # (J*s, J*s, C, F) -> (J, s, J, s, C, F), turned -> (J, J, F, s, s, C): a filter for each phase and channel
    split = own.reshape(taps_h, stride_h, taps_w, stride_w, channels, filters)[::-1, :, ::-1]
    own = np.ascontiguousarray(split.transpose(0, 2, 5, 1, 3, 4)).reshape(taps_h, taps_w, filters, -1)
    rows, columns = -(-(top + x_shape[1]) // stride_h), -(-(left + x_shape[2]) // stride_w)  # of each phase
    dy = np.ascontiguousarray(dy[:, :rows, :columns])  # an output beyond saw nothing but padding
    pads = ((taps_h - 1, rows - dy.shape[1]), (taps_w - 1, columns - dy.shape[2]))
    nothing, floor = np.zeros(own.shape[3], dy.dtype), gemm.floor_of(False, dy.dtype)
    found = correlate(
        dy, pack_filters(own, 1), own.shape, nothing, Window(own.shape[:2], padding=pads), 1, floor, TERMS
    )
    # (N, Q, Q, s, s, C) -> (N, Q*s, Q*s, C), without the padding
    pixels = found.reshape(len(dy), rows, columns, stride_h, stride_w, channels).transpose(0, 1, 3, 2, 4, 5)
    pixels = pixels.reshape(len(dy), rows * stride_h, columns * stride_w, channels)
    return np.ascontiguousarray(pixels[:, top : top + x_shape[1], left : left + x_shape[2]])


def apart(dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    """One phase after the other."""
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilation
    (top, _), (left, _) = window.pads(*x_shape[1:3])
    dx = empty(x_shape, dy.dtype)
    nothing = np.zeros(x_shape[3], dy.dtype)
    rows = [_phase(r, x_shape[1], kernel.shape[0], stride_h, dilation_h, top, dy.shape[1]) for r in range(stride_h)]
    columns = [_phase(r, x_shape[2], kernel.shape[1], stride_w, dilation_w, left, dy.shape[2]) for r in range(stride_w)]
    pads = tuple((max(p[4] for p in axis), max(p[5] for p in axis)) for axis in (rows, columns))
    dy, floor, none = np.ascontiguousarray(dy), gemm.floor_of(False, dy.dtype), no_factors(dy.dtype)
    size = tuple(n + sum(pad) for n, pad in zip(dy.shape[1:3], pads, strict=True))
    for first_h, count_h, taps_h, from_h, before_h, _ in rows:
        for first_w, count_w, taps_w, from_w, before_w, _ in columns:
            if not count_h or not count_w:
                continue
            if not len(range(*taps_h)) or not len(range(*taps_w)):
                dx[:, first_h::stride_h, first_w::stride_w] = 0  # no window ever looked here
                continue
            part = kernel[slice(*taps_h), slice(*taps_w)][::-1, ::-1]
            turned = _turned(part, groups)
            own = Window(turned.shape[:2], dilation=window.dilation)
            table = segments_of(size[1], dy.shape[3], turned.shape, own, groups, TERMS)
            start_h, start_w = pads[0][0] - before_h + from_h, pads[1][0] - before_w + from_w
            table[:, 0] += (start_h * size[1] + start_w) * dy.shape[3]
            steps = np.array([1, 1, first_h, first_w, stride_h, stride_w, start_h + own.span[0]], np.intp)
            around = (pads[0][0], pads[1][0], *size)
            panels = pack_filters(turned, groups)
            count, per_sum = (count_h, count_w), segments_per_sum(table, TERMS)
            correlate_rows(dy, around, panels, table, per_sum, steps, count, nothing, floor, none, dx)
    return dx


def _turned(part: Array, groups: int) -> Array:
    """(KH, KW, C/groups, F) -> (KH, KW, F/groups, C): what was an input channel becomes a filter, group by group."""
    split = part.reshape(*part.shape[:3], groups, -1)  # (KH, KW, C/G, F) -> (KH, KW, C/G, G, F/G)
    turned = split.transpose(0, 1, 4, 3, 2)  # -> (KH, KW, F/G, G, C/G)
    return np.ascontiguousarray(turned).reshape(*part.shape[:2], split.shape[4], -1)


def _phase(
    phase: int, size: int, taps: int, stride: int, dilation: int, before: int, outputs: int
) -> tuple[int, int, tuple[int, int, int], int, int, int]:
    """One axis of dx at the pixels p with (p + before) % stride == phase.

    (first such pixel, how many, the kernel taps that met them as a range, first row of dy the first of them needs,
    counted from ``zeros before dy``, zeros needed before dy, zeros needed after it).
    """
    first = (phase - before) % stride
    count = len(range(first, size, stride))
    own = range(phase, taps, stride)
    if not count or not len(own):
        return first, count, (phase, taps, stride), 0, 0, 0
    q = (first + before - phase) // stride  # the row of dy that its first tap met at the first pixel
    start = q - (len(own) - 1) * dilation
    zeros_before = max(0, -start)
    zeros_after = max(0, q + count - 1 - (outputs - 1))
    return first, count, (phase, taps, stride), start + zeros_before, zeros_before, zeros_after
