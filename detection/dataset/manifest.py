"""Where every crop of a dataset comes from: ``manifest.json``; and what became of the rest: ``rejected.csv``.

    {"format": "minicnn dataset 1", "source": "photos", "settings": {...}, "photographs": [
       {"crop": "anna/1.jpg.png", "person": "anna", "source": "anna/1.jpg", "sha256": ..., "phash": ..., "width": ...,
        "height": ..., "faces": 2, "box": [left, top, right, bottom], "score": ..., "detector": ..., "alignment": ...,
        "angle": ...}, ...]}

Both are written in one piece, in the order of the photographs' names: the same photographs and settings give the same
files, byte by byte, however often the run was interrupted.

Crops from a camera have no photographs to list. A folder of nothing else has a manifest too, for what it says about how
they were cut (see ``detection.capture``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.dataset.journal import Find, Record
from minicnn.errors import LoadError, explain
from minicnn.io.atomic import atomic_write
from minicnn.io.tables import plain, write_table

NAME, REJECTED = "manifest.json", "rejected.csv"
FORMAT = "minicnn dataset 1"
COLUMNS = ("source", "person", "reason")  # of rejected.csv
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says. ``photographs`` by the path of their crop."""

    source: str
    settings: dict[str, Any]
    photographs: dict[str, dict[str, Any]]


@dataclass(frozen=True, order=True)
class Rejected:
    """A photograph without a crop, and why."""

    source: str
    person: str
    reason: str


def entry(record: Record, find: Find, crop: str) -> dict[str, Any]:
    """What the manifest says about one crop."""
    return {
        "crop": crop,
        "person": record.person,
        "source": record.source,
        "sha256": record.sha256,
        "phash": record.phash,
        "width": record.width,
        "height": record.height,
        "faces": record.faces,
        "box": list(find.box),
        "score": find.score,
        "detector": find.detector,
        "alignment": find.alignment,
        "angle": find.angle,
    }


def write_manifest(
    folder: Path, source: str, settings: dict[str, Any], entries: Iterable[dict[str, Any]], rejected: Sequence[Rejected]
) -> None:
    """Write both files, the manifest last: where there is one, everything else is there.

    ``entries`` come in the order of their sources. Each is written before the next is asked for: together, those of
    10,000 photographs and their text would be more than all that a run keeps of them.
    """
    write_table(folder / REJECTED, COLUMNS, [(row.source, row.person, row.reason) for row in sorted(rejected)])
    write_list(folder, source, settings, entries)


def write_list(folder: Path, source: str, settings: dict[str, Any], entries: Iterable[dict[str, Any]]) -> None:
    """Write the manifest alone."""
    with atomic_write(folder / NAME) as file:
        head = _json({"format": FORMAT, "source": source, "settings": settings})
        file.write(head[:-1] + b', "photographs": [')
        for number, item in enumerate(entries):  # a line each: easy to compare
            file.write(b"," * (number > 0) + b"\n" + _json(item))
        file.write(b"\n]}\n")


def _json(data: dict[str, Any]) -> bytes:
    """A folder's name that is no UTF-8 has letters that UTF-8 cannot say; JSON has its own way to, ``\\udce9``."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a dataset folder, or None where there is none. Raises LoadError for a file that is not one."""
    path = folder / NAME
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise LoadError(f"'{path}': {explain('a manifest', f'{path.stat().st_size} bytes')}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise KeyError
        photographs = {item["crop"]: item for item in data["photographs"]}
        texts = [item[key] for item in photographs.values() for key in ("crop", "source", "sha256", "phash")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
        return Manifest(str(data["source"]), dict(data["settings"]), photographs)
    except (ValueError, KeyError, TypeError, RecursionError):
        fix = "Build the dataset again."
        raise LoadError(f"'{path}': {explain(f'a manifest ({FORMAT})', 'something else', fix)}") from None


def read_rejected(folder: Path) -> list[Rejected]:
    """The photographs without a crop; none where there is no such list. Raises LoadError for a file that is not one."""
    path = folder / REJECTED
    if not path.is_file():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [Rejected(*(plain(row[name]) for name in COLUMNS)) for row in csv.DictReader(file)]
    except (ValueError, KeyError, AttributeError, csv.Error):  # AttributeError: a row that is too short
        raise LoadError(f"'{path}': {explain('the list of rejected photographs', 'something else')}") from None
