"""Tables as CSV files that can be opened in a spreadsheet without harm.

A spreadsheet computes every cell that begins like a formula: a photograph called ``=HYPERLINK(...)`` would become a
link, or worse, for whoever looks at the list. Such texts get an apostrophe in front, which says "this is text";
``plain`` takes it away again. Numbers stay numbers, negative ones too.

"CSV Injection", OWASP.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from minicnn.io.atomic import write_text

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a line of names (without any, none), then the rows; atomic, like ``write_text``."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)  # lines end in CR LF, as RFC 4180 says: so a CR in a name is quoted too
    writer.writerows([columns] if columns else [])
    writer.writerows([_cell(value) for value in row] for row in rows)
    write_text(path, table.getvalue())


def plain(cell: str) -> str:
    """The text that became ``cell``.

    >>> plain("'=1+1"), plain("'tis"), plain("-5")
    ('=1+1', "'tis", '-5')
    """
    return cell[1:] if cell.startswith("'") and _begins_a_formula(cell) else cell


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _begins_a_formula(value) else value


def _begins_a_formula(text: str) -> bool:
    """Apostrophes do not count, so that ``plain`` is the way back whatever the text."""
    return text.lstrip("'").startswith(FORMULA)
