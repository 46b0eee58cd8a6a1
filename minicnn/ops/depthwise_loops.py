"""Depthwise convolution with one filter per channel, as compiled loops over vectors of channels.

The channels of a vector lie side by side in memory, in the picture and in the kernel, and never meet: so they are
computed side by side. Both directions are the same sum, and differ only in which place of the source a tap meets:

    forward     result r, tap k:  place  r*S + k*D - padding  of x
    dx          result r, tap k:  place (r + padding - k*D) / S  of dy, where that is a whole number

Rows and columns are two small tables of such places. With a stride, the columns of dx are taken in S turns: results S
pixels apart share their taps, and meet neighbours in dy.

Six neighbouring results are added up at once, in registers (six sums, six pixels, a weight: AVX2 has 16): a weight is
loaded once for six products, and no addition waits for the one before. Taps side by side meet the same pixels one
result later, so these stay in registers too: a row of three taps reads eight pixels for six results, not eighteen. At
the edges, where a tap would meet padding, results are computed one by one. Nothing is copied, padded or zeroed first.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.jit import inline, njit, prange
from minicnn.ops.memory import empty
from minicnn.ops.turns import turns
from minicnn.ops.vectors import lanes, load, store
from minicnn.shapes import Array, Pair, Shape, Window

ROWS = 4  # of the result, per turn
# A tap: where its part in result 0 would lie in the source, its place in the kernel, the results it has a part in, and
# how many taps from here on lie side by side.
START, WEIGHT, FIRST, END, RUN = range(5)


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
    C = source.shape[3]
    (SH, SW), (DH, DW), (KH, KW) = window.strides, window.dilation, window.size
    rows = meeting_places(result.shape[1], source.shape[1], KH, SH, DH, pads[0][0], backward)
    places = meeting_places(result.shape[2], source.shape[2], KW, SW, DW, pads[1][0], backward)
    step, result_step = (1, SW) if backward else (SW, 1)
    columns, counts = _columns(places, step, min(result_step, result.shape[2]), backward)
    shapes = source.shape[1:3], result.shape[1:3]
    work = source.nbytes + result.nbytes
    flat = (np.ascontiguousarray(source).reshape(-1), np.ascontiguousarray(kernel).reshape(-1), bias)
    _correlate(work, *flat, rows, columns, counts, *shapes, (step * C, result_step * C), result.reshape(-1))


@njit
def meeting_places(
    results: int, sources: int, taps: int, stride: int, dilation: int, padding: int, backward: bool
) -> Array:
    """(results, taps): the place in the source, along one axis, that each tap meets; -1 where there is none."""
    places = np.full((results, taps), -1)
    for r in range(results):
        for k in range(taps):
            if not backward:
                place = r * stride + k * dilation - padding
            elif (r + padding - k * dilation) % stride == 0:
                place = (r + padding - k * dilation) // stride
            else:
                place = -1
            if 0 <= place < sources:
                places[r, k] = place
    return places


@njit
def _columns(places: Array, step: int, phases: int, backward: bool) -> tuple[Array, Array]:
    """The taps of each phase (results p, p + phases, ...), and how many there are; START in pixels, WEIGHT in taps."""
    results, KW = places.shape
    columns, counts = np.zeros((phases, KW, 5), np.intp), np.zeros(phases, np.intp)
    for p in range(phases):
        for k in range(KW):
            kw = KW - 1 - k if backward else k  # so that places come in rising order
            first = end = 0
            for i in range((results - 1 - p) // phases + 1):
                if places[p + i * phases, kw] >= 0:
                    first, end = (first if end > 0 else i), i + 1
            if end > 0:
                tap = columns[p, counts[p]]
                tap[START], tap[WEIGHT] = places[p + first * phases, kw] - first * step, kw
                tap[FIRST], tap[END], tap[RUN] = first, end, 1
                counts[p] += 1
        for k in range(counts[p] - 2, -1, -1):
            if columns[p, k + 1, START] == columns[p, k, START] + step:
                columns[p, k, RUN] = columns[p, k + 1, RUN] + 1
    return columns, counts


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
    taps = np.empty((rows.shape[1] * KW, 5), np.intp)
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
                    first, end = max(first, tap[FIRST]), min(end, tap[END])
                    count += 1
            at = (row * result_width + p) * C
            if end - first < 6:
                first = end = results
            for i in range(first):
                _one(source, kernel, bias, taps, count, i, steps, result, at)
            i = first
            while i < end:
                i = min(i, end - 6)  # the last six may overlap the six before: computed twice, to the same bits
                _six(source, kernel, bias, taps, count, i, steps, result, at)
                i += 6
            for i in range(end, results):
                _one(source, kernel, bias, taps, count, i, steps, result, at)


@inline
def _six(
    source: Array, kernel: Array, bias: Array, taps: Array, count: int, i: int, steps: Pair, result: Array, at: int
) -> None:
    """result[i + 0..6] = bias + sum over taps of source * weight: six neighbours that meet every tap."""
    step, result_step = steps
    for c in range(0, len(bias), lanes(bias)):
        left = len(bias) - c
        sum0 = load(bias, c, left)
        sum1 = sum2 = sum3 = sum4 = sum5 = sum0
        tap = 0
        while tap < count:
            here = taps[tap, START] + i * step + c
            x0, x1 = load(source, here, left), load(source, here + step, left)
            x2, x3 = load(source, here + 2 * step, left), load(source, here + 3 * step, left)
            x4 = load(source, here + 4 * step, left)
            for neighbour in range(taps[tap, RUN]):
                x5 = load(source, here + (5 + neighbour) * step, left)
                weight = load(kernel, taps[tap, WEIGHT] + c, left)
                sum0, sum1, sum2 = x0 * weight + sum0, x1 * weight + sum1, x2 * weight + sum2
                sum3, sum4, sum5 = x3 * weight + sum3, x4 * weight + sum4, x5 * weight + sum5
                x0, x1, x2, x3, x4 = x1, x2, x3, x4, x5
                tap += 1
        into = at + i * result_step + c
        store(result, into, sum0, left)
        store(result, into + result_step, sum1, left)
        store(result, into + 2 * result_step, sum2, left)
        store(result, into + 3 * result_step, sum3, left)
        store(result, into + 4 * result_step, sum4, left)
        store(result, into + 5 * result_step, sum5, left)


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
