"""A run: which works, on which machine, with whom; and everything that was found, as one JSON document."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import algorithms, fresh
from benchmarks.peers.cases import SINGLE_3X3, SINGLE_KINDS, SINGLE_OTHERS, all_works, network_work
from benchmarks.peers.catalogue import MINICNN, Entry
from benchmarks.peers.claims import (
    CLAIMS,
    MEMORY_FORWARD,
    MEMORY_TRAINING,
    START_UP,
    Claim,
    Verdict,
    verdict,
    works_of,
)
from benchmarks.peers.process import settings
from benchmarks.peers.room import GIGABYTE, memory_available, memory_needed
from benchmarks.peers.rounds import Pace, Team, measure
from benchmarks.peers.statistics import Result, Row
from benchmarks.peers.work import FORWARD, Work
from minicnn import __version__, environment
from minicnn.errors import OptionError, explain
from minicnn.roofline import Limits, limits

SCHEMA = 1
SUITES = ("must-show", "networks", "layers", "roofline", "all")
FRESH = (START_UP, MEMORY_FORWARD, MEMORY_TRAINING)
MEMORY_PEERS = (MINICNN, "keras")


@dataclass
class Plan:
    """What to do: works with peers in turn, what needs fresh processes, and which claims to decide."""

    works: list[Work] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    roofline: bool = False


@dataclass
class Run:
    """All that was found. ``missing``: peers that are not installed, and the command that installs them."""

    command: str
    threads: int
    cores: list[int]
    entries: list[Entry]
    missing: list[Entry]
    results: dict[str, Result] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)
    limits: Limits | None = None
    works: dict[str, Work] = field(default_factory=dict)
    interrupted: bool = False
    algorithms: list[algorithms.Algorithm] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    begun: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))

    def sound(self) -> bool:
        """Whether minicnn has a right number for everything that was asked, and every claim is met."""
        asked = all(result.ours() is not None for result in self.results.values())
        able = not self.algorithms or any(one.seconds for one in self.algorithms)
        return asked and able and all(verdict.met for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """One strict document; ``benchmarks/README.md`` says what its fields mean."""
        packages = {package: environment.version_of(package) for e in self.entries for package in e.packages}
        return {
            "schema": SCHEMA,
            "minicnn": __version__,
            "begun": self.begun,
            "command": self.command,
            "machine": environment.machine(),
            "simd": environment.simd(),
            "threads": self.threads,
            "cores": self.cores,
            "versions": environment.versions() | packages,
            "peers": {e.name: {"title": e.title, **self.described.get(e.name, {})} for e in self.entries},
            "missing": {e.name: {"packages": e.absent, "install": e.install} for e in self.missing},
            "interrupted": self.interrupted,
            "limits": self.limits.to_json() if self.limits else None,
            "environment": settings(self.threads),
            "cases": [result.to_json() | (self.roof(name) or {}) for name, result in self.results.items()],
            "algorithms": [one.to_json() for one in self.algorithms],
            "reasons": self.reasons,
            "claims": [v.to_json() for v in self.verdicts],
        }

    def roof(self, name: str) -> dict[str, float | None] | None:
        """Of a single layer with a kernel (without one, no flops are counted): ``intensity``, in flops per byte, and
        ``attainable_gflops``, what a direct algorithm can reach at that, if the limits are known."""
        work = self.works.get(name)
        if work is None or len(work.rows) != 1 or not self.results[name].flops:
            return None
        intensity = work.intensity()
        attainable = self.limits.attainable(intensity) if self.limits else None
        return {"intensity": intensity, "attainable_gflops": attainable}


def plan(suite: str, only: Sequence[str] = (), layer: Sequence[Work] = ()) -> Plan:
    """The plan of a suite, or of one layer's works. ``only``: parts of names; what has one in its name stays.

    Raises OptionError for an unknown suite, and when nothing is left.
    """
    if layer:
        return Plan(works=list(layer))
    if suite not in SUITES:
        raise OptionError(explain(f"a suite among {', '.join(SUITES)}", repr(suite)))
    if suite == "roofline":
        found = Plan([work for work in roofline_works() if _kept(work.name, only)], roofline=True)
    elif suite == "must-show":
        claims = []
        for claim in CLAIMS.values():
            whole = not only or _kept(claim.name, only)
            kept = claim.works if whole else tuple(work for work in claim.works if _kept(work, only))
            if kept:
                claims.append(claim.narrowed(kept))
        works = list(works_of(claims).values())
        wanted = {name for claim in claims for name in claim.works}
        found = Plan(works, [name for name in FRESH if name in wanted], claims)
    else:
        works = list(all_works().values())
        layers = tuple(SINGLE_3X3 | SINGLE_OTHERS | SINGLE_KINDS)
        if suite == "layers":
            works = [work for work in works if work.name.startswith(layers)]
        elif suite == "networks":
            works = [work for work in works if not work.name.startswith((*layers, "matmul"))]
        extra = list(FRESH) if suite == "all" else []
        found = Plan([w for w in works if _kept(w.name, only)], [name for name in extra if _kept(name, only)])
    if not found.works and not found.fresh:
        raise OptionError(
            explain("--only with a part of a name", ", ".join(only), "`minicnn bench --list` shows them.")
        )
    return found


def roofline_works(network: str = "vgg224", batch: int = 8) -> list[Work]:
    """Each distinct layer with weights of a network, alone, forward."""
    whole = network_work(network, FORWARD, batch)
    works: dict[Any, Work] = {}
    for (kind, name, options), size in zip(whole.rows, whole.layers(), strict=True):
        key = (kind, size.input_shape, size.output_shape)
        if size.weights and kind in ("Conv2D", "Dense") and key not in works:
            works[key] = Work(f"{name}-forward-b{batch}", FORWARD, batch, size.input_shape, ((kind, name, options),))
    return list(works.values())


def cores_to_use(threads: int | None) -> list[int]:
    """The first ``threads`` of the cores this process may use; all of them without a number. Raises OptionError."""
    allowed = environment.core_numbers()
    if threads is not None and not 1 <= threads <= len(allowed):
        raise OptionError(explain(f"--threads from 1 to {len(allowed)}, the cores there are", threads))
    return allowed[:threads]


def compare_algorithms(work: Work, run: Run, pace: Pace, say: Callable[[str], None]) -> None:
    """minicnn's algorithms for one layer, into ``run.algorithms``, and why the winner wins, in words."""
    from minicnn.models.table import build
    from minicnn.summary import summarize

    entries = [entry for entry in run.entries if entry.name == MINICNN]
    with (
        tempfile.TemporaryDirectory(prefix="minicnn-bench-") as folder,
        Team(entries, run.threads, run.cores, Path(folder)) as team,
    ):
        run.algorithms = algorithms.compare(team, work, pace, say)
        run.described = team.described
    run.reasons = algorithms.why(run.algorithms, summarize(build(work.architecture()))[0].algorithm)


