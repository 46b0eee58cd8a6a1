"""Callbacks that change the learning rate from epoch to epoch: by a function, or when a number no longer improves.

A schedule (``minicnn.schedules``) says the rate of every step in advance; these look at the epoch, or at how training
goes. Both write the rate they leave behind into the logs, as Keras's do: so the History keeps it as "learning_rate".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Protocol

from minicnn.callbacks.base import Callback, Logs, Trained, say
from minicnn.callbacks.monitors import Monitor
from minicnn.optimizers import Optimizer
from minicnn.options import function, number
from minicnn.shapes import whole


class Compiled(Trained, Protocol):
    """A model whose optimiser can be reached."""

    @property
    def optimizer(self) -> Optimizer: ...


class LearningRateScheduler(Callback):
    """Before each epoch, the learning rate becomes ``schedule(epoch, rate)``; epochs count from 0.

    A function of the epoch alone will do. ``verbose`` 1 says what it became. Raises OptionError for a schedule that is
    no function or gives no rate, and StateError, before training, for an optimiser whose rate follows a schedule of its
    own.
    """

    model: Compiled

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = function("schedule", schedule, "It takes the epoch and the learning rate, and returns a rate.")
        self.verbose = whole(verbose, "verbose", least=0)
        self.takes_rate = _takes(schedule, 0, 0.1)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _require_plain_rate(self.model)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        rate = self.schedule(epoch, optimizer.learning_rate) if self.takes_rate else self.schedule(epoch)
        optimizer.learning_rate = number(f"what schedule gives for epoch {epoch}", rate, least=0)
        if self.verbose:
            say(f"Epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        _write_rate(self.model, logs)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by ``factor`` when ``monitor`` has not improved by more than ``min_delta`` for
    ``patience`` epochs, down to ``min_lr``.

    After that the next ``cooldown`` epochs are not counted. ``verbose`` 1 says when it happens. Raises OptionError for
    numbers out of range, and StateError, before training, for an optimiser whose rate follows a schedule.
    """

    model: Compiled

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.factor = number("factor", factor, above=0, below=1)
        self.patience = whole(patience, "patience", least=0)
        self.cooldown = whole(cooldown, "cooldown", least=0)
        self.min_lr = number("min_lr", min_lr, least=0)
        self.wait = self.resting = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _require_plain_rate(self.model)
        self.best, self.wait, self.resting = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        _write_rate(self.model, logs)
        value = self.monitored(logs)
        if value is None:
            return
        if self.resting:
            self.resting -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif not self.resting:
            self.wait += 1
            if self.wait >= self.patience and self.model.optimizer.learning_rate > self.min_lr:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
        self.wait, self.resting = 0, self.cooldown
        if self.verbose:
            say(f"Epoch {epoch + 1}: the learning rate is reduced to {optimizer.learning_rate:g}")


def _takes(called: Callable[..., object], *arguments: object) -> bool:
    """Whether it can be called with these arguments; yes, if it does not say what it takes."""
    try:
        inspect.signature(called).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # compiled in another language
        return True
    return True


def _require_plain_rate(model: Compiled) -> None:
    """Raises StateError if a schedule decides. Setting the rate says so; now, and not after hours of training."""
    model.optimizer.learning_rate = model.optimizer.learning_rate


def _write_rate(model: Compiled, logs: Logs | None) -> None:
    if logs is not None:
        logs["learning_rate"] = model.optimizer.learning_rate
