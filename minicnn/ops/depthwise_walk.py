"""Walks along a row of pixels, written out in LLVM's language: what the inner loops of a depthwise convolution share.

Window by window, each pixel of a row is met by three taps in turn: first by the last one, two results later by the
first. So ``depthwise_row.py`` and ``depthwise_row_gradient.py`` walk along the pixels and not along the windows. They
load the pixels that lie below each other once, and multiply them with all that they meet for this row of results. That
weights and sums can stay in registers all the way depends on how many there are, a number known only at run time: so
the loops are written down for each number of rows and taps, and a jump leads to the right one.

The channels of a vector lie side by side in memory and never meet: a row is walked along once for each vector of them,
or rather for two. Fetching a line of memory is most of the work, so it is not left before it is used up. AVX-512 has
registers for the sums and weights of two vectors; AVX2 keeps some in the nearest cache, and is still faster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from minicnn.ops import simd
from minicnn.ops.depthwise_taps import MOST_TAPS
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES

TOGETHER = 2  # vectors of channels

Values = list[ir.Value]


class Walk(ABC):
    """Emits a walk past ``rows`` pixels at a time, which lie below each other, and the ``taps`` results beside them."""

    def __init__(self, builder: ir.IRBuilder, number: ir.Type, rows: int, taps: int) -> None:
        self.builder, self.number, self.rows, self.taps = builder, number, rows, taps
        self.mask: ir.Value | None = None  # of the channels that are left after the last whole vector

    @abstractmethod
    def emit(self, *arguments: ir.Value) -> None:
        """Do it; the arguments are those of the intrinsic from the third one on."""

    def for_channels(self, channels: ir.Value, body: Callable[[ir.Value], None]) -> None:
        """``body`` for the channels from each c on that fill TOGETHER vectors, then one, then for the rest, masked."""
        builder, done = self.builder, channels.type(0)
        for vectors in (TOGETHER, 1):
            self.bytes = vectors * VECTOR_BYTES
            self.lanes = self.bytes // simd.number_bytes(self.number)
            self.kind = ir.VectorType(self.number, self.lanes)
            width = channels.type(self.lanes)
            left = builder.srem(builder.sub(channels, done), width)
            whole = builder.sub(channels, left)
            with cgutils.for_range_slice(builder, done, whole, width, inc=True) as (c, _):
                body(c)
            done = whole
        with builder.if_then(builder.icmp_signed("<", done, channels)):
            self.mask = simd.lane_mask(builder, left, self.lanes)
            body(done)
            self.mask = None

    def loop(self, low: ir.Value, high: ir.Value, state: Values, body: Callable[..., Values]) -> Values:
        """For low, low + 1, ... before high: ``body(number, *state)`` returns the next state."""
        builder = self.builder
        before, inside, after = builder.block, builder.append_basic_block("next"), builder.append_basic_block("past")
        builder.cbranch(builder.icmp_signed("<", low, high), inside, after)
        builder.position_at_end(inside)
        number, *old = variables = [builder.phi(value.type) for value in (low, *state)]
        later = [builder.add(number, number.type(1)), *body(number, *old)]
        end = builder.block
        builder.cbranch(builder.icmp_signed("<", later[0], high), inside, after)
        simd.as_it_stands(end)
        builder.position_at_end(after)
        results = [builder.phi(value.type) for value in state]
        for phi, start, following in zip(variables, (low, *state), later, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(following, end)
        for phi, start, following in zip(results, state, later[1:], strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(following, end)
        return results

    def at(self, base: ir.Value, *offsets: ir.Value) -> ir.Value:
        total, *others = offsets
        for offset in others:
            total = self.builder.add(total, offset)
        return self.builder.gep(base, [total])

    def load(self, base: ir.Value, *offsets: ir.Value) -> ir.Value:
        return simd.load(self.builder, self.at(base, *offsets), self.kind, self.mask)

    def ask(self, base: ir.Value, *offsets: ir.Value) -> None:
        """Ask for all lines of what will be loaded from there."""
        for line in range(0, self.bytes, LINE_BYTES):
            lane = offsets[0].type(line * self.lanes // self.bytes)
            simd.prefetch(self.builder, self.at(base, *offsets, lane))

    def entries(self, piece: ir.Value, which: int, apart: ir.Value) -> Values:
        """The rows of a piece, of the source or of the kernel, which lie so far ``apart``."""
        numbers = (self.builder.load(self.at(piece, apart.type(which + r))) for r in range(self.rows))
        return [self.builder.mul(number, apart) for number in numbers]

    def columns(self, tap: ir.Value, between: ir.Value) -> Values:
        """Where the taps of a run lie in a row of the kernel."""
        return [self.builder.add(tap, self.builder.mul(between, between.type(q))) for q in range(self.taps)]

    def within(self, low: ir.Value, number: ir.Value, high: ir.Value) -> ir.Value:
        """``number``, or the limit that it exceeds; low is not more than high."""
        builder = self.builder
        number = builder.select(builder.icmp_signed("<", number, low), low, number)
        return builder.select(builder.icmp_signed("<", high, number), high, number)


def code_for(array: Any, walk: type[Walk]) -> Any:
    """What an intrinsic emits whose first two arguments are ``rows`` and ``taps``: a jump to what ``walk`` does, for so
    many, with the others. ``array``: the type of a pointer, and so of the numbers, float32 or float64."""
    number = ir.FloatType() if array.dtype == types.float32 else ir.DoubleType()

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        rows, taps, *others = arguments
        done = builder.append_basic_block("done")
        switch = builder.switch(builder.add(builder.mul(rows, rows.type(MOST_TAPS + 1)), taps), done)
        for r in range(1, MOST_TAPS + 1):
            for q in range(1, MOST_TAPS + 1):
                block = builder.append_basic_block(f"walk_{r}x{q}")
                switch.add_case(rows.type(r * (MOST_TAPS + 1) + q), block)
                builder.position_at_end(block)
                walk(builder, number, r, q).emit(*others)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return codegen
