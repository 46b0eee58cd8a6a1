"""The innermost loop of a depthwise convolution: one row of results, for up to 3 x 3 taps and all channels.

    result[i] = begin[i] + sum over r, q of  source[r, i + q] * kernel[r, q]

It walks along the pixels (``depthwise_walk.py``). Three of them, below each other, are multiplied with the nine weights
for the sums of three results; one of these is then complete, and a new one begins. Nine multiplications cost four loads
and a store. Where there are no pixels, at the edges, none are loaded, and nothing else differs.

There is little to compute, so memory decides, and it is asked in time, for the row below.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import config
from numba.core import types
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.ops import simd
from minicnn.ops.depthwise_taps import KERNEL_ROWS, PLACES
from minicnn.ops.depthwise_walk import Values, Walk, code_for
from minicnn.shapes import Array


def _add_row_in_python(
    rows: int,
    taps: int,
    piece: Array,
    source: Array,
    source_row: int,
    step: int,
    first: int,
    end: int,
    kernel: Array,
    kernel_row: int,
    tap: int,
    between: int,
    begin: Array,
    begin_step: int,
    result: Array,
    result_step: int,
    results: int,
    channels: int,
    past: bool,
) -> None:
    for i in range(results):
        total = begin[i * begin_step : i * begin_step + channels].copy()
        for p in range(max(first, i), min(end, i + taps)):
            for r in range(rows):
                at = piece[PLACES + r] * source_row + (p - first) * step
                weight = piece[KERNEL_ROWS + r] * kernel_row + tap + (p - i) * between
                total += source[at : at + channels] * kernel[weight : weight + channels]
        result[i * result_step : i * result_step + channels] = total


class _Row(Walk):
    """Emits ``add_row``."""

    def emit(self, *arguments: ir.Value) -> None:
        piece, self.source, self.source_row, self.step, self.first, end, kernel, kernel_row, *others = arguments
        tap, between, self.begin, self.begin_step, self.result, self.result_step, self.results, *others = others
        channels, self.past = others
        index = self.index = channels.type

        def some_channels(c: ir.Value) -> None:
            self.rows_of_source = self.entries(piece, PLACES, self.source_row)
            rows, columns = self.entries(piece, KERNEL_ROWS, kernel_row), self.columns(tap, between)
            self.weights = [[self.load(kernel, row, column, c) for column in columns] for row in rows]
            sums = [self.load(self.begin, c)] * self.taps
            for low, high, there in (
                (index(0), self.first, False),
                (self.first, end, True),
                (end, self.builder.add(self.results, index(self.taps - 1)), False),
            ):
                sums = self.loop(low, high, sums, partial(self.pixel, c, there))

        self.for_channels(channels, some_channels)

    def pixel(self, c: ir.Value, there: bool, p: ir.Value, *sums: ir.Value) -> Values:
        """Result p begins, pixel p is added where there is one, and the result that is complete then is written."""
        builder, nothing = self.builder, self.index(0)
        begins = builder.icmp_signed("<", p, self.results)  # what else would begin is never written
        start = builder.select(begins, builder.mul(p, self.begin_step), nothing)
        now = [self.load(self.begin, start, c), *sums[:-1]]
        if there:
            here = builder.add(builder.mul(builder.sub(p, self.first), self.step), c)
            self.ask(self.source, self.rows_of_source[-1], self.source_row, here)
            for row, weights in zip(self.rows_of_source, self.weights, strict=True):
                x = self.load(self.source, row, here)
                now = [simd.multiply_add(builder, x, *pair) for pair in zip(weights, now, strict=True)]
        done = builder.sub(p, self.index(self.taps - 1))
        with builder.if_then(builder.icmp_signed(">=", done, nothing)):
            self.write(now[-1], self.at(self.result, builder.mul(done, self.result_step), c))
        return now

    def write(self, value: ir.Value, at: ir.Value) -> None:
        """Whole vectors past the cache, if so wanted."""
        if self.mask is not None:
            simd.store(self.builder, value, at, self.mask)
            return
        with self.builder.if_else(self.past) as (passing, staying):
            with passing:
                simd.stream(self.builder, value, at)
            with staying:
                simd.store(self.builder, value, at)


@intrinsic  # type: ignore[untyped-decorator]
def _add_row(
    typing: Any,
    rows: Any,
    taps: Any,
    piece: Any,
    source: Any,
    source_row: Any,
    step: Any,
    first: Any,
    end: Any,
    kernel: Any,
    kernel_row: Any,
    tap: Any,
    between: Any,
    begin: Any,
    begin_step: Any,
    result: Any,
    result_step: Any,
    results: Any,
    channels: Any,
    past: Any,
) -> Any:
    """See ``add_row``."""
    n, table, a = types.intp, CPointer(types.intp), source
    signature = types.void(n, n, table, a, n, n, n, n, a, n, n, n, a, n, a, n, n, n, types.boolean)
    return signature, code_for(source, _Row)


#: ``add_row(rows, taps, piece, source, source_row, step, first, end, kernel, kernel_row, tap, between, begin,
#: begin_step, result, result_step, results, channels, past)``: arrays are given as ``pointer(array, index)``, distances
#: in numbers. ``piece``, from ``depthwise_taps.py``, says which rows of the source, ``source_row`` apart, meet which
#: rows of the kernel, ``kernel_row`` apart. There are pixels from ``first``, where ``source`` points to, to before
#: ``end``, each a ``step`` from the one before. The first weight lies ``tap`` from where its row begins, the next one
#: ``between`` further on. Result i lies at ``i * result_step``, what it begins with at ``i * begin_step``, which may be
#: the same place. ``past``: whole vectors are written past the cache.
add_row: Any = _add_row_in_python if config.DISABLE_JIT else _add_row
