"""The innermost loop of a depthwise kernel's gradient: some rows of dy, for up to 3 x 3 taps and all channels.

    gradient[r, q] += sum over i of  x[r, i + q] * dy[i]

It walks along the pixels (``depthwise_walk.py``). Three of them, below each other, are multiplied with the three
numbers of dy that they meet, for the sums of nine weights, which (with AVX-512) stay in registers from row to row. Nine
multiplications cost four loads. At the edges pixels meet fewer numbers; the other products are computed, but not added.

The sums are short, in the dtype of x, and join long ones in float64. Memory is asked in time, for the rows below.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import types
from numba.core.types.misc import CPointer
from numba.extending import intrinsic

from minicnn.ops import simd
from minicnn.ops.depthwise_taps import KERNEL_ROWS, PLACES
from minicnn.ops.depthwise_walk import Values, Walk, code_for
from minicnn.shapes import Array


def _add_gradient_in_python(
    rows: int,
    taps: int,
    piece: Array,
    x: Array,
    x_row: int,
    step: int,
    first: int,
    end: int,
    dy: Array,
    dy_row: int,
    dy_step: int,
    results: int,
    dy_rows: int,
    stride: int,
    gradient: Array,
    kernel_row: int,
    tap: int,
    between: int,
    channels: int,
) -> None:
    for r in range(rows):
        for q in range(taps):
            total = np.zeros(channels, x.dtype)
            for number in range(dy_rows):
                for p in range(max(first, q), min(end, results + q)):
                    at = (piece[PLACES + r] + number * stride) * x_row + (p - first) * step
                    upstream = number * dy_row + (p - q) * dy_step
                    total += x[at : at + channels] * dy[upstream : upstream + channels]
            weight = piece[KERNEL_ROWS + r] * kernel_row + tap + q * between
            gradient[weight : weight + channels] += total


class _Gradient(Walk):
    """Emits ``add_gradient``; sums stand row by row."""

    def emit(self, *arguments: ir.Value) -> None:
        self.piece, self.x, self.x_row, self.step, self.first, self.end, self.dy, *others = arguments
        self.dy_row, self.dy_step, self.results, dy_rows, self.stride, *others = others
        gradient, kernel_row, tap, between, channels = others
        index = self.index = channels.type
        # all taps meet numbers of dy at the pixels from ``low`` to before ``high``
        self.low = self.within(self.first, index(self.taps - 1), self.end)
        self.high = self.within(self.low, self.results, self.end)

        def some_channels(c: ir.Value) -> None:
            self.rows_of_x = self.entries(self.piece, PLACES, self.x_row)
            sums = [ir.Constant(self.kind, [0.0] * self.lanes)] * (self.rows * self.taps)
            sums = self.loop(index(0), dy_rows, sums, lambda number, *sums: self.one_row(number, c, list(sums)))
            columns = self.columns(tap, between)
            for r, row in enumerate(self.entries(self.piece, KERNEL_ROWS, kernel_row)):
                for q, column in enumerate(columns):
                    self.add(self.at(gradient, row, column, c), sums[r * self.taps + q])

        self.for_channels(channels, some_channels)

    def one_row(self, number: ir.Value, c: ir.Value, sums: Values) -> Values:
        """The sums, and what one row of dy adds to them."""
        builder, beside = self.builder, self.taps - 1  # numbers of dy that the next pixel meets again
        x_at = builder.add(builder.mul(number, builder.mul(self.stride, self.x_row)), c)
        dy_at = builder.add(builder.mul(number, self.dy_row), c)

        def upstream(i: ir.Value) -> ir.Value:
            i = self.within(self.index(0), i, builder.sub(self.results, self.index(1)))
            return self.load(self.dy, builder.mul(i, self.dy_step), dy_at)

        def pixel(at_edge: bool, p: ir.Value, *state: ir.Value) -> Values:
            here = builder.add(builder.mul(builder.sub(p, self.first), self.step), x_at)
            self.ask(self.x, self.rows_of_x[-1], self.x_row, here)
            self.ask(self.dy, builder.mul(p, self.dy_step), self.dy_row, dy_at)
            met, sums = [upstream(p), *state[:beside]], []
            for r, row in enumerate(self.rows_of_x):
                x, before = self.load(self.x, row, here), state[beside + r * self.taps :]
                sums += [
                    self.product(x, met[q], before[q], builder.sub(p, self.index(q)), at_edge) for q in range(self.taps)
                ]
            return [*met[:beside], *sums]

        state = [*(upstream(builder.sub(self.first, self.index(q + 1))) for q in range(beside)), *sums]
        for low, high, at_edge in (
            (self.first, self.low, True),
            (self.low, self.high, False),
            (self.high, self.end, True),
        ):
            state = self.loop(low, high, state, partial(pixel, at_edge))
        return state[beside:]

    def product(self, x: ir.Value, dy: ir.Value, total: ir.Value, i: ir.Value, at_edge: bool) -> ir.Value:
        """total + x * dy, at the edge only if there is a result i."""
        builder, more = self.builder, simd.multiply_add(self.builder, x, dy, total)
        if not at_edge:
            return more
        not_before = builder.icmp_signed(">=", i, self.index(0))
        there = builder.and_(not_before, builder.icmp_signed("<", i, self.results))
        return builder.select(there, more, total)

    def add(self, at: ir.Value, total: ir.Value) -> None:
        """A short sum joins a long one."""
        wide = ir.VectorType(ir.DoubleType(), self.lanes)
        more = total if self.kind == wide else self.builder.fpext(total, wide)
        before = simd.load(self.builder, at, wide, self.mask)
        simd.store(self.builder, self.builder.fadd(before, more), at, self.mask)


@intrinsic  # type: ignore[untyped-decorator]
def _add_gradient(
    typing: Any,
    rows: Any,
    taps: Any,
    piece: Any,
    x: Any,
    x_row: Any,
    step: Any,
    first: Any,
    end: Any,
    dy: Any,
    dy_row: Any,
    dy_step: Any,
    results: Any,
    dy_rows: Any,
    stride: Any,
    gradient: Any,
    kernel_row: Any,
    tap: Any,
    between: Any,
    channels: Any,
) -> Any:
    """See ``add_gradient``."""
    n, table, wide = types.intp, CPointer(types.intp), CPointer(types.float64)
    return types.void(n, n, table, x, n, n, n, n, x, n, n, n, n, n, wide, n, n, n, n), code_for(x, _Gradient)


#: ``add_gradient(rows, taps, piece, x, x_row, step, first, end, dy, dy_row, dy_step, results, dy_rows, stride,
#: gradient, kernel_row, tap, between, channels)``: as in ``depthwise_row.add_row``, ``piece`` says which rows of x,
#: ``x_row`` apart, meet which rows of the kernel; there are pixels from ``first``, where x points to, to before
#: ``end``. Number i of dy lies at ``i * dy_step``, up to ``results``. The same is done for ``dy_rows`` rows of dy,
#: ``dy_row`` apart, whose pixels lie ``stride`` rows of x apart. The sums are added to the float64 ``gradient``, which
#: lies as the kernel does.
add_gradient: Any = _add_gradient_in_python if config.DISABLE_JIT else _add_gradient
