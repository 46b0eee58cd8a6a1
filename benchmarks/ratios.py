"""The table at the end: for each case and pass, minicnn's median, that of Keras's fastest way, and their ratio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

MINICNN = "minicnn"
WIDTH = 78  # of the column with names


class Timing(NamedTuple):
    """The median of one engine for one group, "case: pass", in seconds."""

    group: str
    engine: str
    median: float


class Ratio(NamedTuple):
    """Both engines' medians in milliseconds for one group; ``way`` is how Keras was fastest."""

    group: str
    minicnn: float
    keras: float
    way: str

    @property
    def value(self) -> float:
        """Keras's time by minicnn's: above 1, minicnn is faster."""
        return self.keras / self.minicnn


def ratios(timings: Iterable[Timing]) -> list[Ratio]:
    """One Ratio for every group in which both engines were timed, in the order of ``timings``."""
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for group, engine, median in timings:
        groups[group][engine] = 1e3 * median
    found = []
    for group, times in groups.items():
        ways = {engine: time for engine, time in times.items() if engine != MINICNN}
        if MINICNN in times and ways:
            way = min(ways, key=lambda engine: ways[engine])
            found.append(Ratio(group, times[MINICNN], ways[way], way))
    return found


def table(found: Iterable[Ratio]) -> list[str]:
    """The lines of the table, the header first."""
    lines = [f"{'case: pass':<{WIDTH}} {'minicnn ms':>11} {'Keras ms':>11} {'Keras/minicnn':>14}  Keras's best way"]
    for ratio in found:
        name = ratio.group if len(ratio.group) <= WIDTH else f"{ratio.group[: WIDTH - 3]}..."
        lines.append(f"{name:<{WIDTH}} {ratio.minicnn:>11.4g} {ratio.keras:>11.4g} {ratio.value:>14.2f}  {ratio.way}")
    return lines
