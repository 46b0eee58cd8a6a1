"""Keras trains what minicnn made: the same network, initial weights, batches, loss and optimiser.

``KerasTrainer`` is to ``minicnn.recognition.train`` what ``MinicnnTrainer`` is: it takes epochs, and after each one its
minicnn model holds the weights that Keras found. So a run that Keras trained leaves the same files behind, and either
engine can use it. Dropout, where a network has it, draws other masks than minicnn's.

    checkpoint.npz     Keras's variables and its optimiser's, in their order: "variables/0", ..., "optimizer/0", ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.callbacks import Callback
from minicnn.data import Batches
from minicnn.errors import LoadError, explain
from minicnn.io.npz import read_arrays, read_metadata, write_arrays
from minicnn.losses import Loss, TripletSemiHardLoss
from minicnn.metrics import Mean
from minicnn.model import Model
from minicnn.recognition.recipe import Recipe
from minicnn.shapes import Array
from reference_keras.triplet import keras_triplet_loss
from reference_keras.twins import keras_loss, keras_optimizer, keras_twin
from reference_keras.weights import from_keras

FORMAT, VERSION = "minicnn keras checkpoint", 1


class KerasTrainer:
    """Trains the Keras twin of ``model``, compiled by Keras."""

    name = "keras"

    def __init__(self, model: Model, recipe: Recipe, steps: int) -> None:
        self.model = model
        self.twin = keras_twin(model)
        optimizer = keras_optimizer(recipe.optimizer(steps))
        optimizer.build(self.twin.trainable_variables)
        self.twin.compile(optimizer, _criterion(recipe.loss()), metrics=recipe.metrics())

    def run_epoch(self, batches: Batches, epoch: int, callbacks: Sequence[Callback]) -> dict[str, float]:
        means: dict[str, Mean] = {}
        for number, (x, y, weight) in enumerate(batches.epoch(epoch)):
            for callback in callbacks:
                callback.on_train_batch_begin(number, {})
            self.twin.reset_metrics()  # some versions of Keras do it in train_on_batch, others average over steps
            found = self.twin.train_on_batch(x, y, sample_weight=weight, return_dict=True)
            for name in sorted(found, key=lambda name: name != "loss"):  # the loss first, as minicnn reports them
                means.setdefault(name, Mean()).update(float(found[name]), np.array([len(x)]))
            for callback in callbacks:
                callback.on_train_batch_end(number, {name: mean.result() for name, mean in means.items()})
            if callbacks and self.model.stop_training:
                break
        from_keras(self.twin, self.model)
        return {name: mean.result() for name, mean in means.items()}

    def predict(self, x: Array, batch_size: int) -> Array:
        parts = range(0, len(x), batch_size)
        return np.concatenate([np.asarray(self.twin.predict_on_batch(x[i : i + batch_size])) for i in parts])

    def save(self, path: str | Path) -> None:
        arrays = {name: np.asarray(variable.numpy()) for name, variable in self._variables().items()}
        write_arrays(path, arrays, {"format": FORMAT, "version": VERSION})

    def restore(self, path: str | Path) -> int:
        metadata = read_metadata(path)
        if (metadata.get("format"), metadata.get("version")) != (FORMAT, VERSION):
            reason = explain(f"a {FORMAT} of version {VERSION}", f"{metadata.get('format')!r}")
            raise LoadError(f"Cannot load '{path}': {reason}")
        variables = self._variables()
        expected = {name: (tuple(v.shape), np.asarray(v.numpy()).dtype) for name, v in variables.items()}
        arrays, _ = read_arrays(path, expected)
        for name, variable in variables.items():
            variable.assign(arrays[name])
        from_keras(self.twin, self.model)
        return int(self.twin.optimizer.iterations.numpy())

    def _variables(self) -> dict[str, Any]:
        """Weights, the state of what draws at random, and all that the optimiser remembers."""
        own = {f"variables/{i}": variable for i, variable in enumerate(self.twin.variables)}
        return own | {f"optimizer/{i}": variable for i, variable in enumerate(self.twin.optimizer.variables)}


def _criterion(loss: Loss) -> Any:
    return keras_triplet_loss(loss.margin) if isinstance(loss, TripletSemiHardLoss) else keras_loss(loss)
