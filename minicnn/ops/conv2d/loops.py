"""Convolution as its definition: seven nested loops. Slow on purpose, and the judge of every other algorithm.

    y[n, oh, ow, f] = bias[f] + sum over kh, kw, c of  xp[n, oh*SH + kh*DH, ow*SW + kw*DW, c] * kernel[kh, kw, c, f]

where xp is x with its zero padding. (Mathematicians call this cross-correlation: the kernel is not flipped. Every
deep-learning framework means this when it says convolution.)

The gradients need no new idea. Each product x * kernel above adds to one y, so by the chain rule the same triple of
indices, visited in the same loops, gives

    dx[...]     += dy[...] * kernel[...]
    dkernel[...] += dy[...] * x[...]

Cost: N*OH*OW*F*KH*KW*C multiplications, each in the Python interpreter. Sums are kept in Python's own float64 and
rounded once, so even in float32 this is an oracle. Use it for shapes of a few thousand products.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minicnn.ops.conv2d.prepared import never_prepared
from minicnn.ops.finishing import PLAIN, Finish, gated
from minicnn.shapes import Array, Shape, Window


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
    height, width = x.shape[1:3]
    filters = kernel.shape[3]
    y = np.zeros((len(x), *window.output_size(height, width), filters))
    for n, oh, ow, f in np.ndindex(*y.shape):
        total = 0.0 if bias is None else float(bias[f])
        for ih, iw, c, kh, kw, kc in _taps(oh, ow, f, x.shape, kernel.shape, window, groups):
            total += float(x[n, ih, iw, c]) * float(kernel[kh, kw, kc, f])
        y[n, oh, ow, f] = total
    return finish.apply(y.astype(x.dtype))


ready = never_prepared(forward)


def input_gradient(
    dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int, gate: Array | None = None
) -> Array:
    """(N, OH, OW, F), (KH, KW, C/groups, F) -> (N, H, W, C)"""
    dx = np.zeros(x_shape)
    for n, oh, ow, f in np.ndindex(*dy.shape):
        for ih, iw, c, kh, kw, kc in _taps(oh, ow, f, x_shape, kernel.shape, window, groups):
            dx[n, ih, iw, c] += float(dy[n, oh, ow, f]) * float(kernel[kh, kw, kc, f])
    return gated(dx.astype(dy.dtype), gate)


def kernel_gradient(dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (N, H, W, C) -> (KH, KW, C/groups, F)"""
    dkernel = np.zeros(kernel_shape)
    for n, oh, ow, f in np.ndindex(*dy.shape):
        for ih, iw, c, kh, kw, kc in _taps(oh, ow, f, x.shape, kernel_shape, window, groups):
            dkernel[kh, kw, kc, f] += float(dy[n, oh, ow, f]) * float(x[n, ih, iw, c])
    return dkernel.astype(dy.dtype)


def _taps(
    oh: int, ow: int, f: int, x_shape: Shape, kernel_shape: Shape, window: Window, groups: int
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Every input position (ih, iw, c) that output (oh, ow, f) looks at, with the kernel entry (kh, kw, kc) it meets.

    Positions in the padding are left out: they hold zero. With groups, filter f sees only its own group's channels.
    """
    _, height, width, _ = x_shape
    size_h, size_w, channels_per_group, filters = kernel_shape
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilation
    (top, _), (left, _) = window.pads(height, width)
    first_channel = f // (filters // groups) * channels_per_group
    for kh in range(size_h):
        ih = oh * stride_h + kh * dilation_h - top
        if not 0 <= ih < height:
            continue
        for kw in range(size_w):
            iw = ow * stride_w + kw * dilation_w - left
            if not 0 <= iw < width:
                continue
            for kc in range(channels_per_group):
                yield ih, iw, first_channel + kc, kh, kw, kc
