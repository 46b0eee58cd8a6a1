"""One work through every peer: prepared, judged, and timed in turn.

A round gives each way of each peer one turn, in an order that is drawn anew for each round: whoever follows the one
with the largest arrays finds the least in the caches. Where calls are short, a turn begins with some that do not count
(the caches belong to somebody else), for everybody or for nobody; the median of those that do is the round's number.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.peers.catalogue import MINICNN, Entry
from benchmarks.peers.judge import errors, judge, referee_way
from benchmarks.peers.process import Worker, WorkerError
from benchmarks.peers.statistics import Result, Row, spread
from benchmarks.peers.work import FIT, TRAINING, Data, Work, make_data

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long to measure: at most ``rounds``, and after ``least`` of them no longer than ``seconds`` per work."""

    rounds: int = 15
    least: int = 5
    seconds: float = 60.0
    turn: float = 0.15  # seconds of calls in one turn
    prepare_limit: float = 900.0
    answer_limit: float = 300.0


QUICK = Pace(rounds=5, least=3, seconds=10.0, turn=0.05)
SHORT = 0.2  # seconds: where the fastest way's call is shorter, all of them get warm ones in front,
WARM = 0.01  # for so many seconds, but at least one
MOST_CALLS = 2000  # in a turn
SEED = 0  # of the order in each round, with the work's name


class Team:
    """The workers, started when they are first needed, and again after one has died. A context: it ends them all."""

    def __init__(self, entries: Sequence[Entry], threads: int, cores: list[int], folder: Path) -> None:
        self.entries = list(entries)
        self.threads, self.cores, self.folder = threads, cores, folder
        self.described: dict[str, Any] = {}
        self._workers: dict[str, Worker] = {}
        self._weights_of: object = None

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def worker(self, entry: Entry) -> Worker:
        """Raises WorkerError when the framework does not load."""
        worker = self._workers.get(entry.name)
        if worker is None or not worker.alive:
            self._workers[entry.name] = worker = Worker(entry.title, entry.module, self.threads, self.cores)
        return worker

    def files(self, work: Work) -> list[str]:
        """Weights and inputs on disk. The weights of the last network stay: VGG-Face's take seconds to make."""
        data: Data = make_data(work)
        weights, inputs = self.folder / "weights.npz", self.folder / "inputs.npz"
        identity = (work.rows, work.input_shape)
        if identity != self._weights_of or not weights.exists():
            np.savez(weights, **data.weights)
            self._weights_of = identity
        np.savez(inputs, x=data.x, y=data.y)
        return [str(weights), str(inputs)]

    def clear(self) -> None:
        """Everybody forgets the work; who cannot is ended."""
        for worker in self._workers.values():
            if worker.alive:
                with contextlib.suppress(WorkerError):
                    worker.ask(60, "clear")
        for path in self.folder.glob("result-*.npz"):
            path.unlink()


