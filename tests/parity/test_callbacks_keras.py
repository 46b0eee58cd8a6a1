"""Callbacks decide exactly as Keras's, on any sequence of numbers, and hear of the same moments of training."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import SGD, Dense, MeanSquaredError, Sequential
from minicnn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from minicnn.callbacks.base import hooks

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.twins import keras_loss, keras_optimizer, keras_twin  # noqa: E402  (needs Keras)


class Model:
    """Enough of a model for both sides: its weight is the number of the epoch that made it."""

    def __init__(self) -> None:
        self.stop_training = False
        self.weight = np.zeros(1)
        self.saved: list[int] = []
        self.optimizer = SimpleNamespace(learning_rate=1.0)

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


@settings(max_examples=300, deadline=None)
@given(
    st.lists(numbers, min_size=1, max_size=12),
    st.sampled_from(["min", "max"]),
    st.fixed_dictionaries(
        {
            "factor": st.sampled_from([0.5, 0.125]),
            "min_delta": st.sampled_from([0.0, 0.25]),
            "patience": st.integers(0, 3),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 0.25, 0.2]),
        }
    ),
)
def test_reducing_the_learning_rate(values: list[float], mode: str, options: dict[str, Any]) -> None:
    ours, theirs = (
        kind("metric", mode=mode, **options) for kind in (ReduceLROnPlateau, keras.callbacks.ReduceLROnPlateau)
    )
    for _ in range(2):
        rates: dict[Any, list[float]] = {}
        for callback in (ours, theirs):
            model = Model()
            callback.set_model(model)
            callback.on_train_begin()
            for epoch, value in enumerate(values):
                logs = {"metric": value}
                callback.on_epoch_end(epoch, logs)
                rates.setdefault(callback, []).extend([logs["learning_rate"], model.optimizer.learning_rate])
        assert rates[ours] == rates[theirs]


X = np.random.default_rng(0).standard_normal((11, 4)).astype(np.float32)
Y = X[:, :1] * 3


def both(learning_rate: float = 0.0625) -> tuple[Any, Any]:
    """The same network on both sides, compiled alike."""
    model = Sequential([Dense(1)], input_shape=(4,))
    twin, optimizer, loss = keras_twin(model), SGD(learning_rate), MeanSquaredError()
    model.compile(optimizer, loss)
    twin.compile(keras_optimizer(optimizer), keras_loss(loss))
    return model, twin


@pytest.mark.parametrize(
    "schedule", [lambda epoch, rate: rate / 2 if epoch > 1 else rate, lambda epoch: 0.5 ** (epoch + 3)]
)
def test_rates_from_a_function_and_the_history_that_they_make(schedule: Any) -> None:
    histories = []
    for model, kind in zip(both(), (LearningRateScheduler, keras.callbacks.LearningRateScheduler), strict=True):
        fitted = model.fit(X, Y, batch_size=4, epochs=4, shuffle=False, verbose=0, callbacks=[kind(schedule)])
        histories.append(fitted.history)
    ours, theirs = histories
    assert list(ours) == list(theirs) == ["loss", "learning_rate"]
    assert ours["learning_rate"] == theirs["learning_rate"]  # powers of two: exact in float32
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-4)


def test_an_infinite_loss_ends_training_after_the_same_batch() -> None:
    x = X.copy()
    x[9] = np.inf  # in the third batch
    steps = []
    for model, kind in zip(both(), (TerminateOnNaN, keras.callbacks.TerminateOnNaN), strict=True):
        history = model.fit(x, Y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[kind()])
        steps.append((int(model.optimizer.iterations), history.epoch))
    assert steps == [(3, [0]), (3, [0])]


def recorder(base: type, stop_at: str = "") -> tuple[Any, list[Any]]:
    """(a callback that writes down every call, what it has written); at ``stop_at`` it ends the training."""
    calls: list[Any] = []

    def method(name: str) -> Any:
        def hear(self: Any, *arguments: Any, **keywords: Any) -> None:  # Keras gives some logs by name
            *where, logs = (*arguments, *keywords.values())
            calls.append((name, *where, sorted(logs)))
            if name == stop_at:
                self.model.stop_training = True

        return hear

    return type("Recorder", (base,), {name: method(name) for name in hooks()})(), calls


@pytest.mark.parametrize("validated", [True, False])
def test_the_moments_of_training_are_the_same(validated: bool) -> None:
    heard = []
    for model, base in zip(both(), (Callback, keras.callbacks.Callback), strict=True):
        listener, calls = recorder(base)
        options = {"validation_data": (X[:5], Y[:5])} if validated else {}
        model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[listener], **options)
        heard.append(calls)
    assert heard[0] == heard[1]
    assert {name for name, *_ in heard[0]} == {name for name in hooks() if validated or "test" not in name}


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("moment", hooks())
def test_training_ends_as_keras_ends_it_whenever_it_is_told_to(moment: str, validated: bool) -> None:
    """Said before the first batch, one step is made all the same, and the epoch is ended as every other."""
    ends = []
    for model, base in zip(both(), (Callback, keras.callbacks.Callback), strict=True):
        listener, calls = recorder(base, moment)
        options = {"validation_data": (X[:5], Y[:5])} if validated else {}
        fitted = model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[listener], **options)
        ends.append((calls, fitted.epoch, int(model.optimizer.iterations), fitted.history))
        if moment in ("on_train_begin", "on_epoch_begin"):
            assert (fitted.epoch, int(model.optimizer.iterations)) == ([0], 1)
    (*ours, our_numbers), (*theirs, their_numbers) = ends
    assert ours == theirs
    assert our_numbers.keys() == their_numbers.keys()
    for name, values in their_numbers.items():
        np.testing.assert_allclose(our_numbers[name], values, rtol=1e-4, err_msg=name)


def test_functions_are_called_as_keras_calls_them() -> None:
    heard = []
    for model, kind in zip(both(), (LambdaCallback, keras.callbacks.LambdaCallback), strict=True):
        calls: list[Any] = []
        callback = kind(
            on_epoch_begin=lambda epoch, logs, calls=calls: calls.append((epoch, dict(logs))),
            on_train_batch_end=lambda batch, logs, calls=calls: calls.append((batch, sorted(logs))),
            on_train_end=lambda logs, calls=calls: calls.append(sorted(logs)),
        )
        model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
        heard.append(calls)
    assert heard[0] == heard[1]
    assert heard[0] == [
        (0, {}),
        *((i, ["loss"]) for i in range(3)),
        (1, {}),
        *((i, ["loss"]) for i in range(3)),
        ["loss"],
    ]


EPOCH = {"loss": 0.1, "accuracy": 1 / 3}
VALIDATED = EPOCH | {"val_loss": 1e-20, "val_accuracy": 0.0}
LOGS: dict[str, list[dict[str, Any]]] = {
    "without validation": [EPOCH, EPOCH],
    "with validation": [VALIDATED, VALIDATED],
    "validation that begins later": [EPOCH, VALIDATED, EPOCH],
    "validation that ends": [VALIDATED, EPOCH],
    "a name that comes later": [EPOCH, EPOCH | {"learning_rate": 0.5}],
    "a name that goes": [EPOCH | {"learning_rate": 0.5}, EPOCH],
    "nothing": [{}, EPOCH],
    "numbers of every kind": [
        {"a": np.float32(0.1), "b": np.float64(0.1), "c": 3, "d": np.int64(3), "e": True, "f": np.array(0.1)},
        {"a": float("nan"), "b": -float("inf"), "c": np.float32("nan"), "d": 1e300, "e": 1e-7, "f": 2**70},
    ],
    "what is no number": [
        {"a": 'one, or "two"', "b": [1, 2.5], "c": np.array([0.1, 0.2], np.float32), "d": np.eye(2), "e": None},
        {"a": "", "b": (), "c": "two\nlines", "d": {"x": 1}, "e": "NA"},
    ],
}


def logged(callback: Any, logs: list[dict[str, Any]], initial_epoch: int = 0) -> None:
    """What ``fit`` does with a callback, with these numbers instead of training."""
    callback.set_model(Model())
    callback.set_params({"epochs": initial_epoch + len(logs), "initial_epoch": initial_epoch, "steps": 1})
    callback.on_train_begin()
    for epoch, values in enumerate(logs, initial_epoch):
        callback.on_epoch_end(epoch, dict(values))
    callback.on_train_end()


@pytest.mark.parametrize("logs", LOGS.values(), ids=LOGS.keys())
def test_the_csv_file_is_the_same_to_the_byte(logs: list[dict[str, Any]], tmp_path: Path) -> None:
    found = []
    for name, kind in (("ours.csv", CSVLogger), ("theirs.csv", keras.callbacks.CSVLogger)):
        callback = kind(tmp_path / name)
        for _ in range(2):  # a second training begins anew
            logged(callback, logs)
        logged(kind(tmp_path / name, append=True), logs, initial_epoch=len(logs))
        found.append((tmp_path / name).read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("first, then", [(EPOCH, VALIDATED), (VALIDATED, EPOCH)])
def test_a_csv_file_is_continued_with_or_without_validation(
    first: dict[str, Any], then: dict[str, Any], tmp_path: Path
) -> None:
    """Also one that the other side began."""
    kinds, found = (CSVLogger, keras.callbacks.CSVLogger), []
    for begin in kinds:
        for go_on in kinds:
            path = tmp_path / f"{len(found)}.csv"
            logged(begin(path), [first, first])
            logged(go_on(path, append=True), [then], initial_epoch=2)
            found.append(path.read_bytes())
    assert found == found[:1] * 4
    assert found[0].startswith(b"epoch,accuracy,loss,val_accuracy,val_loss\r\n0,")
