"""A whole training: epochs, validation, checkpoints; and how it goes on after it was interrupted.

After every epoch three files are written, each whole or not at all, in this order: ``history.csv``, ``model.npz`` (if
the network has never been better) and ``checkpoint.npz``. The last one decides where a resumed run begins. Killed
between two of them, the run repeats that epoch from the checkpoint before it, and since everything random is a
function of (seed, epoch, batch), it writes the same numbers again. What early stopping remembers is not stored at
all: it follows from the rows of the history.

"Better" means a lower validation loss. Without validation pictures the newest network is the best.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minicnn import training
from minicnn.callbacks import Callback, CSVLogger, EarlyStopping, History, Logs
from minicnn.data import one_hot
from minicnn.errors import LoadError, explain
from minicnn.io.models import write_model
from minicnn.model import Model
from minicnn.ops.unit_normalization import unit_normalization
from minicnn.recognition.calibration import HeldOut, Strangers, calibrate_run
from minicnn.recognition.embedding import save_gallery
from minicnn.recognition.engine import Engine
from minicnn.recognition.identify import Gallery, person_distances
from minicnn.recognition.recipe import Recipe, Samples, check_samples
from minicnn.recognition.run import CHECKPOINT, GALLERY, HISTORY, MODEL, Run
from minicnn.recognition.trainer import Trainer
from minicnn.recognition.unknown import FILE as THRESHOLDS
from minicnn.recognition.unknown import Threshold, update_thresholds

BATCH = 32  # pictures at a time in predictions


@dataclass(frozen=True, eq=False)
class Data:
    """What a network learns from, what it is measured on meanwhile (None: nothing), and the people's names."""

    train: Samples
    validation: Samples | None
    people: tuple[str, ...]

    def check(self) -> None:
        """Raise LabelError or ShapeError where a network could not learn from these."""
        check_samples(self.train, self.people)


