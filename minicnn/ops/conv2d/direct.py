"""Convolution as it is defined, at the speed of a matrix product: nothing is copied, nothing is computed twice.

The idea: a convolution is a matrix product whose left side exists already. Row (oh, ow) of the matrix that ``im2col``
builds holds the window at (oh, ow); within it, each row of the kernel meets KW*C numbers that lie side by side in the
picture, and the window of the next position starts SW*C numbers further on. That is all the register kernel asks of its
left side (``ops/micro_kernel.py``): rows at equal distances, each made of segments. So it reads the windows where they
lie, and the matrix, KH*KW times as large as the picture, is never built:

    y[oh, ow : ow + 14, f : f + 32]  =  sum over kh  of  windows (14, KW*C)  @  kernel[kh] (KW*C, 32)

All three passes are this one product. dx is a convolution of dy with the turned kernel; at stride s, the pixels of dx
fall into s x s classes by their position, and each class sees every s-th kernel entry only: s*s small convolutions.
dkernel is a product of the windows' transpose with dy, summed over positions.

Cost: as many multiplications as the definition; memory for the padded picture, if there is padding. When it wins:
strides, large kernels, 1x1 kernels, few channels: everything that Winograd does not take. Limits: with groups of few
channels or filters vectors stay partly empty; depthwise layers have an operation of their own.
Paper: Georganas et al. 2018, "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures".
"""

from __future__ import annotations

import numba
import numpy as np

from minicnn.ops import gemm
from minicnn.ops.conv2d.direct_gradient import window_products
from minicnn.ops.conv2d.direct_rows import correlate_rows, pad_picture
from minicnn.ops.memory import empty, scratch
from minicnn.ops.micro_kernel import panel_width
from minicnn.shapes import Array, Pads, Shape, Window

Offsets = Array  # (segments, 2): where each begins in the picture, and its factors in the panel

# Terms of a sum that are added up at once, forward and for dx; twice as many put strided layers outside of the rule for
# errors. A run of numbers in a window is read in one go; a longer one is divided, if that leaves SHORTEST_RUN or more.
TERMS, DX_TERMS, SHORTEST_RUN = 128, 64, 32
LONG_ROW = 224  # pixels, for 1x1 kernels
POSITIONS = 256  # that a kernel gradient packs at once


def unsupported(kernel_shape: Shape, window: Window, groups: int) -> str | None:
    """Nothing: every kernel, stride, padding, dilation and number of groups will do."""
    return None


def prepare(kernel: Array, window: Window, groups: int) -> Array:
    """(KH, KW, C/groups, F) -> each group's filters in panels, (G, P, KH*KW*C/groups, W): see ``ops/gemm.py``."""
    filters = kernel.shape[3] // groups
    flat = np.ascontiguousarray(kernel).reshape(-1, kernel.shape[3])  # (KH, KW, C, F) -> (KH*KW*C, F)
    parts = [gemm.pack(flat[:, g * filters : (g + 1) * filters]) for g in range(groups)]
    return parts[0][None] if groups == 1 else np.stack(parts)


