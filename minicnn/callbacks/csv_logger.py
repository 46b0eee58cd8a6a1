"""The history of a run as a table that every spreadsheet reads."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from minicnn.callbacks.base import Callback, Logs
from minicnn.errors import OptionError, explain
from minicnn.io.atomic import write_text
from minicnn.options import flag


class CSVLogger(Callback):
    """One row per epoch in a CSV file: ``epoch`` (from 0), then the logs by name; what is missing reads ``NA``.

    The file is whole after every epoch; folders are created. ``append`` continues the one that is there; a run resumed
    with ``initial_epoch`` replaces the rows of epochs it repeats. Raises OptionError when the columns of the two do
    not agree.
    """

    def __init__(self, filename: str | Path, *, append: bool = False) -> None:
        self.filename, self.append = Path(filename), flag("append", append)
        self.rows: list[dict[str, Any]] = []
        self.columns: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.rows, self.columns = [], []
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        if self.append and self.filename.exists():
            reader = csv.DictReader(io.StringIO(self.filename.read_text(encoding="utf-8")))
            self.columns = list(reader.fieldnames or [])
            if self.columns and self.columns[0] != "epoch":
                raise OptionError(explain("a log with the column 'epoch' first", f"'{self.filename}': {self.columns}"))
            resumed = int(self.params["initial_epoch"])
            # Of a row cut off in the middle (by another program) a value is None; of one too long, a key.
            whole = (row for row in reader if None not in row and None not in row.values())
            complete = list(whole)
            if odd := [row["epoch"] for row in complete if not row["epoch"].isdecimal()]:
                raise OptionError(explain(f"whole numbers as epochs in '{self.filename}'", f"{odd[0]!r:.60}"))
            self.rows = [row for row in complete if not resumed or int(row["epoch"]) < resumed]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        columns = ["epoch", *sorted(logs)]
        self.columns = self.columns or columns
        if unknown := [name for name in columns if name not in self.columns]:
            fix = "Log to another file, or train with the same metrics."
            raise OptionError(explain(f"the columns {self.columns} of '{self.filename}'", f"also {unknown}", fix))
        values = {name: float(value) for name, value in logs.items()}
        self.rows.append(dict.fromkeys(self.columns, "NA") | values | {"epoch": epoch})
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.filename, text.getvalue())
