"""The history of a run as a table that every spreadsheet reads: Keras's, to the byte.

    epoch,accuracy,loss,val_accuracy,val_loss
    0,0.5,1.25,NA,NA

A training whose first epoch is not validated has columns for it all the same, since later ones may be.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.callbacks.base import Callback, Logs
from minicnn.errors import OptionError, StateError, explain
from minicnn.io.atomic import write_text
from minicnn.options import flag

MISSING = "NA"


class CSVLogger(Callback):
    """One row per epoch in a CSV file: ``epoch`` (from 0), then the logs by name; what is missing reads ``NA``.

    The first epoch's logs say which columns there are, as in Keras: what later ones report besides is left out.

    The file is whole after every epoch; folders are created. ``append`` continues the one that is there; a run resumed
    with ``initial_epoch`` replaces the rows of epochs it repeats. Raises OptionError when the columns of the two do
    not agree: before training where ``compile`` said what is measured, otherwise after the first epoch.
    """

    def __init__(self, filename: str | Path, *, append: bool = False) -> None:
        self.filename, self.append = Path(filename), flag("append", append)
        self.rows: list[dict[str, Any]] = []
        self.columns: list[str] = []
        self.settled = False  # whether the columns are those of this run

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.rows, self.columns, self.settled = [], [], False
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        if self.append and self.filename.exists():
            self._continue()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        if not self.settled:
            self.columns = self.columns or _with_validation(["epoch", *sorted(logs)])
            self._require(logs)
            self.settled = True
        self.rows.append({"epoch": epoch} | {name: _plain(logs.get(name, MISSING)) for name in self.columns[1:]})
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval=MISSING)
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.filename, text.getvalue())

    def _continue(self) -> None:
        """Take over the columns and rows that are there."""
        reader = csv.DictReader(io.StringIO(self.filename.read_bytes().decode("utf-8"), newline=""))
        columns = list(reader.fieldnames or [])
        if not columns:
            return
        if columns[0] != "epoch":
            raise OptionError(explain("a log with the column 'epoch' first", f"'{self.filename}': {columns}"))
        self.columns = _with_validation(columns)  # earlier versions made none
        self._require(_foreseen(self.model))
        resumed = int(self.params["initial_epoch"])
        # Of a row cut off in the middle (by another program) a value is None; of one too long, a key.
        complete = [row for row in reader if None not in row and None not in row.values()]
        if odd := [row["epoch"] for row in complete if not row["epoch"].isdecimal()]:
            raise OptionError(explain(f"whole numbers as epochs in '{self.filename}'", f"{odd[0]!r:.60}"))
        self.rows = [row for row in complete if not resumed or int(row["epoch"]) < resumed]

    def _require(self, names: Iterable[str]) -> None:
        """Raise OptionError where a number has no column."""
        if unknown := [name for name in names if name not in self.columns]:
            fix = "Log to another file, or train with the same metrics."
            raise OptionError(explain(f"the columns {self.columns} of '{self.filename}'", f"also {unknown}", fix))


def _with_validation(columns: list[str]) -> list[str]:
    """The columns, and one for each of them with ``val_`` in front where there is none that begins so."""
    if any(name.startswith("val_") for name in columns):
        return columns
    return [*columns, *(f"val_{name}" for name in columns[1:])]


def _foreseen(model: Any) -> list[str]:
    """What every epoch of the model is going to report, as far as ``compile`` says it."""
    try:
        return ["loss", *(metric.name for metric in model.compiled.metrics)]
    except (AttributeError, StateError):  # somebody else trains it
        return []


def _plain(value: Any) -> Any:
    """A value as Keras has it written: several numbers as a list in quotes, all others as they print."""
    single = isinstance(value, str) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return f'"[{", ".join(map(str, value))}]"' if isinstance(value, Iterable) and not single else value