def forward(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    relu: bool = False,
    prepared: Array | None = None,
) -> Array:
    """(N, H, W, C), (KH, KW, C/groups, F) -> (N, OH, OW, F)"""
    panels = prepare(kernel, window, groups) if prepared is None else prepared
    filters, out, pads = kernel.shape[3], window.output_size(*x.shape[1:3]), window.pads(*x.shape[1:3])
    shape = (len(x), *out, filters)
    y = empty(shape, x.dtype)
    x = np.ascontiguousarray(x)
    start = np.zeros(filters, x.dtype) if bias is None else np.ascontiguousarray(bias)
    floor = gemm.floor_of(relu, x.dtype)
    (top, bottom), (left, right) = pads
    if window.size == window.strides == (1, 1) and not np.any(
        pads
    ):  # where a row ends does not matter: take longer ones
        rows = next(d for d in range(out[0], 0, -1) if out[0] % d == 0 and (d * out[1] <= LONG_ROW or d == 1))
        out = (out[0] // rows, rows * out[1])
        x, y = x.reshape(-1, *out, x.shape[3]), y.reshape(-1, *out, filters)  # (N, H, W, C) -> (N, H/rows, rows*W, C)
    size = (x.shape[1] + top + bottom, x.shape[2] + left + right)
    offsets, run = _segments(size[1], x.shape[3], kernel.shape, window, groups, TERMS)
    steps = np.array([*window.strides, 0, 0, 1, 1, window.span[0]], np.intp)
    correlate_rows(x, (top, left, *size), panels, offsets, run, steps, out, start, floor, TERMS, y)
    return y.reshape(shape)


def input_gradient(dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (KH, KW, C/groups, F) -> (N, H, W, C)"""
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilation
    (top, _), (left, _) = window.pads(*x_shape[1:3])
    dx = empty(x_shape, dy.dtype)
    nothing = np.zeros(x_shape[3], dy.dtype)
    rows = [_phase(r, x_shape[1], kernel.shape[0], stride_h, dilation_h, top, dy.shape[1]) for r in range(stride_h)]
    columns = [_phase(r, x_shape[2], kernel.shape[1], stride_w, dilation_w, left, dy.shape[2]) for r in range(stride_w)]
    pads = tuple((max(p[4] for p in axis), max(p[5] for p in axis)) for axis in (rows, columns))
    dy, floor = np.ascontiguousarray(dy), gemm.floor_of(False, dy.dtype)
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
            offsets, run = _segments(size[1], dy.shape[3], turned.shape, own, groups, DX_TERMS)
            start_h, start_w = pads[0][0] - before_h + from_h, pads[1][0] - before_w + from_w
            offsets[:, 0] += (start_h * size[1] + start_w) * dy.shape[3]
            steps = np.array([1, 1, first_h, first_w, stride_h, stride_w, start_h + own.span[0]], np.intp)
            around = (pads[0][0], pads[1][0], *size)
            panels = prepare(turned, own, groups)
            count = (count_h, count_w)
            correlate_rows(dy, around, panels, offsets, run, steps, count, nothing, floor, DX_TERMS, dx)
    return dx


def kernel_gradient(dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (N, H, W, C) -> (KH, KW, C/groups, F)"""
    filters = kernel_shape[3]
    picture, dy = _padded(np.ascontiguousarray(x), window.pads(*x.shape[1:3])), np.ascontiguousarray(dy)
    count, height, width, all_channels = picture.shape
    out_h, out_w = dy.shape[1:3]
    own, panel = filters // groups, panel_width(dy.dtype)
    at_once = max(1, POSITIONS // out_w)
    n, oh = np.divmod(np.arange(count * out_h), out_h)
    starts = (n * height + oh * window.strides[0]) * width * all_channels
    taps, rows = _kernel_rows(width, kernel_shape, window, groups, all_channels)
    total = np.zeros((groups, len(taps) // groups * rows, -(-own // panel) * panel))  # float64: sums of many short sums
    sizes = np.array([at_once, window.strides[1] * all_channels, own, panel, rows], np.intp)
    upstream = dy.reshape(count * out_h, out_w, filters)  # (N, OH, OW, F) -> (N*OH, OW, F)
    window_products(numba.get_num_threads(), picture, upstream, starts.astype(np.intp), sizes, taps, total)
    # (G, KH*KW*C, F/G) -> (KH*KW*C, G, F/G) -> (KH, KW, C, F)
    return np.ascontiguousarray(total[:, :, :own].swapaxes(0, 1), dy.dtype).reshape(kernel_shape)


def _padded(x: Array, pads: Pads | tuple[tuple[int, int], ...]) -> Array:
    """(N, H, W, C) with zeros around; x itself where there is nothing to add."""
    if not np.any(pads):
        return x
    (top, bottom), (left, right) = pads
    picture = scratch("padded", (len(x), x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]), x.dtype)
    pad_picture(x, top, left, picture)
    return picture


def _segments(
    width: int, all_channels: int, kernel: Shape, window: Window, groups: int, longest: int
) -> tuple[Offsets, int]:
    """The parts of a window that lie side by side: (where each begins, its first row in the panel), and how long."""
    size_h, size_w, channels, _ = kernel
    if window.dilation[1] == 1 and groups == 1:
        at = np.arange(size_h) * window.dilation[0] * width * all_channels
        run = size_w * channels
    else:
        kh, kw = np.divmod(np.arange(size_h * size_w), size_w)
        at = (kh * window.dilation[0] * width + kw * window.dilation[1]) * all_channels
        run = channels
    pieces = next(p for p in range(-(-run // longest), run + 1) if run % p == 0)
    if run // pieces >= SHORTEST_RUN:
        run //= pieces
        at = (at[:, None] + np.arange(pieces) * run).reshape(-1)
    return np.stack([at, np.arange(len(at)) * run], axis=1).astype(np.intp), run


def _kernel_rows(width: int, kernel: Shape, window: Window, groups: int, all_channels: int) -> tuple[Array, int]:
    """Where the runs of kernel rows begin in the picture, group by group, and how many rows each run has."""
    size_h, size_w, channels, _ = kernel
    if window.dilation[1] == 1 and groups == 1:
        return np.arange(size_h) * window.dilation[0] * width * all_channels, size_w * channels
    kh, kw = np.divmod(np.arange(size_h * size_w), size_w)
    at = (kh * window.dilation[0] * width + kw * window.dilation[1]) * all_channels
    return (np.arange(groups)[:, None] * channels + at[None]).reshape(-1), channels


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
