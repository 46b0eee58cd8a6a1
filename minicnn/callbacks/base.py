"""The moments of training a callback can hear about, and the one callback that is always there: History."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from minicnn.constructors import Explained
from minicnn.shapes import Array

Logs = Mapping[str, float]


class Trained(Protocol):
    """What callbacks need of a model."""

    stop_training: bool

    @property
    def weights(self) -> Mapping[str, Array]: ...
    def set_weights(self, weights: Mapping[str, Array]) -> None: ...
    def save(self, path: str | Path) -> None: ...


class Callback(Explained):
    """Override what you want to hear about.

    ``model`` is the model in training; ``params`` holds "epochs", "initial_epoch" and "steps" (batches per epoch).
    """

    model: Trained
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch's first batch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; ``logs`` has its mean loss and metrics, and those of the validation data as ``val_...``."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; ``logs`` has the means since the epoch began."""


class History(Callback):
    """Keeps every epoch's numbers: ``history["loss"][i]`` belongs to epoch ``epoch[i]``. ``fit`` returns one."""

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
