"""Which pixels the taps of a depthwise kernel meet: the small tables that its loops go by.

``depthwise_loops.py`` has the formula. From it follows: results a *phase* apart (D forward, S*D for dx) meet places
that lie a *step* apart (S*D forward, D for dx). Where two taps meet places one step apart, the one meets what the other
met for the result before: such taps make a *run*. Rows need no order, only to be few: some of them make a *piece*.
"""

from __future__ import annotations

import functools

import numpy as np

from minicnn.shapes import KEPT, Array

# Of a run: its first tap meets, for result p, pixel p of those that lie a step apart, its second one pixel p + 1, ...
# There are pixels from FIRST to before END; where the first one is; the first tap's place in the kernel, and how far
# from there the next one is; how many taps there are.
FIRST, END, START, WEIGHT, BETWEEN, TAPS = range(6)
RUN_FIELDS = 6
MOST_TAPS = 3  # of a run, and rows of a piece: AVX-512 has registers for three rows of three weights and what they meet
# Of a piece: how many rows of the kernel it has, the rows of the source that these meet, and which ones they are.
ROWS, PLACES, KERNEL_ROWS = 0, 1, 1 + MOST_TAPS
PIECE_FIELDS = 1 + 2 * MOST_TAPS


@functools.lru_cache(maxsize=KEPT)
def rows_of_taps(
    results: int, sources: int, taps: int, stride: int, dilation: int, padding: int, backward: bool
) -> Array:
    """(results, pieces, PIECE_FIELDS): what each row of results meets, filled up with pieces of no rows."""
    r, k = np.arange(results)[:, None], np.arange(taps)
    if backward:
        places, rest = np.divmod(r + padding - k * dilation, stride)
    else:
        places, rest = r * stride + k * dilation - padding, np.zeros((results, taps), int)
    met = (rest == 0) & (places >= 0) & (places < sources)
    kernel_rows = np.argsort(~met, axis=1, kind="stable")  # those that are met first, in their order
    places, count = np.take_along_axis(places, kernel_rows, axis=1), met.sum(axis=1)
    table = np.zeros((results, -(-taps // MOST_TAPS), PIECE_FIELDS), np.intp)
    for number in np.unique(count):
        alike = np.flatnonzero(count == number)
        for piece, (low, high) in enumerate(parts(int(number))):
            table[alike, piece, ROWS] = high - low
            table[alike, piece, PLACES : PLACES + high - low] = places[alike, low:high]
            table[alike, piece, KERNEL_ROWS : KERNEL_ROWS + high - low] = kernel_rows[alike, low:high]
    return table


@functools.lru_cache(maxsize=KEPT)
def runs_of_taps(
    results: int, sources: int, taps: int, stride: int, dilation: int, padding: int, backward: bool
) -> tuple[Array, int]:
    """(phases, runs, RUN_FIELDS), filled up with runs of no taps, and the step, for the columns."""
    phases, step = (stride * dilation, dilation) if backward else (dilation, stride * dilation)
    found: list[list[list[int]]] = [[] for _ in range(min(phases, results))]
    for phase, runs in enumerate(found):
        weights = {}  # of the taps of this phase, by the place that they meet for its first result
        for k in range(taps):
            place = phase + padding - k * dilation if backward else phase * stride + k * dilation - padding
            if not backward or place % stride == 0:
                weights[place // stride if backward else place] = k
        for start in sorted(weights):
            chain: list[int] = []
            while start + len(chain) * step in weights:
                chain.append(weights.pop(start + len(chain) * step))
            for low, high in parts(len(chain)):
                own, place = chain[low:high], start + low * step
                first = max(0, -(place // step))
                end = min((sources - 1 - place) // step + 1, -(-(results - phase) // phases) + len(own) - 1)
                if first < end:
                    between = own[1] - own[0] if len(own) > 1 else 0
                    runs.append([first, end, place + first * step, own[0], between, len(own)])
    table = np.zeros((len(found), max(map(len, found)), RUN_FIELDS), np.intp)
    for filled, runs in zip(table, found, strict=True):
        filled[: len(runs)] = np.reshape(runs, (-1, RUN_FIELDS))
    return table, step


def parts(count: int) -> list[tuple[int, int]]:
    """0..count in as few parts of at most MOST_TAPS as possible, as even as possible."""
    number = -(-count // MOST_TAPS)
    return [(count * i // number, count * (i + 1) // number) for i in range(number)]
