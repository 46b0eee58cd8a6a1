"""The innermost loops of a depthwise convolution: results = bias + sum over taps of source * weight.

Three neighbouring results are added up at once, for two vectors of channels: six sums, six vectors of pixels and two of
weights are what AVX2 has registers for. A weight is loaded once for three products, and no addition waits for the one
before. Taps side by side meet the same pixels one result later, so these stay in registers too: a row of three taps
reads five pixels for three results, not nine.

There is little to compute, so memory decides, and it is asked in time: every three results request the pixels and the
results ``AHEAD``. Processors ask by themselves where a loop walks straight on; between the rows, pixels and results of
a window they did not keep up (``benchmarks/NOTES.md``). Large results are not asked for, but written past the cache.

``taps`` (count, FIELDS) are in use, see ``depthwise_taps.py``; ``steps``: how far apart the numbers of neighbouring
results lie in the source, and in the result, where the first one lies at ``at``.
"""

from __future__ import annotations

from minicnn.ops.copying import passes_cache
from minicnn.ops.depthwise_taps import BETWEEN, END, FIRST, RUN, START, WEIGHT
from minicnn.ops.jit import inline, njit
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES
from minicnn.ops.vectors import lanes, load, prefetch, prefetch_to_write, store, stream
from minicnn.shapes import Array, Pair

AHEAD = 2048  # numbers further on, in the last row that the taps meet and in the result, that are asked for
#: Of a result that is written past the cache. There is so little to compute that writing to memory would take longer:
#: so only if the result and a source of its size leave no room in the cache that the cores share.
LARGE_BYTES = 16 * 2**20
TWO_LINES = VECTOR_BYTES >= LINE_BYTES  # of the cache that two vectors fill, not one


@inline
def three_results(
    source: Array, kernel: Array, bias: Array, taps: Array, count: int, i: int, steps: Pair, result: Array, at: int
) -> None:
    """result[i : i + 3] = bias + sum over taps of source * weight: three neighbours that meet every tap."""
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
    """``three_results`` for channels from c on: ``left`` in a first vector (a, sum_a, ...), ``right`` in a second (b).

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
def one_result(
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
