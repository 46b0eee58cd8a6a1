"""minicnn's convolution algorithms against each other, for one layer: which wins, and why.

    time of an algorithm = its multiplications / the rate at which it does them

An algorithm wins by needing fewer multiplications (Winograd), or by keeping the multipliers busy (one large matrix
product); what it does besides, transforms and copies, shows as a low rate. Scratch is what a call needs beyond its
input, its weights and its output, measured in a process of its own; the error is against float64, and beside it stands
what the rule would allow without looking at Keras's error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.peers import fresh
from benchmarks.peers.rounds import Pace, Team, measure
from benchmarks.peers.statistics import Row, Spread, spread
from benchmarks.peers.work import FORWARD, Work
from minicnn.errors import OptionError, explain
from reference_keras.tolerance import layer_limit

LOOPS_LIMIT = 5e6  # flops: the definition in plain Python loops would take minutes beyond


@dataclass(frozen=True)
class Algorithm:
    """What one algorithm took. ``problem``: why it has no number. Times in seconds, scratch in bytes."""

    name: str
    multiplications: float
    problem: str = ""
    seconds: Spread | None = None
    error: float = float("nan")
    limit: float = float("nan")
    scratch: float = float("nan")

    @property
    def rate(self) -> float:
        """Multiply-adds it really does per second, in GFLOP/s."""
        return 2 * self.multiplications / self.seconds.median / 1e9 if self.seconds else float("nan")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "multiplications": self.multiplications,
            "problem": self.problem,
            "seconds": self.seconds.to_json() if self.seconds else None,
            "error": self.error,
            "limit": self.limit,
            "scratch": self.scratch,
            "gflops": self.rate,
        }


def multiplications(work: Work, name: str) -> float:
    """Of one forward pass: N OH OW KH KW C F, or with Winograd Q^2 C F for each tile of m x m outputs."""
    from minicnn.ops.conv2d import ALGORITHMS
    from minicnn.ops.conv2d.winograd import Winograd

    (size,) = work.layers()
    algorithm = ALGORITHMS[name]
    if not isinstance(algorithm, Winograd):
        return work.batch * size.flops / 2
    rows, columns, filters = size.output_shape
    return float(work.batch * algorithm.products(rows, columns) * size.input_shape[-1] * filters)


def compare(team: Team, work: Work, pace: Pace, say: Callable[[str], None]) -> list[Algorithm]:
    """Every algorithm of ``minicnn.ops.conv2d``, the fastest first, those without a number last.

    Raises OptionError for a layer that is no Conv2D.
    """
    from minicnn.layers import Conv2D
    from minicnn.ops.conv2d import ALGORITHMS

    if work.layer_kind != "Conv2D" or work.direction != FORWARD:
        raise OptionError(explain("--algorithms with --layer conv", work.name))
    (_, _, options) = work.rows[0]
    layer = Conv2D(**options)
    shape = (*layer.window.size, work.input_shape[-1], options["filters"])
    problems = {name: chosen.unsupported(shape, layer.window, 1) or "" for name, chosen in ALGORITHMS.items()}
    if work.flops() > LOOPS_LIMIT:
        problems["loops"] = "the definition: seven loops would take minutes"
    able = [name for name, problem in problems.items() if not problem]
    result = measure(team, work, pace, say, ways={"minicnn": able})
    rows = {row.way: row for row in result.rows}
    failed = rows.get("-")
    found = []
    for name, problem in problems.items():
        row = rows.get(name, failed)
        if problem or row is None:
            found.append(Algorithm(name, multiplications(work, name) if not problem else float("nan"), problem))
            continue
        say(f"{work.name}: {name}'s memory")
        found.append(_found(work, name, row, team))
    return sorted(found, key=lambda one: one.seconds.median if one.seconds else float("inf"))


def _found(work: Work, name: str, row: Row, team: Team) -> Algorithm:
    if not row.ok:
        return Algorithm(name, multiplications(work, name), f"{row.status}: {row.reason}")
    try:
        scratch = fresh.scratch(with_algorithm(work, name), team.threads, team.cores)
    except RuntimeError:
        scratch = float("nan")
    return Algorithm(
        name, multiplications(work, name), "", spread(row.rounds), row.worst, layer_limit(0.0, name), scratch
    )


def with_algorithm(work: Work, name: str) -> Work:
    """The same layers with every convolution computed in this way."""
    rows = tuple((kind, layer, {**o, "algorithm": name} if "Conv" in kind else o) for kind, layer, o in work.rows)
    return replace(work, rows=rows)


def why(found: list[Algorithm], auto: str) -> list[str]:
    """The winner against each of the others, in words; and whether "auto" would have chosen it."""
    timed = [one for one in found if one.seconds]
    if not timed:
        return ["No algorithm has a number."]
    winner = timed[0]
    lines = [f"'{winner.name}' wins; \"auto\" takes '{auto}'."]
    for other in timed[1:]:
        assert winner.seconds is not None
        assert other.seconds is not None
        fewer = other.multiplications / winner.multiplications
        count = "as many multiplications" if np.isclose(fewer, 1) else f"{fewer:.2f} times as many multiplications"
        busy = other.rate / winner.rate
        lines.append(
            f"'{other.name}' takes {other.seconds.median / winner.seconds.median:.2f} times as long: "
            f"{count}, done at {busy:.2g} of the winner's rate."
        )
    return lines
