"""The instructions of one tile, written out in LLVM's language: see ``micro_kernel.py`` for what a tile is.

Compilers do not find this shape of their own accord, and what they find they spoil: this file is also a list of the
places where LLVM must be kept from being clever. What to look at is the loop in the machine code
(``inspect_asm``): nothing in it but loads, broadcasts and multiply-adds, and the sums in registers throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES, load, multiply_add, number_bytes, prefetch, repeated, store

VECTORS = 2  # of columns in a tile
# ROWS in a tile: ROWS * VECTORS sums, and what they are made of, fit the registers. UNROLL: steps before the loop asks
# whether it is done; 28 multiplications hide the loop's own instructions, 12 do not. NEAR and FAR: steps ahead of its
# use, a row of b is asked into the nearest cache, and into the next one. Narrow vectors have no time for the second
# request: it took a tile from 93 to 52 GFLOP/s (``benchmarks/NOTES.md``).
ROWS, UNROLL, NEAR, FAR = (14, 1, 16, 64) if VECTOR_BYTES == 64 else (6, 4, 32, 0)


Places = tuple[ir.Value, ir.Value]  # where the first row of something begins, and how far apart its rows lie


class TileCode:
    """Emits the code of tiles of ``rows`` x ``vectors`` sums, one below the other."""

    def __init__(self, builder: ir.IRBuilder, number: ir.Type, rows: int, vectors: int) -> None:
        self.builder, self.number, self.rows, self.vectors = builder, number, rows, vectors
        self.lanes = VECTOR_BYTES // number_bytes(number)
        self.kind = ir.VectorType(number, self.lanes)

    def place(self, base: ir.Value, offset: ir.Value, v: int) -> ir.Value:
        return self.builder.gep(base, [self.builder.add(offset, offset.type(v * self.lanes))])

    def load(self, base: ir.Value, offset: ir.Value, v: int) -> ir.Value:
        return load(self.builder, self.place(base, offset, v), self.kind)

    def store(self, value: ir.Value, base: ir.Value, offset: ir.Value, v: int) -> None:
        store(self.builder, value, self.place(base, offset, v))

    def ask(self, base: ir.Value, offset: ir.Value, write: bool = False, cache: int = 1) -> None:
        """Ask for one row of the tile before it is needed, a line at a time."""
        for v in range(0, self.vectors, max(1, LINE_BYTES // VECTOR_BYTES)):
            prefetch(self.builder, self.place(base, offset, v), write, cache)

    def begin(self, a_row: Any, a_step: Any) -> None:
        """What all loops need, computed once."""
        builder, b_step, index = self.builder, VECTORS * self.lanes, a_row.type
        self.a_row, self.a_step, self.b_step = a_row, a_step, index(b_step)
        self.ahead = [(index(b_step * steps), cache) for steps, cache in ((NEAR, 1), (FAR, 2)) if steps]
        distances = [builder.mul(a_row, index(r)) for r in range(1, self.rows)]
        self.rows_at = [index(0), *(opaque(builder, distance) for distance in distances)]
        self.unroll = (
            UNROLL if self.rows > ROWS // 2 and self.vectors == VECTORS else 1
        )  # edges are not worth their code

    def segments(self, a: Any, b: Any, table: Any, segments: Any, state: list[Any], body: Any) -> list[Any]:
        """The loop over segments. ``body`` gets where a and b begin in one, how many numbers it has, and a state, and
        returns the next one."""
        builder, one = self.builder, segments.type(1)
        before = builder.block
        outer, after = builder.append_basic_block("segment"), builder.append_basic_block("segments_done")
        builder.branch(outer)

        builder.position_at_end(outer)
        s, *old = variables = [builder.phi(value.type) for value in (segments, *state)]
        row = builder.mul(s, s.type(3))
        a_from, b_from, run = (builder.load(builder.gep(table, [builder.add(row, s.type(i))])) for i in range(3))
        new = body(builder.gep(a, [a_from]), builder.gep(b, [b_from]), run, old)
        s_next = builder.add(s, one)
        end = builder.block
        builder.cbranch(builder.icmp_signed("<", s_next, segments), outer, after)

        for phi, first, later in zip(variables, (segments.type(0), *state), (s_next, *new), strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, end)
        builder.position_at_end(after)
        return list(new)

    def nothing(self) -> list[ir.Value]:
        """The sums before anything was added."""
        return [ir.Constant(self.kind, [0.0] * self.lanes)] * (self.rows * self.vectors)

    def segment(self, a: ir.Value, b: ir.Value, run: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        """The sums, and what one segment of ``run`` numbers adds to them."""
        rest = self.builder.and_(run, run.type(self.unroll - 1))  # a power of two less one
        whole = self.builder.sub(run, rest)
        state = self.loop(self.unroll, run.type(0), whole, (a, b, *sums))
        if self.unroll > 1:
            state = self.loop(1, whole, run, state)
        return list(state[2:])

    def in_one(
        self,
        tiles: Any,
        a: Any,
        b: Any,
        table: Any,
        segments: Any,
        addend: Any,
        addend_row: Any,
        c: Any,
        c_row: Any,
        floor: Any,
    ) -> None:
        """c = the sum of all segments, cut off below; for so many tiles, one below the other."""

        def one(a: ir.Value, addend: ir.Value, c: ir.Value) -> None:
            sums = self.segments(a, b, table, segments, self.nothing(), self.segment)
            self.finish(sums, addend, addend_row, c, c_row, floor)

        self.below(tiles, (a, self.a_row), (addend, addend_row), (c, c_row), one)

    def in_parts(
        self, tiles: Any, a: Any, b: Any, table: Any, segments: Any, addend: Any, addend_row: Any, c: Any, c_row: Any
    ) -> None:
        """The same, but each segment is added up for itself, from zero, and then to c. Nothing is cut off."""

        def one(a: ir.Value, addend: ir.Value, c: ir.Value) -> None:
            def part(a_at: ir.Value, b_at: ir.Value, run: ir.Value, old: list[ir.Value]) -> list[ir.Value]:
                before, before_row = old
                self.finish(self.segment(a_at, b_at, run, self.nothing()), before, before_row, c, c_row)
                return [c, c_row]

            self.segments(a, b, table, segments, [addend, addend_row], part)

        self.below(tiles, (a, self.a_row), (addend, addend_row), (c, c_row), one)

    def below(self, tiles: Any, a: Places, addend: Places, c: Places, one: Callable[..., None]) -> None:
        """``one`` for so many tiles, one below the other; it gets the three places where its tile begins."""
        builder, first = self.builder, (a[0], addend[0], c[0])
        before, body = builder.block, builder.append_basic_block("below")
        after = builder.append_basic_block("all_below")
        distances = [builder.mul(row, row.type(self.rows)) for _, row in (a, addend, c)]
        builder.cbranch(builder.icmp_signed("<", tiles.type(0), tiles), body, after)

        builder.position_at_end(body)
        done, *places = variables = [builder.phi(value.type) for value in (tiles, *first)]
        self.ask_for(places[-1], c[1])
        one(*places)
        later = [builder.add(done, done.type(1))]
        later += [builder.gep(place, [far]) for place, far in zip(places, distances, strict=True)]
        for phi, start, following in zip(variables, (tiles.type(0), *first), later, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", later[0], tiles), body, after)
        builder.position_at_end(after)

    def loop(self, steps: int, begin: Any, end: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """The steps from ``begin`` to ``end``, so many at a time; the state is where a and b are read, and the sums."""
        builder = self.builder
        before, body = builder.block, builder.append_basic_block("product")
        after = builder.append_basic_block("products_done")
        builder.cbranch(builder.icmp_signed("<", begin, end), body, after)

        builder.position_at_end(body)
        variables = [builder.phi(value.type) for value in (begin, *state)]
        k, a, b, *sums = variables
        for _ in range(steps):
            columns = [self.load(b, self.b_step.type(0), v) for v in range(self.vectors)]
            for distance, cache in self.ahead:
                self.ask(b, distance, cache=cache)
            for r in range(self.rows):
                factor = repeated(builder, builder.load(builder.gep(a, [self.rows_at[r]])), self.kind)
                for v in range(self.vectors):
                    here = r * self.vectors + v
                    sums[here] = multiply_add(self.builder, factor, columns[v], sums[here])
            a, b = opaque(builder, builder.gep(a, [self.a_step])), builder.gep(b, [self.b_step])
        again = [builder.add(k, k.type(steps)), a, b, *sums]
        builder.cbranch(builder.icmp_signed("<", again[0], end), body, after)

        for phi, first, later in zip(variables, (begin, *state), again, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, body)
        builder.position_at_end(after)
        results = []
        for first, later in zip(state, again[1:], strict=True):
            result = builder.phi(first.type)
            result.add_incoming(first, before)
            result.add_incoming(later, body)
            results.append(result)
        return tuple(results)

    def ask_for(self, c: Any, c_row: Any) -> None:
        """The results' places, which are written when the sums are done."""
        for r in range(self.rows):
            self.ask(c, self.builder.mul(c_row, c_row.type(r)), write=True)

    def finish(
        self, sums: Any, addend: Any, addend_row: Any, c: Any, c_row: Any, floor: ir.Value | None = None
    ) -> None:
        """Add, cut off below ``floor`` if there is one, store."""
        builder = self.builder
        least = None if floor is None else repeated(builder, floor, self.kind)
        for r in range(self.rows):
            addend_at, c_at = (builder.mul(step, step.type(r)) for step in (addend_row, c_row))
            for v in range(self.vectors):
                total = builder.fadd(sums[r * self.vectors + v], self.load(addend, addend_at, v))
                if least is not None:
                    below = builder.fcmp_ordered("<=", total, least)  # false for NaN, which so survives; true for -0.0
                    total = builder.select(below, least, total)
                self.store(total, c, c_at, v)


def opaque(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """The same number, of which LLVM knows nothing.

    It would see that the rows of a are equally far apart, and step from one to the next: ROWS additions that wait for
    each other, in a loop where everything else can go on side by side. That cost a quarter of the speed.
    """
    same = ir.FunctionType(number.type, [number.type])
    return builder.asm(same, "", "=r,0", [number], side_effect=False)
