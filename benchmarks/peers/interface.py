"""What the worker asks of a peer: one class, ``Peer(threads)``, with ``ways`` and ``build``.

A way is one of several manners in which a framework can do the same work: compiled or eager, channels first or last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from benchmarks.peers.work import Arrays, Data, Work


class Timed(NamedTuple):
    """``call``: what the clock runs, and nothing else. ``result`` turns what it returned into minicnn's arrays: "y"; or
    "y", "dx", "dkernel", "dbias"; or "loss". ``weights``: all weights as they are now, for the directions that learn.
    """

    call: Callable[[], Any]
    result: Callable[[Any], Arrays]
    weights: Callable[[], Arrays] | None = None


class Peer(Protocol):
    """A framework in a worker. Its module calls the class ``Peer``, and imports the framework in ``__init__``."""

    def __init__(self, threads: int) -> None: ...

    def describe(self) -> dict[str, Any]:
        """Settings that matter to somebody who reads the numbers; "threads" is what the library itself says,
        or what it was told, where it says nothing."""
        ...

    def ways(self, work: Work) -> tuple[str, ...]:
        """The manners in which this framework does the work, at least one."""
        ...

    def build(self, work: Work, data: Data, way: str) -> Timed:
        """Make everything ready, layouts included."""
        ...

    def clear(self) -> None:
        """Forget what was built."""
        ...
