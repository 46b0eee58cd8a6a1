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

import functools
import itertools
from typing import NamedTuple

import numpy as np

from minicnn.ops import gemm
from minicnn.ops.conv2d.direct_rows import correlate_rows
from minicnn.ops.conv2d.direct_windows import (
    POINTWISE_TERMS,
    Segments,
    correlation,
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
from minicnn.shapes import KEPT, Array, Pair, Shape, Window

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
        panels = pack_turned(kernel[0, 0], groups)
        return correlation(dy.shape, panels, shape, nothing, window, groups, floor, POINTWISE_TERMS)(dy)
    if groups == 1 and window.dilation == (1, 1) and _fewer_vectors(kernel.shape, window.strides, dy.dtype):
        dx = together(dy, kernel, x_shape, window)
        spoiled = np.isnan(dx).any(axis=(1, 2, 3))
        if spoiled.any():  # these pictures alone: the bits of the others must not depend on their neighbours
            some = dy[spoiled]
            dx[spoiled] = apart(some, kernel, (len(some), *x_shape[1:]), window, groups)
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
    panels, phases = pack_filters(own, 1), Window(own.shape[:2], padding=pads)
    found = correlation(dy.shape, panels, own.shape, nothing, phases, 1, floor, TERMS)(dy)
    # (N, Q, Q, s, s, C) -> (N, Q*s, Q*s, C), without the padding
    pixels = found.reshape(len(dy), rows, columns, stride_h, stride_w, channels).transpose(0, 1, 3, 2, 4, 5)
    pixels = pixels.reshape(len(dy), rows * stride_h, columns * stride_w, channels)
    return np.ascontiguousarray(pixels[:, top : top + x_shape[1], left : left + x_shape[2]])


def apart(dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    """One phase after the other."""
    dx = empty(x_shape, dy.dtype)
    nothing = np.zeros(x_shape[3], dy.dtype)
    dy, floor, none = np.ascontiguousarray(dy), gemm.floor_of(False, dy.dtype), no_factors(dy.dtype)
    around, phases = _phases(dy.shape[1:], kernel.shape, x_shape[1:3], window, groups)
    for pixels, taps, table, per_sum, steps, out in phases:
        if not len(table):
            dx[:, *pixels] = 0  # no window ever looked here
            continue
        panels = pack_filters(_turned(kernel[taps][::-1, ::-1], groups), groups)
        correlate_rows(dy, around, panels, table, per_sum, steps, out, nothing, floor, none, dx)
    return dx


class _Phase(NamedTuple):
    """Its pixels, the kernel's taps that met them, and what ``correlate_rows`` has to know of both; ``out`` is how many
    rows and columns of pixels. ``table`` is empty where no tap met them."""

    pixels: tuple[slice, slice]
    taps: tuple[slice, slice]
    table: Segments
    per_sum: int
    steps: Array
    out: Pair


@functools.lru_cache(maxsize=KEPT)  # found once for a layer: for few pixels this takes longer than the products
def _phases(
    dy_shape: Shape, kernel_shape: Shape, size: Pair, window: Window, groups: int
) -> tuple[tuple[int, int, int, int], tuple[_Phase, ...]]:
    """Zeros above and to the left of dy, its height and width with all zeros, and the phases that have pixels."""
    pads, axes = window.pads(*size), zip(size, kernel_shape, window.strides, window.dilation, dy_shape, strict=False)
    rows, columns = (
        [_phase(r, n, taps, stride, dilation, pads[axis][0], outputs) for r in range(stride)]
        for axis, (n, taps, stride, dilation, outputs) in enumerate(axes)
    )
    top, left = (max(phase.before for phase in axis) for axis in (rows, columns))
    bottom, right = (max(phase.after for phase in axis) for axis in (rows, columns))
    height, width = top + dy_shape[0] + bottom, left + dy_shape[1] + right
    found = []
    for row, column in itertools.product(rows, columns):
        if not row.reached or not column.reached:
            continue
        pixels, taps = (row.pixels, column.pixels), (row.taps, column.taps)
        turned = row.met, column.met, kernel_shape[3] // groups, kernel_shape[2] * groups  # see ``_turned``
        if not row.met or not column.met:
            found.append(_Phase(pixels, taps, np.empty((0, 3), np.intp), 0, np.empty(0, np.intp), (0, 0)))
            continue
        own = Window(turned[:2], dilation=window.dilation)
        table = segments_of(width, dy_shape[2], turned, own, groups, TERMS)
        start_h, start_w = top - row.before + row.start, left - column.before + column.start
        table[:, 0] += (start_h * width + start_w) * dy_shape[2]
        (stride_h, stride_w), first_h, first_w = window.strides, row.pixels.start, column.pixels.start
        steps = np.array([1, 1, first_h, first_w, stride_h, stride_w, start_h + own.span[0]], np.intp)
        per_sum = segments_per_sum(table, TERMS)
        found.append(_Phase(pixels, taps, table, per_sum, steps, (row.reached, column.reached)))
    return (top, left, height, width), tuple(found)


def _turned(part: Array, groups: int) -> Array:
    """(KH, KW, C/groups, F) -> (KH, KW, F/groups, C): what was an input channel becomes a filter, group by group."""
    split = part.reshape(*part.shape[:3], groups, -1)  # (KH, KW, C/G, F) -> (KH, KW, C/G, G, F/G)
    turned = split.transpose(0, 1, 4, 3, 2)  # -> (KH, KW, F/G, G, C/G)
    return np.ascontiguousarray(turned).reshape(*part.shape[:2], split.shape[4], -1)


class _Axis(NamedTuple):
    """A phase along one axis: its pixels, how many these are, the taps that met them, and how many these are; the first
    row of dy that its first pixel needs, counted from the zeros before dy; zeros needed before and after dy."""

    pixels: slice
    reached: int
    taps: slice
    met: int
    start: int
    before: int
    after: int


def _phase(phase: int, size: int, taps: int, stride: int, dilation: int, before: int, outputs: int) -> _Axis:
    """One axis of dx at the pixels p with (p + before) % stride == phase."""
    first = (phase - before) % stride
    count, met = len(range(first, size, stride)), len(range(phase, taps, stride))
    q = (first + before - phase) // stride  # the row of dy that its first tap met at the first pixel
    start = q - (met - 1) * dilation
    zeros_before, zeros_after = max(0, -start), max(0, q + count - outputs)
    if not count or not met:
        start = zeros_before = zeros_after = 0
    pixels, own = slice(first, None, stride), slice(phase, taps, stride)
    return _Axis(pixels, count, own, met, start + zeros_before, zeros_before, zeros_after)
