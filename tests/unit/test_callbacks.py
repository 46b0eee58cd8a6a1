"""Callbacks hear of every epoch and act on the model; files they write are whole after each one."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
    announced,
)
from minicnn.callbacks.base import hooks
from minicnn.errors import ArgumentError, OptionError, StateError
from minicnn.layers import Dense
from minicnn.losses import SparseCategoricalCrossentropy
from minicnn.ops import jit_cache
from minicnn.optimizers import SGD
from minicnn.schedules import CosineDecay
from minicnn.sequential import Sequential
from minicnn.shapes import Array


class FakeModel:
    """Its one weight is the number of the epoch; it notes what callbacks ask of it."""

    def __init__(self) -> None:
        self.weights: dict[str, Array] = {"layer/kernel": np.zeros(1)}
        self.stop_training = False
        self.saved: list[tuple[str, float]] = []
        self.optimizer = SGD(0.5)

    def set_weights(self, weights: Any) -> None:
        self.weights["layer/kernel"][...] = weights["layer/kernel"]

    def save(self, path: str | Path) -> None:
        self.saved.append((Path(path).name, float(self.weights["layer/kernel"][0])))


def train(callback: Callback, logs: list[dict[str, float]], initial_epoch: int = 0, steps: int = 3) -> FakeModel:
    """What ``fit`` does, with given numbers instead of training."""
    model = FakeModel()
    callback.set_model(model)
    callback.set_params({"epochs": initial_epoch + len(logs), "initial_epoch": initial_epoch, "steps": steps})
    callback.on_train_begin()
    for epoch, values in enumerate(logs, initial_epoch):
        callback.on_epoch_begin(epoch)
        model.weights["layer/kernel"][...] = epoch
        for batch in range(steps):
            callback.on_train_batch_end(batch, values)
        callback.on_epoch_end(epoch, values)
        if model.stop_training:
            break
    callback.on_train_end()
    return model


def losses(*values: float) -> list[dict[str, float]]:
    return [{"val_loss": value} for value in values]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("on_batch_begin", r"Keras's older name for on_train_batch_begin: call it that\.$"),
        ("on_batch_end", r"Keras's older name for on_train_batch_end: call it that\.$"),
        ("on_predict_end", r"predict calls none\.$"),
        ("on_epoch_ends", r"Is 'on_epoch_ends' on_epoch_end\? A method that training does not call"),
        ("on_holiday", r"on_holiday\. A method that training does not call has a name without on_"),
    ],
)
def test_a_method_that_nobody_would_call_is_refused_where_it_is_written(name: str, advice: str) -> None:
    for bases in ((Callback,), (EarlyStopping,)):
        with pytest.raises(OptionError, match=advice) as caught:
            type("Mine", bases, {name: lambda self, *_: None})
        assert "methods of Mine among on_train_begin, on_train_end, on_epoch_begin" in str(caught.value)


def test_every_method_of_training_can_be_written_and_attributes_may_have_any_name() -> None:
    assert {"on_train_batch_begin", "on_train_batch_end", "on_test_begin", "on_test_end"} < set(hooks())
    for name in hooks():
        type("Mine", (Callback,), {name: lambda self, *_: None, "on_screen": True})


def test_history_keeps_every_number() -> None:
    history = History()
    train(history, [{"loss": 2.0, "accuracy": 0.5}, {"loss": 1.0, "accuracy": 0.75}], initial_epoch=4)
    assert history.epoch == [4, 5]
    assert history.history == {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75]}


def test_early_stopping_waits_stops_and_restores() -> None:
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    model = train(stopping, losses(3, 1, 2, 2, 0))
    assert model.stop_training
    assert (stopping.stopped_epoch, stopping.best_epoch, stopping.best) == (3, 1, 1)
    assert model.weights["layer/kernel"] == 1
    assert train(EarlyStopping(patience=2), losses(3, 1, 2, 2, 0)).weights["layer/kernel"] == 3


def test_early_stopping_can_be_used_again() -> None:
    stopping = EarlyStopping(patience=1)
    assert train(stopping, losses(1, 2)).stop_training
    assert not train(stopping, losses(5, 4, 3)).stop_training
    assert stopping.best == 3


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_loss", "min"),
        ("val_mean_squared_error", "min"),
        ("val_mae", "min"),
        ("mean_absolute_error", "min"),
        ("accuracy", "max"),
        ("val_sparse_categorical_accuracy", "max"),
    ],
)
def test_the_better_direction_follows_from_the_name(monitor: str, mode: str) -> None:
    assert EarlyStopping(monitor).mode == mode


def test_unknown_directions_and_modes_are_refused() -> None:
    with pytest.raises(OptionError, match="mode='min'"):
        EarlyStopping("val_curvature")
    with pytest.raises(OptionError, match="'auto', 'min' or 'max'"):
        EarlyStopping(mode="smallest")
    assert EarlyStopping("val_curvature", mode="max").mode == "max"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"patience": -1}, "patience as an integer of at least 0"),
        ({"patience": "3"}, "patience as an integer of at least 0"),
        ({"start_from_epoch": 0.5}, "start_from_epoch as an integer"),
        ({"min_delta": float("nan")}, "min_delta as a finite number"),
        ({"baseline": "0.5"}, "baseline as a finite number"),
        ({"restore_best_weights": None}, "restore_best_weights to be True or False"),
    ],
)
def test_what_cannot_be_watched_is_refused_before_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        EarlyStopping(**options)


def test_a_checkpoint_of_every_epoch_compares_nothing_but_knows_its_modes() -> None:
    assert ModelCheckpoint("model.npz", "val_curvature").mode == "min"
    with pytest.raises(OptionError, match="'auto', 'min' or 'max'"):
        ModelCheckpoint("model.npz", mode="smallest")


def test_a_missing_number_is_a_warning_that_lists_the_others() -> None:
    with pytest.warns(UserWarning, match="'val_loss'.*Received: accuracy, loss.*validation data"):
        model = train(EarlyStopping(), [{"accuracy": 1.0, "loss": 0.0}])
    assert not model.stop_training


def test_checkpoints_are_named_by_epoch_and_logs(tmp_path: Path) -> None:
    model = train(ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}-{val_loss:.1f}.npz"), losses(3, 4))
    assert model.saved == [("01-3.0.npz", 0.0), ("02-4.0.npz", 1.0)]
    assert (tmp_path / "deep").is_dir()


def test_only_the_best_are_saved(tmp_path: Path) -> None:
    model = train(ModelCheckpoint(tmp_path / "best.npz", save_best_only=True), losses(3, 4, 2, 2, 1))
    assert [weight for _, weight in model.saved] == [0, 2, 4]
    logs = [{"val_accuracy": value} for value in (0.5, 0.4, 0.6)]
    model = train(ModelCheckpoint(tmp_path / "best.npz", "val_accuracy", save_best_only=True), logs)
    assert [weight for _, weight in model.saved] == [0, 2]


def test_a_checkpoint_path_with_unknown_names_says_which_exist(tmp_path: Path) -> None:
    for pattern in ("{accuracy}.npz", "{0}.npz", "{epoch:z}.npz", "{epoch.day}.npz", "{epoch[0]}.npz"):
        with pytest.raises(OptionError, match="epoch, val_loss"):
            train(ModelCheckpoint(tmp_path / pattern), losses(3))


@pytest.mark.parametrize("name", ["best", "best.ckpt", "best.keras.zip", "{epoch}"])
def test_a_checkpoint_that_no_format_can_hold_is_refused_when_it_is_made(name: str) -> None:
    with pytest.raises(OptionError, match=r"a file name that ends in .*\.npz"):
        ModelCheckpoint(name)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_the_csv_file_is_whole_after_every_epoch(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    seen: list[int] = []

    class Reader(CSVLogger):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, logs)
            seen.append(len(rows(path)))

    train(Reader(path), [{"loss": 0.1, "accuracy": 1 / 3}, {"loss": 0.05}])
    assert seen == [1, 2]
    assert path.read_text().splitlines()[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
    assert float(rows(path)[0]["accuracy"]) == 1 / 3  # every digit
    none = {"val_accuracy": "NA", "val_loss": "NA"}  # as in Keras: validation may begin later
    assert rows(path)[1] == {"epoch": "1", "accuracy": "NA", "loss": "0.05", **none}


def test_the_csv_file_is_overwritten_or_continued(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    train(CSVLogger(path), [{"loss": 1.0}, {"loss": 0.9}])
    train(CSVLogger(path), [{"loss": 2.0}])
    assert [row["loss"] for row in rows(path)] == ["2.0"]
    train(CSVLogger(path, append=True), [{"loss": 3.0}])
    assert [(row["epoch"], row["loss"]) for row in rows(path)] == [("0", "2.0"), ("0", "3.0")]
    train(CSVLogger(tmp_path / "new.csv", append=True), [{"loss": 3.0}])
    assert len(rows(tmp_path / "new.csv")) == 1


def test_a_resumed_run_replaces_the_epochs_it_repeats(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    train(CSVLogger(path), [{"a": 1.0, "loss": float(value)} for value in range(5)])
    train(CSVLogger(path, append=True), [{"a": 1.0, "loss": 30.0}], initial_epoch=3)
    assert [(row["epoch"], row["loss"]) for row in rows(path)] == [
        ("0", "0.0"),
        ("1", "1.0"),
        ("2", "2.0"),
        ("3", "30.0"),
    ]


def test_a_row_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    train(CSVLogger(path), [{"a": 1.0, "loss": 0.5}])
    for damage in ("1,2", "1,2,3,4", "1,2,3,4,5,6"):
        whole = path.read_text()
        path.write_text(whole + damage)
        train(CSVLogger(path, append=True), [{"a": 3.0, "loss": 0.25}], initial_epoch=1)
        assert [row["a"] for row in rows(path)] == ["1.0", "3.0"]


def test_a_csv_file_with_other_epochs_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n0.0,1\n")
    with pytest.raises(OptionError, match=r"whole numbers as epochs in .*log\.csv'\. Received: '0\.0'"):
        train(CSVLogger(path, append=True), [{"loss": 0.25}], initial_epoch=1)
    assert path.read_text() == "epoch,loss\n0.0,1\n"


def test_the_csv_file_has_its_folder_made_before_training(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.csv"
    train(CSVLogger(path), [{"loss": 1.0}])
    assert len(rows(path)) == 1


def test_a_csv_file_with_other_columns_is_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    train(CSVLogger(path), [{"loss": 1.0}])
    before = path.read_text()
    with pytest.raises(OptionError, match="accuracy"):
        train(CSVLogger(path, append=True), [{"loss": 1.0, "accuracy": 0.5}])
    assert path.read_text() == before
    path.write_text("name,age\n")
    with pytest.raises(OptionError, match="column 'epoch'"):
        train(CSVLogger(path, append=True), [{"loss": 1.0}])


def test_columns_that_do_not_fit_are_found_before_training(tmp_path: Path) -> None:
    x, y = np.ones((4, 3), np.float32), np.arange(4) % 2
    path, model = tmp_path / "log.csv", Sequential([Dense(2)], input_shape=(3,))
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0, callbacks=[CSVLogger(path)])
    before, steps = path.read_bytes(), model.optimizer.iterations
    model.compile(model.optimizer, SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    with pytest.raises(OptionError, match=r"the columns .*'loss'.*log\.csv'\. Received: also \['accuracy'\]"):
        model.fit(x, y, verbose=0, callbacks=[CSVLogger(path, append=True)])
    assert model.optimizer.iterations == steps
    assert path.read_bytes() == before


def test_a_csv_file_without_columns_for_validation_gets_them(tmp_path: Path) -> None:
    """Earlier versions wrote such files. The rows that are there stay as they are."""
    path = tmp_path / "log.csv"
    path.write_text("epoch,accuracy,loss\n0,0.5,1.0\n", newline="")
    logs = {"loss": 0.75, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 0.25}
    train(CSVLogger(path, append=True), [logs], initial_epoch=1)
    assert path.read_bytes().split(b"\r\n") == [
        b"epoch,accuracy,loss,val_accuracy,val_loss",
        b"0,0.5,1.0,NA,NA",
        b"1,0.5,0.75,0.25,2.0",
        b"",
    ]


def test_a_csv_file_of_a_network_that_somebody_else_trains(tmp_path: Path) -> None:
    """Nothing was compiled, so nothing is known of its numbers before they come."""
    path, logger = tmp_path / "log.csv", CSVLogger(tmp_path / "log.csv", append=True)
    train(CSVLogger(path), [{"loss": 1.0}])
    logger.set_model(Sequential([Dense(2)], input_shape=(3,)))
    logger.set_params({"epochs": 2, "initial_epoch": 1, "steps": 1})
    logger.on_train_begin()
    logger.on_epoch_end(1, {"loss": 0.5})
    assert [row["loss"] for row in rows(path)] == ["1.0", "0.5"]


def test_without_a_terminal_there_is_one_plain_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    train(ProgressBar(), [{"loss": 0.5, "val_loss": 0.00012}, {"loss": 0.25, "val_loss": 2.0}])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Epoch 1/2 - 3/3 - 0s - ")
    assert lines[0].endswith("ms/step - loss: 0.5000 - val_loss: 1.2000e-04")
    assert "\x1b" not in "".join(lines)


class Compiling(Callback):
    """Seems to compile something in certain steps, and takes a second for it; other steps take none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]) -> None:
        self.clock, self.steps, self.bar = 0.0, steps, ProgressBar()
        monkeypatch.setattr(time, "perf_counter", lambda: self.clock)
        monkeypatch.setattr(jit_cache, "counts", Counter())
        self.set_params = self.bar.set_params  # type: ignore[method-assign]
        for name in ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"):
            setattr(self, name, getattr(self.bar, name))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.clock += 0.25
        if batch in self.steps:
            for announced in jit_cache._to_be_told:
                announced()
            self.clock += 1
            jit_cache.counts["compiled"] += 5
        self.bar.on_train_batch_end(batch, logs)


