"""Which numbers a tap of a depthwise kernel meets: the small tables that ``depthwise_loops`` goes by.

That file has the formula, and keeps the tables of a layer.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.jit import njit
from minicnn.shapes import Array

# A tap: where its part in result 0 would lie in the source, its place in the kernel, the results it has a part in, how
# many taps from here on lie side by side, and how far apart their weights are.
START, WEIGHT, FIRST, END, RUN, BETWEEN = range(6)
FIELDS = 6


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
def taps_of_columns(places: Array, step: int, phases: int, backward: bool) -> tuple[Array, Array]:
    """The taps of each phase (results p, p + phases, ...), and how many there are; START in pixels, WEIGHT in taps."""
    results, KW = places.shape
    columns, counts = np.zeros((phases, KW, FIELDS), np.intp), np.zeros(phases, np.intp)
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
                columns[p, k, BETWEEN] = columns[p, k + 1, WEIGHT] - columns[p, k, WEIGHT]
    return columns, counts
