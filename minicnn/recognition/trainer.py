"""Who trains: one epoch after another, and how to stop and go on.

A trainer has a ``model``, a minicnn ``Model`` that holds the newest weights after each epoch, whichever engine
computes them. So callbacks, files and predictions need not know the engine.
``reference_keras.trainer.KerasTrainer`` is the other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from minicnn import training
from minicnn.callbacks import Callback
from minicnn.data import Batches
from minicnn.errors import LoadError, StateError, explain
from minicnn.model import Model
from minicnn.recognition.recipe import Recipe
from minicnn.saving import load_model
from minicnn.shapes import Array


class Trainer(Protocol):
    """What ``train`` needs of an engine."""

    name: str  # "minicnn" or "keras"
    model: Model

    def run_epoch(self, batches: Batches, epoch: int, callbacks: Sequence[Callback]) -> dict[str, float]:
        """All batches once; the epoch's mean loss and metrics. Afterwards ``model`` has the new weights."""

    def predict(self, x: Array, batch_size: int) -> Array:
        """The last layer's output with the newest weights."""

    def save(self, path: str | Path) -> None:
        """Everything that training needs to go on: weights, the optimiser's memory, the number of steps."""

    def restore(self, path: str | Path) -> int:
        """Go back to what ``save`` wrote; the number of steps made until then. Raises LoadError."""


class MinicnnTrainer:
    """minicnn trains: the loop of ``minicnn.training``."""

    name = "minicnn"

    def __init__(self, model: Model, recipe: Recipe, steps: int) -> None:
        self.model = model
        model.compile(recipe.optimizer(steps), recipe.loss(), metrics=recipe.metrics())

    def run_epoch(self, batches: Batches, epoch: int, callbacks: Sequence[Callback]) -> dict[str, float]:
        return training.train_epoch(self.model, batches, epoch, callbacks)

    def predict(self, x: Array, batch_size: int) -> Array:
        found: Array = self.model.predict(x, batch_size)
        return found

    def save(self, path: str | Path) -> None:
        self.model.save(path)

    def restore(self, path: str | Path) -> int:
        saved = load_model(path)
        try:
            same = saved.config() == self.model.config() and repr(saved.optimizer) == repr(self.model.optimizer)
        except StateError:  # a network that was saved without its training
            same = False
        if not same:
            reason = explain("a checkpoint of this run", "one of another network, or trained otherwise")
            raise LoadError(f"Cannot load '{path}': {reason}")
        try:
            self.model.optimizer.load_state(saved.optimizer.state())
        except StateError as error:  # damaged: some of what the optimiser remembers is missing
            raise LoadError(f"Cannot load '{path}': {error}") from error
        self.model.set_weights(saved.weights)
        return self.model.optimizer.iterations
