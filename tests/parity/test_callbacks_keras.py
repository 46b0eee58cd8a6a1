"""EarlyStopping and ModelCheckpoint decide exactly as Keras's, on any sequence of numbers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.callbacks import EarlyStopping, ModelCheckpoint

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = pytest.importorskip("keras", reason="parity needs the extra 'keras'")


class Model:
    """Enough of a model for both sides: its weight is the number of the epoch that made it."""

    def __init__(self) -> None:
        self.stop_training = False
        self.weight = np.zeros(1)
        self.saved: list[int] = []

    @property
    def weights(self) -> dict[str, Any]:
        return {"weight": self.weight}

    def get_weights(self) -> list[Any]:
        return [self.weight.copy()]

    def set_weights(self, weights: Any) -> None:
        (self.weight,) = weights.values() if isinstance(weights, dict) else weights

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        self.saved.append(int(self.weight[0]))


def run(callback: Any, monitor: str, values: list[float]) -> tuple[Model, int]:
    """(the model afterwards, epochs that were run)."""
    model, epoch = Model(), -1
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "initial_epoch": 0, "steps": 1})
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weight = np.array([float(epoch)])
        callback.on_epoch_end(epoch, {monitor: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return model, epoch + 1


# A few values that repeat, so that equality, min_delta and baseline are met exactly; NaN is what diverging runs log.
numbers = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, float("nan"), float("inf")])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(numbers, min_size=1, max_size=12),
    st.sampled_from(["min", "max"]),
    st.fixed_dictionaries(
        {
            "min_delta": st.sampled_from([0.0, 0.25, -0.25]),
            "patience": st.integers(0, 4),
            "baseline": st.sampled_from([None, 0.25, 0.5]),
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.integers(0, 3),
        }
    ),
)
def test_early_stopping(values: list[float], mode: str, options: dict[str, Any]) -> None:
    ours, theirs = (
        EarlyStopping("metric", mode=mode, **options),
        keras.callbacks.EarlyStopping("metric", mode=mode, **options),
    )
    for _ in range(2):  # a second training must not remember the first
        ours_model, ours_epochs = run(ours, "metric", values)
        theirs_model, theirs_epochs = run(theirs, "metric", values)
        assert ours_epochs == theirs_epochs
        assert ours_model.weight == theirs_model.weight
        assert (ours.stopped_epoch, ours.best_epoch, ours.wait) == (
            theirs.stopped_epoch,
            theirs.best_epoch,
            theirs.wait,
        )
        assert str(ours.best) == str(theirs.best)  # as text: NaN is not equal to itself


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=12), st.sampled_from(["min", "max"]), st.booleans())
def test_model_checkpoint(values: list[float], mode: str, save_best_only: bool) -> None:
    ours = ModelCheckpoint("{epoch}.keras", "metric", save_best_only=save_best_only, mode=mode)
    theirs = keras.callbacks.ModelCheckpoint("{epoch}.keras", "metric", save_best_only=save_best_only, mode=mode)
    for _ in range(2):
        assert run(ours, "metric", values)[0].saved == run(theirs, "metric", values)[0].saved
