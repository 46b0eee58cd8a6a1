"""The worker: one framework in a process of its own, answering questions in JSON, one per line.

    python -m benchmarks.peers.worker MODULE THREADS CORES

    {"do": "describe"}                                       -> {"threads": ..., ...}
    {"do": "prepare", "work": {...}, "files": [...], "ways"} -> {"ways": {way: {"file", "seconds"} or {"failed"}}}
    {"do": "time", "way", "calls", "warm"}                   -> {"seconds": [...]}
    {"do": "finite"}                                         -> {"finite": {way: true}}
    {"do": "clear"}                                          -> {}

Standard input and output belong to this conversation: whatever a framework prints goes to standard error. The process
is bound to its cores before anything is imported, ends when its input does, and is killed with its parent. A framework
that calls ``os.system`` or opens a TCP connection is refused: measuring needs neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.peers.interface import Timed
    from benchmarks.peers.work import Arrays

SAMPLE = 20_000  # numbers of each weight that the judge gets to see: VGG-Face's would fill 580 MB
PR_SET_PDEATHSIG = 1


def bind(cores: list[int]) -> bool:
    """Stay on these cores, and die with the parent. Whether the latter is certain (Linux only)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    with contextlib.suppress(OSError, AttributeError):
        return ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) == 0
    return False


def stay_at_home(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578): PermissionError for ``os.system`` and for TCP connections.

    That is what frameworks were seen to do. It is no sandbox: it sees what Python code does, not what a framework's
    compiled code asks of the system itself, and leaves other ways open.
    """
    if event == "os.system":
        raise PermissionError(f"a framework that is measured may not run {os.fsdecode(arguments[0])!r}")
    if event == "socket.connect" and isinstance(arguments[1], tuple):  # a pair is an address of the internet
        raise PermissionError(f"a framework that is measured may not connect to {arguments[1][0]}")


def conversation() -> tuple[IO[str], IO[str]]:
    """(questions, answers). From now on file descriptor 1 is standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return os.fdopen(os.dup(0), encoding="utf-8"), answers


class Desk:
    """What is built, by way; and the answers."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.built: dict[str, Timed] = {}
        self.last: dict[str, Any] = {}

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question; KeyError for one that nobody here understands."""
        actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "describe": lambda _: self.peer.describe(),
            "prepare": self.prepare,
            "time": self.time,
            "finite": self.finite,
            "clear": self.clear,
        }
        return actions[question["do"]](question)

    def prepare(self, question: dict[str, Any]) -> dict[str, Any]:
        """Build every way, run it, write what it computed; the third call is timed, to know how many to make."""
        import numpy as np

        from benchmarks.peers.work import Data, Work

        work = Work.from_json(question["work"])
        weights, inputs = (dict(np.load(path)) for path in question["files"])
        data = Data(weights, inputs["x"], inputs["y"])
        found: dict[str, Any] = {}
        for way in question.get("ways") or self.peer.ways(work):
            try:
                timed = self.peer.build(work, data, way)
                path = f"{question['results']}-{way}.npz"
                np.savez(path, **_outcome(timed, weights))
                last = timed.call()
                start = time.perf_counter()
                last = timed.call()
                found[way] = {"file": path, "seconds": time.perf_counter() - start}
                self.built[way], self.last[way] = timed, last
            except Exception as error:  # whatever a framework raises, it is this way that does not work
                found[way] = {"failed": f"{type(error).__name__}: {error}"[:500]}
        return {"ways": found, "described": self.peer.describe()}

    def time(self, question: dict[str, Any]) -> dict[str, Any]:
        """Seconds of each call, after ``warm`` calls that do not count: others have used the caches since.

        One result lives while the next is computed, in every call from ``prepare`` on. More of them in a later round
        would need memory that nobody has touched before, and the first touch takes longer than many a layer.
        """
        call, clock = self.built[question["way"]].call, time.perf_counter
        found = self.last.pop(question["way"], None)
        for _ in range(question["warm"]):
            found = call()
        seconds = []
        for _ in range(question["calls"]):
            start = clock()
            found = call()
            seconds.append(clock() - start)
        self.last[question["way"]] = found
        return {"seconds": seconds}

    def finite(self, question: dict[str, Any]) -> dict[str, Any]:
        """Whether what the last call returned still is numbers: NaN and inf are computed at other speeds."""
        import numpy as np

        finite = {}
        for way, found in self.last.items():
            arrays = self.built[way].result(found).values()
            finite[way] = all(bool(np.isfinite(array).all()) for array in arrays)
        return {"finite": finite}

    def clear(self, question: dict[str, Any]) -> dict[str, Any]:
        """Forget the work, and give the memory back."""
        import gc

        self.built.clear()
        self.last.clear()
        self.peer.clear()
        gc.collect()
        trim()
        return {}


def trim() -> None:
    """Give freed memory back to the system, where the C library can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _outcome(timed: Timed, weights: Arrays) -> Arrays:
    """What one call computes. For a step also "step:<address>": how a sample of each weight moved."""
    found = timed.result(timed.call())
    if timed.weights is None:
        return found
    moved = {
        f"step:{address}": sample(after) - sample(weights[address])
        for address, after in timed.weights().items()
        if "moving_" not in address  # PyTorch's moving variance is another estimate than Keras's
    }
    return found | moved


def sample(array: Any) -> Any:
    """At most SAMPLE numbers, evenly spread, in float64."""
    flat = array.reshape(-1)
    return flat[:: max(1, -(-flat.size // SAMPLE))].astype("float64")


def main(module: str, threads: str, cores: str) -> None:
    """Answer until the questions end."""
    safe = bind([int(core) for core in cores.split(",")])
    sys.addaudithook(stay_at_home)
    questions, answers = conversation()
    try:
        desk = Desk(importlib.import_module(module).Peer(int(threads)))
    except Exception as error:  # the framework does not load: say so instead of dying
        print(json.dumps({"failed": f"{type(error).__name__}: {error}"[:500]}), file=answers)
        return
    print(json.dumps({"ready": True, "dies_with_parent": safe}), file=answers)
    for line in questions:
        try:
            answer = desk.answer(json.loads(line))
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:4])
