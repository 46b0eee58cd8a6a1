"""Callbacks that watch one number: stop when it no longer improves, save when it does.

"Better" means smaller for a loss or an error and larger for an accuracy; ``mode="auto"`` tells it from the name.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from minicnn.callbacks.base import Callback, Logs, say
from minicnn.errors import OptionError, explain
from minicnn.io.models import WRITERS, suffix
from minicnn.options import flag, number
from minicnn.shapes import Array, whole


class Monitor(Callback):
    """Watches one number and knows what "better" means for it. With ``verbose`` it says what it does."""

    def __init__(self, monitor: str, mode: str, min_delta: float, verbose: int) -> None:
        if mode not in ("auto", "min", "max"):
            raise OptionError(explain("mode 'auto', 'min' or 'max'", repr(mode)))
        self.monitor = monitor
        self.mode = _direction(monitor) if mode == "auto" else mode
        self.min_delta = abs(number("min_delta", min_delta))
        self.verbose = whole(verbose, "verbose", least=0)
        self.best: float | None = None

    def improves(self, value: float, reference: float | None) -> bool:
        """Better than ``reference`` by more than ``min_delta``. NaN is not; but whatever comes first beats None."""
        if reference is None:
            return True
        return value + self.min_delta < reference if self.mode == "min" else value - self.min_delta > reference

    def monitored(self, logs: Logs | None) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {}) or "nothing"
            fix = "Names that begin with val_ need validation data." if self.monitor.startswith("val_") else ""
            message = explain(f"'{self.monitor}' in the logs, which {type(self).__name__} monitors", known, fix)
            warnings.warn(message, stacklevel=3)
        return value


def _direction(monitor: str) -> str:
    name = monitor.removeprefix("val_")
    if name.endswith(("loss", "error", "crossentropy")) or name in ("mse", "mae"):
        return "min"
    if name.endswith("accuracy") or name in ("acc", "auc", "precision", "recall"):
        return "max"
    fix = "Pass mode='min' when smaller is better, mode='max' when larger is."
    raise OptionError(explain("a metric whose better direction is known", f"monitor={monitor!r} with mode='auto'", fix))


class EarlyStopping(Monitor):
    """Stop when ``monitor`` has not improved by more than ``min_delta`` for ``patience`` epochs.

    ``baseline``: an improvement only restarts the waiting when it also beats this value. ``restore_best_weights`` puts
    the best epoch's weights back in the end (otherwise the last epoch's stay). The first ``start_from_epoch`` epochs do
    not count. Costs a copy of the weights per improvement when they are to be restored.

    Afterwards ``best`` and ``best_epoch`` say what was best, ``stopped_epoch`` where it stopped (0: it did not).
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience = whole(patience, "patience", least=0)
        self.start_from_epoch = whole(start_from_epoch, "start_from_epoch", least=0)
        self.baseline = None if baseline is None else number("baseline", baseline)
        self.restore_best_weights = flag("restore_best_weights", restore_best_weights)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: dict[str, Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.monitored(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = {name: array.copy() for name, array in self.model.weights.items()}
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Monitor):
    """Save the model after each epoch, or with ``save_best_only`` after those that improved ``monitor``.

    ``filepath`` may contain the epoch, counted from 1, and anything in the logs:
    ``"runs/{epoch:02d}-{val_loss:.3f}.npz"``. Folders are created. As in Keras, a number to monitor that is missing
    from the logs is a warning, and the model is saved. Raises OptionError for an ending that no format has.
    """

    def __init__(
        self,
        filepath: str | Path,
        monitor: str = "val_loss",
        *,
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
    ) -> None:
        self.filepath, self.save_best_only = str(filepath), flag("save_best_only", save_best_only)
        mode = "min" if mode == "auto" and not save_best_only else mode  # else nothing is compared
        super().__init__(monitor, mode, 0.0, verbose)
        suffix(filepath, tuple(WRITERS))  # now, and not after the first epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        reason = ""
        if self.save_best_only:
            value = self.monitored(logs)
            if value is not None:
                best = "None" if self.best is None else f"{self.best:.5f}"
                if not self.improves(value, self.best):
                    if self.verbose:
                        say(f"Epoch {epoch + 1}: {self.monitor} did not improve from {best}")
                    return
                self.best, reason = value, f"{self.monitor} improved from {best} to {value:.5f}, "
        path = self._path(epoch, logs or {})
        path.parent.mkdir(parents=True, exist_ok=True)
        self.model.save(path)
        if self.verbose:
            say(f"Epoch {epoch + 1}: {reason}saved model to {path}")

    def _path(self, epoch: int, logs: Logs) -> Path:
        try:
            return Path(self.filepath.format(epoch=epoch + 1, **logs))
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            known = ", ".join(["epoch", *logs])
            received = f"'{self.filepath}' ({error})"
            raise OptionError(explain(f"only these names in filepath: {known}", received)) from error