def train(
    run: Run, trainer: Trainer, recipe: Recipe, data: Data, *, resume: bool = False, callbacks: Sequence[Callback] = ()
) -> History:
    """Train until the recipe's last epoch, or until early stopping; the best network is ``run``'s afterwards.

    ``resume`` goes on from the checkpoint, bit for bit as if nothing had happened. The History has this call's epochs;
    the whole one is in ``history.csv``. Raises LabelError for data that cannot be learned from, LoadError for a
    checkpoint or a history that is damaged or another run's.
    """
    data.check()
    batches = recipe.batches(data.train, len(data.people), run.config.seed)
    past: list[dict[str, float]] = []
    if resume:
        past = _past(run.path(HISTORY), trainer.restore(run.path(CHECKPOINT)) // len(batches))
    else:
        trainer.save(run.path(CHECKPOINT))
        write_weights(run, trainer.model)  # last: a folder without it is no run yet, and may be begun anew
    watch = None
    if data.validation is not None:
        watch = _Watch(past, recipe.patience or recipe.epochs)
    log = CSVLogger(run.path(HISTORY), append=bool(past))
    own: list[Callback] = [log, *([watch] if watch else []), _Keeper(run, trainer, watch)]

    def run_epoch(epoch: int, listeners: Sequence[Callback]) -> dict[str, float]:
        logs = trainer.run_epoch(batches, epoch, listeners)
        return logs if data.validation is None else logs | validate(trainer, recipe, data.train, data.validation)

    return training.run_epochs(
        trainer.model,
        run_epoch,
        steps=len(batches),
        epochs=recipe.epochs,
        initial_epoch=len(past),
        callbacks=[*own, *callbacks],
    )


def validate(trainer: Trainer, recipe: Recipe, known: Samples, seen: Samples) -> dict[str, float]:
    """{"val_loss", "val_accuracy"} on the pictures ``seen``.

    softmax: the loss of training, and how often the highest score is right. triplet: faces are compared with the mean
    embedding of each person's training faces (``known``): the mean of max(0, D(own) - D(nearest other) + margin), and
    how often one's own is nearest.
    """
    found = trainer.predict(seen.x, BATCH)
    rows = np.arange(len(found))
    if recipe.objective == "softmax":
        loss, _ = recipe.loss().forward(one_hot(seen.labels, found.shape[1]), found)
        right = found.argmax(axis=1) == seen.labels
    else:
        squares = np.square(person_distances(found, centres(trainer, known), int(known.labels.max()) + 1))
        own = squares[rows, seen.labels]
        right = squares.argmin(axis=1) == seen.labels
        squares[rows, seen.labels] = np.inf
        loss = float(np.maximum(own - squares.min(axis=1) + recipe.margin, 0).mean())
    return {"val_loss": loss, "val_accuracy": float(right.mean())}


def centres(trainer: Trainer, known: Samples) -> Gallery:
    """Each person's mean embedding, of length 1."""
    found = trainer.predict(known.x, BATCH)
    people = np.unique(known.labels)
    means = np.stack([found[known.labels == person].mean(axis=0) for person in people])
    return Gallery(unit_normalization(means)[0], people)


def write_weights(run: Run, model: Model, name: str = MODEL) -> None:
    """Make ``model`` the run's network (or another file of the run), without what its optimiser remembers.

    Thresholds are about one network, so those of the one before go first: killed in between, a run has none.
    """
    if name == MODEL:
        run.path(THRESHOLDS).unlink(missing_ok=True)
    write_model(run.path(name), type(model).__name__, model.config(), model.weights, None)


def finish(
    run: Run,
    engine: Engine,
    data: Data,
    paths: Sequence[str],
    *,
    rate: float,
    strangers: Strangers | None = None,
) -> dict[str, Threshold]:
    """What recognition needs besides the network: the gallery, and the thresholds of ``calibrate_run`` at ``rate``.

    ``paths`` are those of the training faces, ``strangers`` what networks said of people left out of their training
    (``left_out``). Without validation pictures nothing is calibrated. Returned are all thresholds that the run has
    then: one that was trained to its end before may have some of ``minicnn evaluate --calibrate``.
    """
    gallery = Gallery(engine.embed(data.train.x), data.train.labels)
    save_gallery(run.path(GALLERY), gallery, paths)
    fresh: dict[str, Threshold] = {}
    if data.validation is not None:
        fresh = calibrate_run(gallery, len(data.people), seen_by(engine, data.validation), strangers, rate)
    return update_thresholds(run.folder, fresh)


def seen_by(engine: Engine, faces: Samples) -> HeldOut:
    """What a run's network makes of faces that it did not learn from."""
    embeddings, logits = engine.ask(faces.x)
    return HeldOut(embeddings, faces.labels, logits)


class _Watch(EarlyStopping):
    """Early stopping that begins by hearing of the epochs before an interruption."""

    def __init__(self, past: Sequence[Logs], patience: int) -> None:
        self.past: Sequence[Logs] = ()  # not yet: EarlyStopping begins once when it is made
        super().__init__("val_loss", patience=patience)
        self.past = past

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin()
        for epoch, row in enumerate(self.past):
            self.on_epoch_end(epoch, row)


class _Keeper(Callback):
    """Writes the network if it is the best so far, then the checkpoint."""

    def __init__(self, run: Run, trainer: Trainer, watch: EarlyStopping | None) -> None:
        self.run, self.trainer, self.watch = run, trainer, watch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.watch is None or self.watch.best_epoch == epoch:
            write_weights(self.run, self.trainer.model)
        self.trainer.save(self.run.path(CHECKPOINT))


def _past(path: Path, epochs: int) -> list[dict[str, float]]:
    """The first ``epochs`` rows of a history. Raises LoadError when they are not there."""
    rows = read_history(path) if epochs else []
    if len(rows) < epochs:
        reason = explain(f"the {epochs} epochs before the checkpoint", f"{len(rows)} rows")
        raise LoadError(f"Cannot load '{path}': {reason}")
    return rows[:epochs]


def read_history(path: str | Path) -> list[dict[str, float]]:
    """The rows of ``history.csv``, each {"loss": ..., ...} without what was not measured ("NA"). Raises LoadError,
    naming the file and the reason.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = [{k: value for k, value in row.items() if value != "NA"} for row in csv.DictReader(file)]
        rows = [{name: float(value) for name, value in row.items()} for row in table]
        for number, row in enumerate(rows):
            if int(row.pop("epoch")) != number:
                raise ValueError(f"row {number + 1} is of another epoch")
    except (OSError, KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise LoadError(f"Cannot load '{path}': {error}.") from error
    return rows
