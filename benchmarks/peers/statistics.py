"""Medians of ratios, and how far they spread.

A ratio is taken within each round, when both peers met the same machine a moment apart, and only then the median is
taken over the rounds: what slows the machine down for a minute slows both, and cancels. Quartiles say how far to
trust it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """The median of some numbers and their quartiles."""

    median: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return self._asdict()


def spread(numbers: Sequence[float]) -> Spread:
    """Median and quartiles (of the numbers themselves, not beyond them).

    >>> spread([4.0, 1.0, 2.0, 3.0, 5.0])
    Spread(median=3.0, low=2.0, high=4.0)
    """
    if not numbers:
        return Spread(math.nan, math.nan, math.nan)
    if len(numbers) == 1:
        return Spread(numbers[0], numbers[0], numbers[0])
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return Spread(median, low, high)


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """Their time by ours, round by round: above 1, minicnn is faster. Rounds that one side missed are left out.

    >>> ratios([2.0, 8.0, 2.0], [1.0, 2.0, 1.0]).median
    2.0
    """
    return spread([their / our for their, our in zip(theirs, ours, strict=False) if our > 0])


class Row:
    """One way of one peer for one work: its rounds in seconds, its error, and whether it may be compared."""

    def __init__(self, peer: str, way: str) -> None:
        self.peer, self.way = peer, way
        self.status, self.reason = "ok", ""
        self.errors: dict[str, float] = {}
        self.rounds: list[float] = []
        self.guess = 0.0  # seconds of the call that said how many to make

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def worst(self) -> float:
        """The largest of its errors against the referee."""
        return max(self.errors.values(), default=math.nan)

    def refuse(self, status: str, reason: str) -> None:
        """ "WRONG", "failed" or "skipped", and why; the first reason stays."""
        if self.ok:
            self.status, self.reason = status, reason

    def to_json(self) -> dict[str, Any]:
        return {
            "peer": self.peer,
            "way": self.way,
            "status": self.status,
            "reason": self.reason,
            "error": self.worst if self.errors else None,
            "seconds": spread(self.rounds).to_json() if self.rounds else None,
            "rounds": self.rounds,
        }


class Result:
    """All rows of one work. ``unit`` is "s"; peak memory is compared in "bytes". ``algorithms``: of minicnn's
    convolutions, by the layer's name."""

    def __init__(self, name: str, direction: str, flops: float = 0.0, unit: str = "s", referee: str = "") -> None:
        self.name, self.direction, self.flops, self.unit, self.referee = name, direction, flops, unit, referee
        self.rows: list[Row] = []
        self.algorithms: dict[str, str] = {}

    def ours(self) -> Row | None:
        """minicnn's row, when it is right and was timed."""
        return next((row for row in self.rows if row.peer == "minicnn" and row.ok and row.rounds), None)

    def fastest(self, peers: Sequence[str] = ()) -> Row | None:
        """The way with the least median among ``peers`` (all but minicnn without them)."""
        found = [
            row
            for row in self.rows
            if row.ok and row.rounds and row.peer != "minicnn" and (not peers or row.peer in peers)
        ]
        return min(found, key=lambda row: spread(row.rounds).median, default=None)

    def ratio(self, row: Row) -> Spread | None:
        """Of this row to minicnn's."""
        ours = self.ours()
        return ratios(row.rounds, ours.rounds) if ours and row.ok and row.rounds else None

    def to_json(self) -> dict[str, Any]:
        ratios_ = {id(row): self.ratio(row) for row in self.rows}
        rows = [row.to_json() | {"ratio": r.to_json() if (r := ratios_[id(row)]) else None} for row in self.rows]
        return {
            "name": self.name,
            "direction": self.direction,
            "flops": self.flops,
            "unit": self.unit,
            "referee": self.referee,
            "algorithms": self.algorithms,
            "rows": rows,
        }
