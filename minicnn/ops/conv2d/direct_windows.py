"""A convolution as the register kernel sees it: panels of filters, and windows read where they lie.

``pack_filters`` makes the right side of the product, ``segments_of`` says where the numbers of a window are, and
``correlation`` goes through the rows of outputs with both (``direct_rows.py``).
"""

from __future__ import annotations

import functools
from functools import partial
from typing import NamedTuple

import numpy as np

from minicnn.ops import gemm
from minicnn.ops.calls import Into, Run
from minicnn.ops.conv2d.direct_rows import correlate_rows
from minicnn.ops.normalising import no_factors
from minicnn.shapes import KEPT, Array, Pads, Pair, Shape, Window

#: (segments, 3): where each begins in the picture, the row of the panel with its first factor, and how long it is.
Segments = Array

POINTWISE_TERMS = 256  # of a 1x1 kernel's sum that are added up at once; Keras takes as many (``benchmarks/NOTES.md``)
LONG_ROW = 224  # pixels, for 1x1 kernels


def is_pointwise(window: Window, pads: Pads) -> bool:
    """Whether each output is a product with the channels of one pixel, and each pixel has one."""
    return window.size == window.strides == (1, 1) and pads == ((0, 0), (0, 0))


def pack_filters(kernel: Array, groups: int) -> Array:
    """(KH, KW, C/groups, F) -> each group's filters in panels, (G, P, KH*KW*C/groups, W): see ``ops/gemm.py``."""
    filters = kernel.shape[3] // groups
    flat = np.ascontiguousarray(kernel).reshape(-1, kernel.shape[3])  # (KH, KW, C, F) -> (KH*KW*C, F)
    return _stacked([gemm.pack(flat[:, g * filters : (g + 1) * filters]) for g in range(groups)])


def pack_turned(kernel: Array, groups: int) -> Array:
    """A 1x1 kernel (C/groups, F) -> the panels of the one for dx, (G, P, F/groups, W), whose filters are its channels.

    Each group's part is packed from its transpose, which is a view: nothing is turned in memory first.
    """
    filters = kernel.shape[1] // groups
    return _stacked([gemm.pack(kernel[:, g * filters : (g + 1) * filters].T) for g in range(groups)])


def _stacked(parts: list[Array]) -> Array:
    return parts[0][None] if len(parts) == 1 else np.stack(parts)


def correlation(
    x_shape: Shape,
    panels: Array,
    kernel_shape: Shape,
    bias: Array,
    window: Window,
    groups: int,
    floor: float,
    terms: int,
    factors: Array | None = None,
) -> Into:
    """(N, H, W, C) -> (N, OH, OW, F) with the kernel in ``panels``, for inputs of this shape; sums of at most ``terms``
    products at once.

    The bias is added, the result normalised if there are ``factors``, and what is below ``floor`` is cut off.
    """
    shape = x_shape[0], *window.output_size(*x_shape[1:3]), kernel_shape[3]
    walk = _walk(x_shape[1:], kernel_shape, window, groups, terms)
    factors = no_factors(panels.dtype) if factors is None else factors
    what = walk.pads, panels, walk.segments, walk.per_sum, walk.steps, walk.out, bias, floor, factors

    def bind(x: Array, y: Array) -> Run:
        inputs, outputs = np.ascontiguousarray(x).reshape(-1, *walk.inputs), y.reshape(-1, *walk.outputs)
        return partial(correlate_rows, inputs, *what, outputs)

    return Into(shape, panels.dtype, bind)


class _Walk(NamedTuple):
    """What ``correlate_rows`` has to know of a layer's shapes; ``inputs`` and ``outputs`` are those of one picture."""

    inputs: Shape
    outputs: Shape
    pads: tuple[int, int, int, int]
    segments: Segments
    per_sum: int
    steps: Array
    out: Pair


@functools.lru_cache(maxsize=KEPT)  # found once for a layer: with few pixels this takes as long as the convolution
def _walk(x_shape: Shape, kernel_shape: Shape, window: Window, groups: int, terms: int) -> _Walk:
    height, width, channels = x_shape
    out, pads = window.output_size(height, width), window.pads(height, width)
    (top, bottom), (left, right) = pads
    if is_pointwise(window, pads):  # where a row ends does not matter: take longer ones
        rows = next(d for d in range(out[0], 0, -1) if out[0] % d == 0 and (d * out[1] <= LONG_ROW or d == 1))
        out = height, width = out[0] // rows, rows * out[1]  # (N, H, W, C) -> (N, H/rows, rows*W, C)
    size = height + top + bottom, width + left + right
    table = segments_of(size[1], channels, kernel_shape, window, groups, terms)
    steps = np.array([*window.strides, 0, 0, 1, 1, window.span[0]], np.intp)
    shapes = (height, width, channels), (*out, kernel_shape[3])
    return _Walk(*shapes, (top, left, *size), table, segments_per_sum(table, terms), steps, out)


def segments_per_sum(table: Segments, terms: int) -> int:
    """How many segments, of at most ``terms`` numbers together, are added up at once; at least one.

    The sums have nearly the same number of segments: what counts is how long the longest one is.
    """
    most = max(1, terms // int(table[:, 2].max()))
    sums = -(-len(table) // most)
    return -(-len(table) // sums)


def runs_of(width: int, all_channels: int, kernel: Shape, window: Window, groups: int) -> tuple[Array, int]:
    """Where the numbers of a window that lie side by side begin in a picture, and how many these are: whole rows of the
    window, or with gaps the channels of a pixel."""
    size_h, size_w, channels, _ = kernel
    if window.dilation[1] == 1 and groups == 1:
        return np.arange(size_h) * window.dilation[0] * width * all_channels, size_w * channels
    kh, kw = np.divmod(np.arange(size_h * size_w), size_w)
    return (kh * window.dilation[0] * width + kw * window.dilation[1]) * all_channels, channels


def segments_of(width: int, all_channels: int, kernel: Shape, window: Window, groups: int, longest: int) -> Segments:
    """The parts of a window that lie side by side, of nearly equal length and not longer than ``longest``."""
    at, run = runs_of(width, all_channels, kernel, window, groups)
    pieces = -(-run // longest)
    ends = np.arange(pieces + 1) * run // pieces
    begins, lengths = (at[:, None] + ends[:-1]).reshape(-1), np.tile(np.diff(ends), len(at))
    return np.stack([begins, np.cumsum(lengths) - lengths, lengths], axis=1).astype(np.intp)