@pytest.mark.parametrize(
    ("steps", "shown"), [((), "1s - 250ms/step"), ((0,), "2s - 250ms/step"), ((0, 1, 2), "4s - 1250ms/step")]
)
def test_steps_that_compile_are_no_part_of_the_time_per_step(
    steps: tuple[int, ...], shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(Compiling(monkeypatch, steps), [{"loss": 0.5}])
    assert capsys.readouterr().out.splitlines()[-1] == f"Epoch 1/1 - 3/3 - {shown} - loss: 0.5000"


def test_what_is_going_to_be_compiled_is_announced_while_training_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    with announced():
        ((announce,),) = jit_cache._to_be_told
        assert capsys.readouterr().out == ""
        announce()
        assert capsys.readouterr().out.startswith("Compiling what this network needs, once: it is kept.")
    assert jit_cache._to_be_told == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 200) -> Terminal:
    """Called inside the test: a fixture's sys.stdout would be replaced by pytest's before the test runs."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("minicnn.callbacks.progress.INTERVAL", 0.0)
    return stream


def test_in_a_terminal_a_bar_moves_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="draws the bars")
    terminal = open_terminal(monkeypatch)
    train(ProgressBar(), [{"loss": 0.5}], steps=4)
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    assert shown.count("\r") == 5  # four steps and the end of the epoch
    assert all(f"{step}/4" in shown for step in range(1, 5))
    assert "━" in shown
    assert "loss: 0.5000" in shown
    assert "\x1b[?25l" not in shown  # the cursor is never hidden


def test_a_narrow_terminal_cuts_the_line_instead_of_wrapping_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="draws the bars")
    terminal = open_terminal(monkeypatch, columns=40)
    train(ProgressBar(), [{"a_metric_with_a_long_name": 0.5, "another_metric": 1.0}])
    *moving, last = terminal.getvalue().split("\r")
    assert not any("another_metric" in line or "\n" in line for line in moving)
    assert last.endswith("another_metric: 1.0000\n")  # what stays is complete


def test_a_terminal_without_rich_or_with_verbose_2_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    train(ProgressBar(2), [{"loss": 0.5}])
    monkeypatch.setitem(sys.modules, "rich.console", None)
    train(ProgressBar(1), [{"loss": 0.5}])
    assert terminal.getvalue().count("\n") == 2
    assert "\x1b" not in terminal.getvalue()


def test_other_verbosities_are_refused() -> None:
    with pytest.raises(OptionError, match="verbose"):
        ProgressBar(3)


def test_verbose_monitors_say_what_they_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(EarlyStopping(patience=1, verbose=1, restore_best_weights=True), losses(3, 1, 2))
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 3: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]
    path = tmp_path / "best.npz"
    train(ModelCheckpoint(path, verbose=1, save_best_only=True), losses(3, 4, 2))
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1: val_loss improved from None to 3.00000, saved model to {path}",
        "Epoch 2: val_loss did not improve from 3.00000",
        f"Epoch 3: val_loss improved from 3.00000 to 2.00000, saved model to {path}",
    ]
    train(ModelCheckpoint(path, verbose=1), losses(3))
    assert capsys.readouterr().out == f"Epoch 1: saved model to {path}\n"
    train(EarlyStopping(patience=1, restore_best_weights=True), losses(3, 1, 2))
    train(ModelCheckpoint(path, save_best_only=True), losses(3, 4, 2))
    assert capsys.readouterr().out == ""
    with pytest.raises(OptionError, match="verbose as an integer of at least 0"):
        EarlyStopping(verbose=-1)


def test_in_a_terminal_messages_replace_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="draws the bars")
    terminal, bar, model = open_terminal(monkeypatch), ProgressBar(), FakeModel()
    bar.set_params({"epochs": 1, "initial_epoch": 0, "steps": 1})
    checkpoint = ModelCheckpoint("model.npz", verbose=1)
    checkpoint.set_model(model)
    bar.on_epoch_begin(0)
    bar.on_train_batch_end(0, {"loss": 1.0})
    for callback in (checkpoint, bar):
        callback.on_epoch_end(0, {"loss": 1.0})
    *_, message, last, end = terminal.getvalue().split("\n")
    assert message.endswith("\r\x1b[2KEpoch 1: saved model to model.npz")
    assert last.startswith("Epoch 1/1 - 1/1 - 0s")  # nothing left to clear
    assert end == ""


def test_the_learning_rate_is_what_a_function_says(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[int, float]] = []

    def halved(epoch: int, rate: float) -> float:
        asked.append((epoch, rate))
        return rate / 2

    logs: list[dict[str, float]] = [{}, {}]
    assert train(LearningRateScheduler(halved, verbose=1), logs, initial_epoch=4).optimizer.learning_rate == 0.125
    assert asked == [(4, 0.5), (5, 0.25)]
    assert logs == [{"learning_rate": 0.25}, {"learning_rate": 0.125}]
    assert capsys.readouterr().out == "Epoch 5: the learning rate is 0.25\nEpoch 6: the learning rate is 0.125\n"
    assert train(LearningRateScheduler(lambda epoch: 1 + epoch), [{}, {}]).optimizer.learning_rate == 2.0


@pytest.mark.parametrize("rate", [None, "0.1", -1.0, float("nan")])
def test_a_function_that_gives_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(OptionError, match=r"what schedule gives for epoch 0 as a finite number >= 0"):
        train(LearningRateScheduler(lambda epoch, _: rate), [{}])


def test_a_schedule_of_minicnns_is_such_a_function() -> None:
    model = train(LearningRateScheduler(CosineDecay(0.5, 10)), [{}] * 3)
    assert model.optimizer.learning_rate == CosineDecay(0.5, 10)(2)


def test_an_error_inside_the_function_is_left_alone() -> None:
    with pytest.raises(TypeError, match=r"^unsupported operand"):
        train(LearningRateScheduler(lambda epoch, rate: rate + "1"), [{}])  # type: ignore[operator]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(OptionError, match=r"schedule as a function\. Received: 0\.1\. It takes the epoch and"):
        LearningRateScheduler(0.1)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"on_test_end as a function\. Received: 'stop'"):
        LambdaCallback(on_test_end="stop")  # type: ignore[arg-type]


def test_a_plateau_reduces_the_learning_rate_down_to_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    logs = losses(3, 2, 2, 2, 2, 2, 1)
    reduce = ReduceLROnPlateau(factor=0.25, patience=2, min_lr=0.1, verbose=1)
    assert train(reduce, logs).optimizer.learning_rate == 0.1
    assert [row["learning_rate"] for row in logs] == [0.5, 0.5, 0.5, 0.5, 0.125, 0.125, 0.1]  # before the reduction
    said = capsys.readouterr().out.splitlines()
    assert said == ["Epoch 4: the learning rate is reduced to 0.125", "Epoch 6: the learning rate is reduced to 0.1"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"factor": 1.0}, "factor as a finite number > 0 and < 1"),
        ({"patience": 0.5}, "patience as an integer"),
        ({"cooldown": -1}, "cooldown as an integer of at least 0"),
        ({"min_lr": -1}, "min_lr as a finite number >= 0"),
        ({"monitor": "val_curvature"}, "mode='min'"),
    ],
)
def test_plateaus_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ReduceLROnPlateau(**options)


@pytest.mark.parametrize("callback", [LearningRateScheduler(lambda _, rate: rate), ReduceLROnPlateau()])
def test_a_rate_that_follows_a_schedule_is_refused_before_training(callback: Callback) -> None:
    model = FakeModel()
    model.optimizer = SGD(CosineDecay(0.1, 100))
    callback.set_model(model)
    with pytest.raises(StateError, match="follows CosineDecay"):
        callback.on_train_begin()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_training_ends_when_the_loss_is_no_longer_finite(loss: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(TerminateOnNaN(), [{"loss": loss}], steps=1).stop_training
    assert capsys.readouterr().out.startswith("Batch 0: the loss is no longer finite, training ends.")
    assert not train(TerminateOnNaN(), [{"loss": 3.0}, {"accuracy": 1.0}]).stop_training
    assert capsys.readouterr().out == ""


def test_functions_stand_for_methods() -> None:
    calls: list[Any] = []
    train(LambdaCallback(on_epoch_end=lambda epoch, logs: calls.append((epoch, logs))), losses(3, 4))
    assert calls == [(0, {"val_loss": 3}), (1, {"val_loss": 4})]


def test_every_method_can_be_a_function() -> None:
    for name in hooks():
        calls: list[Any] = []
        callback = LambdaCallback(**{name: lambda *arguments, calls=calls: calls.append(arguments)})
        getattr(callback, name)(1, {})
        assert calls == [(1, {})]


def test_callbacks_say_how_they_were_made() -> None:
    assert repr(EarlyStopping()) == "EarlyStopping(mode='min')"
    assert repr(EarlyStopping("accuracy", patience=3)) == "EarlyStopping(monitor='accuracy', patience=3, mode='max')"
    assert repr(ModelCheckpoint(Path("a.npz"), verbose=1)) == "ModelCheckpoint(filepath='a.npz', verbose=1, mode='min')"
    assert repr(TerminateOnNaN()) == "TerminateOnNaN()"
    assert repr(LambdaCallback(on_epoch_end=print)) == "LambdaCallback(on_epoch_end=...)"
    assert repr(ReduceLROnPlateau(factor=0.5)) == "ReduceLROnPlateau(factor=0.5, mode='min')"


def test_a_callback_of_ones_own_shows_what_it_keeps() -> None:
    class Mine(Callback):
        def __init__(self, shown: Any, hidden: int = 3) -> None:
            self.shown, self._hidden = shown, hidden

    assert repr(Mine("a")) == "Mine(shown='a')"
    assert len(repr(Mine("a" * 1000))) < 80


def test_a_history_says_where_it_ended() -> None:
    history = History()
    assert repr(history) == "<History, epochs: 0>"
    train(history, [{"loss": 2.0, "accuracy": 0.5}, {"loss": 0.123456, "accuracy": 0.75}])
    assert repr(history) == "<History, epochs: 2, in the last: loss 0.1235, accuracy 0.75>"


class Heard:
    """Somebody else's class, which has all the methods."""

    def __init__(self) -> None:
        self.moments: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("on_", "set_")):
            raise AttributeError(name)
        return lambda *about: self.moments.append(name)


