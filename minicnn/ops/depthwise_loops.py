"""Depthwise convolution with one filter per channel, as compiled loops over vectors of channels.

The channels of a vector lie side by side in memory, in the picture and in the kernel, and never meet: so they are
computed side by side. Both directions are the same sum, and differ only in which place of the source a tap meets:

    forward     result r, tap k:  place  r*S + k*D - padding  of x
    dx          result r, tap k:  place (r + padding - k*D) / S  of dy, where that is a whole number

Rows and columns are two small tables of such places (``depthwise_taps.py``). With a stride, the columns of dx are taken
in S turns: results S pixels apart share their taps, and meet neighbours in dy.

The sums are taken three neighbouring results at a time (``depthwise_sums.py``). At the edges, where a tap would meet
padding, results are computed one by one. Nothing is copied, padded or zeroed first.
"""

from __future__ import annotations

import functools

import numpy as np

from minicnn.ops.depthwise_sums import one_result, three_results
from minicnn.ops.depthwise_taps import BETWEEN, END, FIELDS, FIRST, RUN, START, WEIGHT, meeting_places, taps_of_columns
from minicnn.ops.jit import njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.turns import turns
from minicnn.shapes import KEPT, Array, Pair, Shape, Window

ROWS = 4  # of the result, per turn


def forward(x: Array, kernel: Array, bias: Array | None, window: Window) -> Array:
    """(N, H, W, C), (KH, KW, C), (C,) -> (N, OH, OW, C)"""
    y = empty((len(x), *window.output_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    start = np.zeros(x.shape[3], x.dtype) if bias is None else np.ascontiguousarray(bias)
    _run(x, kernel, start, window, window.pads(*x.shape[1:3]), y, backward=False)
    return y


def input_gradient(dy: Array, kernel: Array, x_shape: Shape, window: Window) -> Array:
    """(N, OH, OW, C), (KH, KW, C) -> (N, H, W, C)"""
    dx = empty(x_shape, dy.dtype)
    _run(dy, kernel, np.zeros(x_shape[3], dy.dtype), window, window.pads(*x_shape[1:3]), dx, backward=True)
    return dx


def _run(
    source: Array, kernel: Array, bias: Array, window: Window, pads: tuple[Pair, Pair], result: Array, backward: bool
) -> None:
    C, shapes = source.shape[3], (source.shape[1:3], result.shape[1:3])
    step, result_step = (1, window.strides[1]) if backward else (window.strides[1], 1)
    work, taps = source.nbytes + result.nbytes, _taps(window, pads, *shapes, backward)
    flat = (np.ascontiguousarray(source).reshape(-1), np.ascontiguousarray(kernel).reshape(-1), bias)
    _correlate(work, *flat, *taps, *shapes, (step * C, result_step * C), result.reshape(-1))


@functools.lru_cache(maxsize=KEPT)  # found once for a layer: with few pixels this takes as long as the convolution
def _taps(
    window: Window, pads: tuple[Pair, Pair], source_size: Pair, result_size: Pair, backward: bool
) -> tuple[Array, Array, Array]:
    """Which rows and columns meet which taps, and how many taps the columns of each phase have."""
    (KH, KW), (SH, SW), (DH, DW), (top, left) = window.size, window.strides, window.dilation, (pads[0][0], pads[1][0])
    rows = meeting_places(result_size[0], source_size[0], KH, SH, DH, top, backward)
    places = meeting_places(result_size[1], source_size[1], KW, SW, DW, left, backward)
    step, phases = (1, min(SW, result_size[1])) if backward else (SW, 1)
    return rows, *taps_of_columns(places, step, phases, backward)


@turns
def _correlate(
    source: Array,
    kernel: Array,
    bias: Array,
    rows: Array,
    columns: Array,
    counts: Array,
    source_size: Pair,
    result_size: Pair,
    steps: Pair,
    result: Array,
) -> None:
    """Some rows of the result per turn."""
    total = result.size // (result_size[1] * len(bias))
    for turn in prange(-(-total // ROWS)):
        first, end = turn * ROWS, min(total, (turn + 1) * ROWS)
        _some_rows(source, kernel, bias, rows, columns, counts, source_size, result_size, steps, result, first, end)


@njit
def _some_rows(
    source: Array,
    kernel: Array,
    bias: Array,
    rows: Array,
    columns: Array,
    counts: Array,
    source_size: Pair,
    result_size: Pair,
    steps: Pair,
    result: Array,
    first_row: int,
    end_row: int,
) -> None:
    C, (height, width), (result_height, result_width) = len(bias), source_size, result_size
    phases, KW, _ = columns.shape
    taps = np.empty((rows.shape[1] * KW, FIELDS), np.intp)
    for row in range(first_row, end_row):
        n = row // result_height
        for p in range(phases):
            results = (result_width - 1 - p) // phases + 1
            count, first, end = 0, 0, results
            for kh in range(rows.shape[1]):
                place = rows[row - n * result_height, kh]
                if place < 0:
                    continue
                for k in range(counts[p]):
                    tap, column = taps[count], columns[p, k]
                    tap[START] = ((n * height + place) * width + column[START]) * C
                    tap[WEIGHT] = (kh * KW + column[WEIGHT]) * C
                    tap[FIRST], tap[END], tap[RUN] = column[FIRST], column[END], column[RUN]
                    tap[BETWEEN] = column[BETWEEN] * C
                    first, end = max(first, tap[FIRST]), min(end, tap[END])
                    count += 1
            at = (row * result_width + p) * C
            if end - first < 3:
                first = end = results
            for i in range(first):
                one_result(source, kernel, bias, taps, count, i, steps, result, at)
            i = first
            while i < end:
                i = min(i, end - 3)  # the last three may overlap the three before: computed twice, to the same bits
                three_results(source, kernel, bias, taps, count, i, steps, result, at)
                i += 3
            for i in range(end, results):
                one_result(source, kernel, bias, taps, count, i, steps, result, at)
