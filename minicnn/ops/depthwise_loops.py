"""Depthwise convolution with one filter per channel, as compiled loops over vectors of channels.

The channels of a vector lie side by side in memory, in the picture and in the kernel, and never meet: so they are
computed side by side. Both directions are the same sum, and differ only in which place of the source a tap meets:

    forward     result r, tap k:  place  r*S + k*D - padding  of x
    dx          result r, tap k:  place (r + padding - k*D) / S  of dy, where that is a whole number

Rows and columns are two small tables of such places (``depthwise_taps.py``). With a stride, the columns of dx are taken
in S turns: results S pixels apart share their taps, and meet neighbours in dy.

Three neighbouring results are added up at once, for two vectors of channels: six sums, six vectors of pixels and two of
weights are what AVX2 has registers for. A weight is loaded once for three products, and no addition waits for the one
before. Taps side by side meet the same pixels one result later, so these stay in registers too: a row of three taps
reads five pixels for three results, not nine. At the edges, where a tap would meet padding, results are computed one by
one. Nothing is copied, padded or zeroed first.

There is little to compute, so memory decides, and it is asked in time: every three results request the pixels and the
results ``AHEAD``. Processors ask by themselves where a loop walks straight on; between the rows, pixels and results of
a window they did not keep up (``benchmarks/NOTES.md``). Large results are not asked for, but written past the cache.
"""

from __future__ import annotations

import functools

import numpy as np

from minicnn.ops.copying import passes_cache
from minicnn.ops.depthwise_taps import BETWEEN, END, FIELDS, FIRST, RUN, START, WEIGHT, meeting_places, taps_of_columns
from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, prefetch, prefetch_to_write, store, stream
from minicnn.shapes import KEPT, Array, Pair, Shape, Window

ROWS = 4  # of the result, per turn
AHEAD = 2048  # numbers further on, in the last row that the taps meet and in the result, that are asked for
#: Of a result that is written past the cache. There is so little to compute that writing to memory would take longer:
#: so only if the result and a source of its size leave no room in the cache that the cores share.
LARGE_BYTES = 16 * 2**20
TWO_LINES = VECTOR_BYTES >= LINE_BYTES  # of the cache that two vectors fill, not one


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
                _one(source, kernel, bias, taps, count, i, steps, result, at)
            i = first
            while i < end:
                i = min(i, end - 3)  # the last three may overlap the three before: computed twice, to the same bits
                _three(source, kernel, bias, taps, count, i, steps, result, at)
                i += 3
            for i in range(end, results):
                _one(source, kernel, bias, taps, count, i, steps, result, at)


@inline
def _three(
    source: Array, kernel: Array, bias: Array, taps: Array, count: int, i: int, steps: Pair, result: Array, at: int
) -> None:
    """result[i + 0..3] = bias + sum over taps of source * weight: three neighbours that meet every tap."""
    width = lanes(bias)
    whole = len(bias) // (2 * width) * 2 * width
    beside = steps[1] == len(bias)  # results that are not side by side would be written more slowly
    past = beside and passes_cache(result, len(bias), LARGE_BYTES)
    for c in range(0, whole, 2 * width):
        _two_vectors(source, kernel, bias, taps, count, i, steps, result, at, c, width, width, past)
    if whole < len(bias):
        left = len(bias) - whole
        _two_vectors(source, kernel, bias, taps, count, i, steps, result, at, whole, left, left - width, False)


