"""A training to be watched again: its numbers per epoch, and the network as it was after some of them.

``minicnn train --snapshots EVERY`` keeps the networks: ``minicnn.recognition.snapshots``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minicnn.errors import OptionError, explain
from minicnn.model import Model
from minicnn.recognition.run import HISTORY, Run
from minicnn.recognition.snapshots import kept_epochs, load_snapshot
from minicnn.recognition.train import read_history


@dataclass(frozen=True)
class Replay:
    """``history`` has a row per epoch; ``epochs`` are those after which the network was kept, 0 before the first."""

    history: Sequence[Mapping[str, float]] = ()
    epochs: Sequence[int] = ()
    run: Run | None = field(default=None, repr=False)

    @classmethod
    def of(cls, run: Run) -> Replay:
        """What a run has kept. Raises LoadError for a damaged history."""
        path = run.path(HISTORY)
        return cls(read_history(path) if path.is_file() else (), kept_epochs(run), run)

    def model(self, epoch: int) -> Model:
        """The network after ``epoch``. Raises OptionError for one that was not kept, LoadError for a damaged file."""
        if self.run is None or epoch not in self.epochs:
            kept = ", ".join(map(str, self.epochs)) or "none: train with --snapshots 1 to keep all"
            raise OptionError(explain(f"an epoch that was kept ({kept})", str(epoch)))
        return load_snapshot(self.run, epoch)

    def to_dict(self) -> dict[str, Any]:
        return {"history": [dict(row) for row in self.history], "epochs": list(self.epochs)}
