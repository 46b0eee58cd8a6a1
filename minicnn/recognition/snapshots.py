"""Networks of a training that are kept to be looked at later: how filters and maps became what they are.

    snapshots/epoch-0000.npz    before the first step
    snapshots/epoch-0005.npz    after five epochs

They are whole networks, so that ``load_model`` reads and checks them like any other file.
"""

from __future__ import annotations

import re

from minicnn.callbacks import Callback, Logs
from minicnn.errors import LoadError
from minicnn.model import Model
from minicnn.recognition.run import Run
from minicnn.recognition.train import write_weights
from minicnn.saving import load_model

SNAPSHOTS = "snapshots"  # a folder of the run
NAME = re.compile(r"epoch-(\d{4,})\.npz")


class Snapshots(Callback):
    """Keeps ``model`` before the first epoch, then after every ``every``-th, counted from the run's beginning."""

    def __init__(self, run: Run, model: Model, every: int) -> None:
        self.run, self.model, self.every = run, model, every

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.run.path(SNAPSHOTS).mkdir(exist_ok=True)
        if not kept_epochs(self.run):  # a run that is resumed has its beginning already
            self._keep(0)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self._keep(epoch + 1)

    def _keep(self, epoch: int) -> None:
        write_weights(self.run, self.model, _file(epoch))


def kept_epochs(run: Run) -> tuple[int, ...]:
    """The epochs after which a network was kept, 0 for the beginning; () if none was."""
    folder = run.path(SNAPSHOTS)
    names = (NAME.fullmatch(path.name) for path in folder.glob("*.npz")) if folder.is_dir() else ()
    return tuple(sorted(int(match[1]) for match in names if match))


def load_snapshot(run: Run, epoch: int) -> Model:
    """The network after ``epoch``. Raises LoadError where it is missing, damaged, or for other inputs than the run's."""
    path = run.path(_file(epoch))
    model = load_model(path)
    if model.input_shape != run.config.input_shape:
        raise LoadError(f"Cannot load '{path}': it takes {model.input_shape}, the run {run.config.input_shape}.")
    return model


def _file(epoch: int) -> str:
    return f"{SNAPSHOTS}/epoch-{epoch:04d}.npz"
