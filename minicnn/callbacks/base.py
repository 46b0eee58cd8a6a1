"""The moments of training a callback can hear about, and the one callback that is always there: History."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any, Protocol

from minicnn.constructors import ALSO_CALLED, ELSEWHERE, Explained
from minicnn.errors import OptionError, explain
from minicnn.shapes import Array

Logs = MutableMapping[str, float]

CLEAR = "\r\x1b[2K"  # back to the beginning of the line, and empty it
unfinished: list[IO[str]] = []  # the screen, while a bar stands on its last line


class Trained(Protocol):
    """What callbacks need of a model."""

    stop_training: bool

    @property
    def weights(self) -> Mapping[str, Array]: ...
    def set_weights(self, weights: Mapping[str, Array]) -> None: ...
    def save(self, path: str | Path) -> None: ...


class Callback(Explained):
    """Override what you want to hear about. Training gives ``logs`` to every method, empty where there is nothing.

    ``model`` is the model in training; ``params`` holds "epochs", "initial_epoch" and "steps" (batches per epoch). A
    method ``on_...`` that nothing would ever call is an OptionError where its class is made.
    """

    model: Trained
    params: dict[str, Any]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in dir(cls):
            if name.startswith("on_") and name not in hooks() and callable(getattr(cls, name)):
                raise OptionError(explain(f"methods of {cls.__name__} among {', '.join(hooks())}", name, _meant(name)))

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters.values()
        kept = {p.name: getattr(self, p.name) for p in parameters if hasattr(self, p.name)}
        given = (
            f"{p.name}={kept[p.name]!r:.60}" for p in parameters if repr(kept.get(p.name, p.default)) != repr(p.default)
        )
        return f"{type(self).__name__}({', '.join(given)})"

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; ``logs`` has what that epoch's end had."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch's first batch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; ``logs`` has its mean loss and metrics, and those of the validation data as ``val_...``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; ``logs`` has the means since the epoch began."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before ``fit`` measures on the validation data, at the end of an epoch."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After it; ``logs`` has loss and metrics of the validation data, here without ``val_`` in front."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of the validation data."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of the validation data; ``logs`` has the means so far."""


def listening(callbacks: Any) -> list[Any]:
    """One callback or several as a list: objects with Keras's methods, whatever their class. Raises OptionError."""
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, (list, tuple, type(None))):
        raise OptionError(explain("callbacks as a list", repr(callbacks), "A single one is a list too: [callback]."))
    needed = "set_model", "set_params", *hooks()
    for callback in callbacks or ():
        is_class = isinstance(callback, type)
        if is_class or not all(callable(getattr(callback, name, None)) for name in needed):
            fix = f"Make one of it: {callback.__name__}(...)." if is_class else "Derive its class from Callback."
            raise OptionError(explain(f"callbacks with the methods {', '.join(needed)}", repr(callback), fix))
    return list(callbacks or ())


def say(message: str) -> None:
    """A line on the screen, in place of the bar if there is one."""
    while unfinished:
        screen = unfinished.pop()
        if not screen.closed:
            screen.write(CLEAR)
    print(message, flush=True)


def hooks() -> tuple[str, ...]:
    """The methods that training calls."""
    return tuple(name for name in vars(Callback) if name.startswith("on_"))


def _meant(name: str) -> str:
    """What to do about a method that nothing calls."""
    if name in ALSO_CALLED:
        return f"Keras's older name for {ALSO_CALLED[name]}: call it that."
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    near = [f"Is '{name}' {hook}?" for hook in difflib.get_close_matches(name, hooks(), 1)]
    return " ".join([*near, "A method that training does not call has a name without on_ in front."])


class History(Callback):
    """Keeps every epoch's numbers: ``history["loss"][i]`` belongs to epoch ``epoch[i]``. ``fit`` returns one."""

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<History, epochs: {len(self.epoch)}{', in the last: ' * bool(last)}{last}>"

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
