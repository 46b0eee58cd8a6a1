"""Convolution as it is defined, at the speed of a matrix product: nothing is copied, nothing is computed twice.

The idea: a convolution is a matrix product whose left side exists already. Row (oh, ow) of the matrix that ``im2col``
builds holds the window at (oh, ow); within it, each row of the kernel meets KW*C numbers that lie side by side in the
picture, and the window of the next position starts SW*C numbers further on. That is all the register kernel asks of its
left side (``ops/micro_kernel.py``): rows at equal distances, each made of segments. So it reads the windows where they
lie, and the matrix, KH*KW times as large as the picture, is never built:

    y[oh, ow : ow + 14, f : f + 32]  =  sum over kh  of  windows (14, KW*C)  @  kernel[kh] (KW*C, 32)

All three passes are this one product. dx is a convolution of dy with the turned kernel (``direct_dx.py``); dkernel is a
product of the windows' transpose with dy, summed over positions.

Cost: as many multiplications as the definition; memory for some padded rows, for dkernel the padded pictures. When it
wins: most strides, large kernels, 1x1 kernels, few channels: everything that Winograd does not take. Limits: with
groups of few channels or filters vectors stay partly empty; depthwise layers have an operation of their own.
Paper: Georganas et al. 2018, "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np

from minicnn.ops import gemm
from minicnn.ops.calls import Call, Into, Run
from minicnn.ops.conv2d.direct_dx import input_gradient
from minicnn.ops.conv2d.direct_gradient import window_products
from minicnn.ops.conv2d.direct_rows import pad_picture
from minicnn.ops.conv2d.direct_windows import POINTWISE_TERMS, correlation, is_pointwise, pack_filters, runs_of
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.ops.max_pooling import HALVING, halve
from minicnn.ops.memory import empty, workspace
from minicnn.ops.micro_kernel import ROWS, panel_width
from minicnn.shapes import Array, Pads, Shape, Window

__all__ = ["forward", "input_gradient", "kernel_gradient", "prepare", "ready", "unsupported"]

TERMS = 128  # of a sum that are added up at once; twice as many put strided layers outside of the rule for errors
# A window of a few more is one sum, which saves time, where Keras does so too: with few filters its sums are shorter.
LONGEST, ENOUGH_FILTERS = 160, 16


def unsupported(kernel_shape: Shape, window: Window, groups: int) -> str | None:
    """Strides and dilation along one axis, as depthwise convolutions may have them: for ``direct_dx.py``, the taps that
    meet a pixel are one stride apart. Everything else will do."""
    if any(stride > 1 and dilation > 1 for stride, dilation in zip(window.strides, window.dilation, strict=True)):
        return f"strides={window.strides} with dilation_rate={window.dilation} (direct needs one of them 1 on an axis)"
    return None


def prepare(kernel: Array, window: Window, groups: int) -> Array:
    """(KH, KW, C/groups, F) -> each group's filters in panels: see ``direct_windows.py``."""
    return pack_filters(kernel, groups)


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
    return ready(x.shape, kernel, bias, window, groups, finish, prepared)(x)


def ready(
    x_shape: Shape,
    kernel: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    finish: Finish,
    prepared: Array | None,
) -> Call:
    """``forward`` for inputs of this shape."""
    panels = prepare(kernel, window, groups) if prepared is None else prepared
    start = np.zeros(kernel.shape[3], kernel.dtype) if bias is None else np.ascontiguousarray(bias)
    products, filters = math.prod(kernel.shape[:3]), kernel.shape[3] // groups
    terms = products if products <= LONGEST and filters >= ENOUGH_FILTERS else TERMS
    if is_pointwise(window, window.pads(*x_shape[1:3])):
        terms = POINTWISE_TERMS
    floor = gemm.floor_of(finish.relu, kernel.dtype)

    call = correlation(x_shape, panels, kernel.shape, start, window, groups, floor, terms, finish.factors)
    return _halved(call) if finish.halve else call


def _halved(call: Into) -> Into:
    """The largest of every 2x2 of what ``call`` makes."""
    N, OH, OW, F = call.shape

    def bind(x: Array, y: Array) -> Run:
        whole = empty(call.shape, call.dtype)
        first, then = call.bind(x, whole), halve.bound(whole.nbytes, whole, y, None)

        def run() -> None:
            first()
            then()

        return run

    return Into((N, *HALVING.output_size(OH, OW), F), call.dtype, bind, call.nbytes)


def kernel_gradient(dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
    """(N, OH, OW, F), (N, H, W, C) -> (KH, KW, C/groups, F)"""
    filters, pads = kernel_shape[3], window.pads(*x.shape[1:3])
    out_h, out_w = dy.shape[1:3]
    own, panel = filters // groups, panel_width(dy.dtype)
    n, oh = np.divmod(np.arange(len(x) * out_h), out_h)
    upstream = np.ascontiguousarray(dy).reshape(-1, filters)  # (N, OH, OW, F) -> (N*OH*OW, F)
    with _padded(np.ascontiguousarray(x), pads) as picture:
        height, width, all_channels = picture.shape[1:]
        starts = (n * height + oh * window.strides[0]) * width * all_channels
        at, rows = runs_of(width, all_channels, kernel_shape, window, groups)
        taps = (np.arange(groups)[:, None] * kernel_shape[2] + at).reshape(-1)  # group by group
        dkernel = empty((len(taps) // groups * rows, groups, own), dy.dtype)
        sizes = np.array([out_w, window.strides[1] * all_channels, rows], np.intp)
        sums = len(taps) * -(-rows // ROWS), -(-own // panel), ROWS, panel
        with workspace("kernel_sums", sums, np.dtype(np.float64)) as total:  # float64: sums of many short sums
            cores = numba.get_num_threads()
            window_products(cores, picture, upstream, starts.astype(np.intp), sizes, taps, total, dkernel)
    return dkernel.reshape(kernel_shape)  # (KH*KW*C, G, F/G) -> (KH, KW, C, F)


@contextmanager
def _padded(x: Array, pads: Pads | tuple[tuple[int, int], ...]) -> Iterator[Array]:
    """(N, H, W, C) with zeros around; x itself where there is nothing to add."""
    if not np.any(pads):
        yield x
        return
    (top, bottom), (left, right) = pads
    shape = len(x), x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]
    with workspace("padded", shape, x.dtype) as picture:
        pad_picture(x, top, left, picture)
        yield picture