def test_callbacks_are_known_by_their_methods() -> None:
    heard = Heard()
    fit_with([heard])
    assert heard.moments[:3] == ["set_model", "set_params", "on_train_begin"]
    assert "on_epoch_end" in heard.moments


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (["early"], r"callbacks with the methods set_model, .* Received: 'early'. Derive its class from Callback"),
        ([print], r"Received: <built-in function print>"),
        ([EarlyStopping], r"Make one of it: EarlyStopping\(\.\.\.\)"),
        (3, r"callbacks as a list. Received: 3"),
        ({"a": 1}, r"callbacks as a list"),
    ],
)
def test_what_cannot_listen_is_refused(callbacks: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit_with(callbacks)


def fit_with(callbacks: Any) -> None:
    model = Sequential([Dense(1)], input_shape=(2,))
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=callbacks)


def test_an_error_instead_of_a_quiet_end() -> None:
    with pytest.raises(RuntimeError, match="Batch 2: the loss is nan"):
        TerminateOnNaN(raise_error=True).on_train_batch_end(2, {"loss": float("nan")})
    with pytest.raises(OptionError, match="raise_error to be True or False"):
        TerminateOnNaN("yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "advice"),
    [("on_batch_end", "is called on_train_batch_end"), ("on_predict_end", "predict calls none")],
)
def test_functions_for_moments_that_are_none_get_the_same_advice_as_methods(name: str, advice: str) -> None:
    with pytest.raises(ArgumentError, match=advice):
        LambdaCallback(**{name: print})