@inline
def _two_vectors(
    source: Array,
    kernel: Array,
    bias: Array,
    taps: Array,
    count: int,
    i: int,
    steps: Pair,
    result: Array,
    at: int,
    c: int,
    left: int,
    right: int,
    past: bool,
) -> None:
    """``_three`` for the channels from c on: ``left`` in a first vector (a, sum_a, ...), ``right`` in a second (b).

    ``past``: whole vectors, written past the cache.
    """
    step, result_step = steps
    width, into = lanes(bias), at + i * result_step + c
    last = taps[count - 1, START] + i * step + c
    for ahead in range(3):
        prefetch(source, last + ahead * step + AHEAD)
        if TWO_LINES:
            prefetch(source, last + ahead * step + AHEAD + width)
        if not past:
            prefetch_to_write(result, into + ahead * result_step + AHEAD)
            if TWO_LINES:
                prefetch_to_write(result, into + ahead * result_step + AHEAD + width)
    sum_a0, sum_b0 = load(bias, c, left), load(bias, c + width, right)
    sum_a1 = sum_a2 = sum_a0
    sum_b1 = sum_b2 = sum_b0
    tap = 0
    while tap < count:
        here, weight = taps[tap, START] + i * step + c, taps[tap, WEIGHT] + c
        between, run = taps[tap, BETWEEN], taps[tap, RUN]
        a0, b0 = load(source, here, left), load(source, here + width, right)
        here += step
        a1, b1 = load(source, here, left), load(source, here + width, right)
        for _ in range(run):
            here += step
            a2, b2 = load(source, here, left), load(source, here + width, right)
            weight_a, weight_b = load(kernel, weight, left), load(kernel, weight + width, right)
            sum_a0, sum_a1, sum_a2 = a0 * weight_a + sum_a0, a1 * weight_a + sum_a1, a2 * weight_a + sum_a2
            sum_b0, sum_b1, sum_b2 = b0 * weight_b + sum_b0, b1 * weight_b + sum_b1, b2 * weight_b + sum_b2
            a0, a1, b0, b1 = a1, a2, b1, b2
            weight += between
        tap += run
    second, third = into + result_step, into + 2 * result_step
    if past:
        stream(result, into, sum_a0)
        stream(result, into + width, sum_b0)
        stream(result, second, sum_a1)
        stream(result, second + width, sum_b1)
        stream(result, third, sum_a2)
        stream(result, third + width, sum_b2)
    else:
        store(result, into, sum_a0, left)
        store(result, into + width, sum_b0, right)
        store(result, second, sum_a1, left)
        store(result, second + width, sum_b1, right)
        store(result, third, sum_a2, left)
        store(result, third + width, sum_b2, right)


@njit
def _one(
    source: Array, kernel: Array, bias: Array, taps: Array, count: int, i: int, steps: Pair, result: Array, at: int
) -> None:
    """A result at the edge: not all taps have a part in it. Four vectors of channels at once, or what there is."""
    C, width, into = len(bias), lanes(bias), at + i * steps[1]
    for c in range(0, C - 3 * width, 4 * width):
        sum0, sum1 = load(bias, c, width), load(bias, c + width, width)
        sum2, sum3 = load(bias, c + 2 * width, width), load(bias, c + 3 * width, width)
        for tap in range(count):
            if taps[tap, FIRST] <= i < taps[tap, END]:
                here, weight = taps[tap, START] + i * steps[0] + c, taps[tap, WEIGHT] + c
                sum0 = load(source, here, width) * load(kernel, weight, width) + sum0
                sum1 = load(source, here + width, width) * load(kernel, weight + width, width) + sum1
                sum2 = load(source, here + 2 * width, width) * load(kernel, weight + 2 * width, width) + sum2
                sum3 = load(source, here + 3 * width, width) * load(kernel, weight + 3 * width, width) + sum3
        store(result, into + c, sum0, width)
        store(result, into + c + width, sum1, width)
        store(result, into + c + 2 * width, sum2, width)
        store(result, into + c + 3 * width, sum3, width)
    for c in range(C // (4 * width) * 4 * width, C, width):
        left = C - c
        total = load(bias, c, left)
        for tap in range(count):
            if taps[tap, FIRST] <= i < taps[tap, END]:
                weights = load(kernel, taps[tap, WEIGHT] + c, left)
                total = load(source, taps[tap, START] + i * steps[0] + c, left) * weights + total
        store(result, into + c, total, left)