def measure(
    team: Team, work: Work, pace: Pace, say: Say, ways: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Result:
    """All rows of one work, in the order of the catalogue. What cannot be done is a row with its reason.

    ``ways``: for some peers, others than they would choose themselves.
    """
    result = Result(work.name, work.direction, work.flops())
    entries = [entry for entry in team.entries if work.direction in entry.directions]
    try:
        result.referee = referee_way(work)
        try:
            files = team.files(work)
        except OSError as error:  # a full disk: what was found before must not be lost with it
            row = Row(MINICNN, "-")
            row.refuse("failed", f"{error.strerror or error}: {error.filename or team.folder}")
            result.rows.append(row)
            return result
        say(f"{work.name}: the referee computes")
        truth = _truth(team, work, files, result.referee, pace)
        for entry in entries:
            say(f"{work.name}: {entry.title} prepares")
            described = _prepare(team, entry, work, files, truth, result, pace, ways.get(entry.name))
            if entry.name == MINICNN:
                result.algorithms = described.get("algorithms", {})
        judge(work, result.rows, result.algorithms)
        _time(team, work, result, pace, say)
    finally:
        team.clear()
    return result


def _truth(team: Team, work: Work, files: list[str], way: str, pace: Pace) -> dict[str, Any] | None:
    """The referee's arrays, or None when minicnn itself fails; then nobody can be judged."""
    entry = next((entry for entry in team.entries if entry.name == MINICNN), None)
    if entry is None:
        return None
    try:
        answer = _ask_to_prepare(team, entry, work, files, pace, "result-referee", [way])
        found = answer["ways"][way]
        team.worker(entry).ask(60, "clear")
    except WorkerError:
        return None
    return _load(found["file"]) if "file" in found else None


def _prepare(
    team: Team,
    entry: Entry,
    work: Work,
    files: list[str],
    truth: Any,
    result: Result,
    pace: Pace,
    ways: Sequence[str] | None,
) -> dict[str, Any]:
    try:
        answer = _ask_to_prepare(team, entry, work, files, pace, f"result-{entry.name}", ways)
    except WorkerError as error:
        row = Row(entry.name, "-")
        row.refuse("failed", str(error))
        result.rows.append(row)
        return {}
    for way, found in answer["ways"].items():
        row = Row(entry.name, way)
        result.rows.append(row)
        if "failed" in found:
            row.refuse("skipped" if "No module named" in found["failed"] else "failed", found["failed"])
        elif truth is None:
            row.refuse("failed", "the referee failed, so nobody can say what is right")
        else:
            row.guess = found["seconds"]
            row.errors = errors(work, _load(found["file"]), truth)
            if (used := answer["described"]["threads"]) != team.threads:
                row.refuse("failed", f"it says it uses {used} threads, not {team.threads}")
    described: dict[str, Any] = answer["described"]
    team.described[entry.name] = {key: value for key, value in described.items() if key != "algorithms"}  # a work's own
    return described


def _ask_to_prepare(
    team: Team, entry: Entry, work: Work, files: list[str], pace: Pace, results: str, ways: Sequence[str] | None
) -> dict[str, Any]:
    question = {"work": work.to_json(), "files": files, "results": str(team.folder / results)}
    return team.worker(entry).ask(pace.prepare_limit, "prepare", **question, ways=list(ways or ()))


def _load(path: str) -> dict[str, Any]:
    with np.load(path) as arrays:
        return dict(arrays)


def _time(team: Team, work: Work, result: Result, pace: Pace, say: Say) -> None:
    """Rounds in turn. A worker that dies takes its rows with it; the others go on."""
    by_name = {entry.name: entry for entry in team.entries}
    start, order = time.monotonic(), random.Random(f"{SEED} {work.name}")
    short = min((row.guess for row in result.rows if row.ok), default=0.0) < SHORT
    for number in range(pace.rounds):
        rows = [row for row in result.rows if row.ok]
        if not rows or (number >= pace.least and time.monotonic() - start > pace.seconds):
            break
        say(f"{work.name}: round {number + 1} of at most {pace.rounds}")
        for row in order.sample(rows, len(rows)):
            if not row.ok:
                continue
            calls, warm = _calls(pace.turn, row.guess), _calls(WARM, row.guess) if short else 0
            try:
                answer = team.worker(by_name[row.peer]).ask(
                    pace.answer_limit, "time", way=row.way, calls=calls, warm=warm
                )
            except WorkerError as error:
                for other in result.rows:
                    if other.peer == row.peer:
                        other.refuse("failed", str(error))
                continue
            row.rounds.append(spread(answer["seconds"]).median)
    if work.direction in (TRAINING, FIT):
        _require_finite(team, result)


def _calls(seconds: float, guess: float) -> int:
    """How many calls fill so many seconds, if one takes about ``guess``."""
    return min(MOST_CALLS, max(1, round(seconds / max(guess, 1e-9))))


def _require_finite(team: Team, result: Result) -> None:
    """After so many steps on one batch the loss must still be a number."""
    for name in {row.peer for row in result.rows if row.ok}:
        entry = next(entry for entry in team.entries if entry.name == name)
        try:
            finite = team.worker(entry).ask(60, "finite")["finite"]
        except WorkerError as error:
            finite = {}
            for row in result.rows:
                if row.peer == name:
                    row.refuse("failed", str(error))
        for row in result.rows:
            if row.peer == name and not finite.get(row.way, True):
                row.refuse("WRONG", "the loss diverged while it was timed")
