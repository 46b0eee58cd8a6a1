"""Progress on the screen: a bar that moves where there is a terminal, one line per epoch where there is none.

    Epoch 3/20 ━━━━━━━━━━━━━━━━━━━━ 7/13 - 2s - 281ms/step - loss: 0.4121 - accuracy: 0.9063     while it runs
    Epoch 3/20 - 13/13 - 4s - 279ms/step - loss: 0.3907 - accuracy: 0.9141 - val_loss: 0.5310    what stays

The first training on a machine compiles for half a minute. That is said before it begins, and steps in which something
was compiled have no part in ms/step, unless there are no others.

The bar is drawn line by line, without a thread and without hiding the cursor: whatever interrupts training, the
terminal stays as it was.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from minicnn.callbacks.base import CLEAR, Callback, Logs, say, unfinished
from minicnn.errors import OptionError, explain
from minicnn.ops import jit_cache

INTERVAL = 0.1  # seconds between two updates: the eye is no faster
WIDTH = 20  # characters
VERBOSE = (1, 2, "auto")
COMPILING = "Compiling what this network needs, once: it is kept. (minicnn warmup compiles everything beforehand.)"


class ProgressBar(Callback):
    """Shows how training goes. ``verbose`` 2: a plain line per epoch; 1 or "auto": a bar, where there is a terminal for
    it.

    Without the package ``rich``, or when the output goes to a file, there are always plain lines.
    """

    def __init__(self, verbose: int | str = "auto") -> None:
        if verbose not in VERBOSE:
            raise OptionError(explain("verbose 1, 2 or 'auto'", repr(verbose), "verbose=0 in fit shows nothing."))
        self.console = None if verbose == 2 else _terminal()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch, self.done = epoch, 0
        self.start = self.last_step = time.perf_counter()
        self.compiled = jit_cache.counts["compiled"]
        self.quick, self.quick_seconds = 0, 0.0  # steps that compiled nothing
        self.drawn = 0.0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.done, before, self.last_step = batch + 1, self.last_step, time.perf_counter()
        if jit_cache.counts["compiled"] == self.compiled:
            self.quick, self.quick_seconds = self.quick + 1, self.quick_seconds + self.last_step - before
        self.compiled = jit_cache.counts["compiled"]
        if self.console and self.last_step - self.drawn >= INTERVAL:
            self.drawn = self.last_step
            self._draw(logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        say(" - ".join([self._epoch(), self._steps(), *self._numbers(logs or {})]))  # the bar has done its work

    def _epoch(self) -> str:
        return f"Epoch {self.epoch + 1}/{self.params['epochs']}"

    def _steps(self) -> str:
        return f"{self.done}/{self.params['steps']}"

    def _numbers(self, logs: Logs) -> list[str]:
        elapsed = time.perf_counter() - self.start
        if self.quick:
            per_step = self.quick_seconds / self.quick
        else:
            per_step = (self.last_step - self.start) / max(self.done, 1)
        return _shown(elapsed, per_step, logs)

    def _draw(self, logs: Logs) -> None:
        from rich.text import Text

        assert self.console is not None
        full = WIDTH * self.done // max(self.params["steps"], 1)
        bar = (("━" * full, "green"), ("━" * (WIDTH - full), "bright_black"))
        line = Text.assemble((self._epoch(), "bold"), " ", *bar, " ", " - ".join([self._steps(), *self._numbers(logs)]))
        line.truncate(self.console.width - 1, overflow="ellipsis")  # a line that wraps could not be cleared again
        self.console.file.write(CLEAR)
        self.console.print(line, end="")
        unfinished[:] = [self.console.file]


@contextmanager
def announced() -> Iterator[None]:
    """Inside, somebody who is about to wait for the compiler is told so. However it ends, nothing stays behind."""
    try:
        with jit_cache.before_compiling(partial(say, COMPILING)):
            yield
    finally:
        unfinished.clear()


@contextmanager
def told(verbose: int | str, steps: int) -> Iterator[dict[str, float]]:
    """Says on a line, when so many steps are done, how long they took, with the numbers that were put into the dict.

    ``verbose`` 0: says nothing.
    """
    if verbose not in (0, *VERBOSE):
        raise OptionError(explain("verbose 0, 1, 2 or 'auto'", repr(verbose)))
    logs: dict[str, float] = {}
    start = time.perf_counter()
    with nullcontext() if verbose == 0 else announced():
        yield logs
    if verbose != 0:
        elapsed = time.perf_counter() - start
        say(" - ".join([f"{steps}/{steps}", *_shown(elapsed, elapsed / steps, logs)]))


def _shown(elapsed: float, per_step: float, logs: Logs) -> list[str]:
    numbers = [f"{name}: {value:.4f}" if abs(value) > 1e-3 else f"{name}: {value:.4e}" for name, value in logs.items()]
    return [f"{elapsed:.0f}s", f"{1000 * per_step:.0f}ms/step", *numbers]


def _terminal() -> Any:
    """A rich console, when there is one to draw on."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(highlight=False)
    return console if console.is_terminal and not console.legacy_windows else None