def carry_out(plan: Plan, run: Run, pace: Pace, say: Callable[[str], None], shown: Callable[[Result], None]) -> None:
    """Fill ``run``. ``shown`` is called with each result as it comes. After Ctrl-C what was found until then stays."""
    run.works = {work.name: work for work in plan.works}
    try:
        with tempfile.TemporaryDirectory(prefix="minicnn-bench-") as folder:
            if plan.roofline:
                say("measuring the processor's peak and the memory's bandwidth")
                run.limits = limits(run.threads, run.cores)
            with Team(run.entries, run.threads, run.cores, Path(folder)) as team:
                run.described = team.described
                for work in plan.works:
                    result = _measure(team, work, pace, say)
                    run.results[work.name] = result
                    shown(result)
            peers = [peer for peer in MEMORY_PEERS if peer in [entry.name for entry in run.entries]]
            for name in plan.fresh:
                if name == START_UP:
                    result = fresh.start_up(peers, run.threads, run.cores, min(pace.rounds, 7), say)
                else:
                    direction = fresh.FORWARD if name == MEMORY_FORWARD else fresh.TRAINING
                    result = fresh.peak_memory(peers, direction, run.threads, run.cores, say)
                run.results[name] = result
                shown(result)
    except KeyboardInterrupt:
        run.interrupted = True
    run.verdicts = [verdict(claim, run.results) for claim in plan.claims]


def _measure(team: Team, work: Work, pace: Pace, say: Callable[[str], None]) -> Result:
    available, needed = memory_available(), memory_needed(work, team.entries)
    if available is not None and needed > available:
        result, row = Result(work.name, work.direction, work.flops()), Row(MINICNN, "-")
        together = f"all peers together need about {needed / GIGABYTE:.0f} GiB, {available / GIGABYTE:.0f} are free"
        row.refuse("skipped", f"{together}; fewer --peers need less")
        result.rows.append(row)
        return result
    start = time.monotonic()
    result = measure(team, work, pace, say)
    say(f"{work.name}: done in {time.monotonic() - start:.0f} s")
    return result


def _kept(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)
