"""What became of each photograph, written down at once, so that a run can be killed at any moment and go on.

A line of JSON per photograph, appended and synced as soon as its crop is on the disk. The first line says what the
dataset is made from and how. A run that goes on reads the lines, skips the photographs they name, and appends; a line
that was cut off in the middle (the only kind of damage that a kill or a full disk leaves) is cut away, and its
photograph done again. A photograph that has changed since, by its size or its time, is done again too: of two lines
about the same photograph, the later one counts.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from minicnn.errors import LoadError, StateError, explain
from minicnn.io.atomic import write_text

NAME = "journal.jsonl"
FORMAT = "minicnn dataset journal 1"


@dataclass(frozen=True, slots=True)  # there are as many as photographs, and all are kept
class Find:
    """A face that was cut out. ``box`` is (left, top, right, bottom) in pixels of the photograph, before it was turned.

    alignment: what found the eyes, "landmarks" or "eyes"; "none" when nothing did, or was asked to
    angle:     by how many degrees the face was turned to level them
    crop:      where its crop lies in the dataset
    look:      what policy "alike" compares; empty for the others
    """

    box: tuple[int, int, int, int]
    score: float
    detector: str
    alignment: str
    angle: float
    crop: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one photograph: ``finds`` that were cut out, or the ``reason`` why there are none.

    ``size`` in bytes and ``modified`` in nanoseconds tell whether it is still the same file. ``sha256`` is of its
    bytes, ``phash`` of what it shows (see ``detection.dataset.hashes``); both are empty where it could not be read.
    ``faces`` counts everybody in it.
    """

    source: str
    person: str
    size: int
    modified: int
    sha256: str = ""
    phash: str = ""
    width: int = 0
    height: int = 0
    faces: int = 0
    finds: tuple[Find, ...] = ()
    reason: str = ""


class Journal:
    """The journal of a dataset folder, begun or continued. Use it in a ``with`` block.

    ``header`` says what the dataset is made from and how; it must be what an earlier run wrote. Raises StateError when
    it is not, or when another run is at work in the folder; LoadError for a file that is no journal.
    """

    def __init__(self, folder: Path, header: dict[str, Any]) -> None:
        self.path = folder / NAME
        header = {"format": FORMAT} | header
        if not self.path.exists():
            write_text(self.path, json.dumps(header) + "\n")
        self.records: dict[str, Record] = {}
        self._file: BinaryIO = open(self.path, "r+b", buffering=0)  # noqa: SIM115  (closed by __exit__)
        try:
            _lock(self._file, folder)
            with open(self.path, "rb") as lines:
                found = parse_journal(lines, self.path)
            require_same(found.header, header, folder, "Ask for the same again to go on, or choose another folder.")
            self.records |= {record.source: record for record in found.records}
            self._file.truncate(found.sound)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, record: Record) -> None:
        """Write down what became of a photograph; it is on the disk when this returns.

        Raises OSError when the disk refuses; half a line is taken back then.
        """
        line = (json.dumps(asdict(record)) + "\n").encode("ascii")
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):  # a disk that fills up takes a part, and refuses the next call
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise
        self.records[record.source] = record


_AFRESH = "Choose another folder, or delete this one and build it again."


class Content(NamedTuple):
    """What a journal says: its first line, its records in the order in which they came, and how many bytes are whole
    lines.
    """

    header: dict[str, Any]
    records: list[Record]
    sound: int


def parse_journal(lines: Iterable[bytes], path: Path) -> Content:
    """The content of a journal up to a line that was cut off. Raises LoadError, naming ``path``, for anything else.

    Nothing but the records is kept of the lines, so that going on takes no more memory than beginning did.
    """
    whole = itertools.takewhile(lambda line: line.endswith(b"\n"), lines)
    first = next(whole, b"")
    header = _header(first, path)
    records, sound = [], len(first)
    for number, line in enumerate(whole, start=2):
        records.append(_record(_parse(line, path, number), path, number))
        sound += len(line)
    return Content(header, records, sound)


def read_header(folder: Path) -> dict[str, Any] | None:
    """What a dataset folder is made from and how; None where there is no journal. Raises LoadError for one that is
    none.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    with open(path, "rb") as lines:
        return _header(lines.readline(), path)


def _header(line: bytes, path: Path) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise LoadError(f"'{path}': {explain('a journal', 'a file without a whole line', _AFRESH)}")
    header = _parse(line, path, 1)
    if header.get("format") != FORMAT:
        raise LoadError(f"'{path}': {explain(f'a journal ({FORMAT})', repr(header.get('format')), _AFRESH)}")
    return header


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise LoadError(f"'{path}': {explain('JSON in every line', f'something else in line {number}', _AFRESH)}")
    return data


def _record(data: dict[str, Any], path: Path, number: int) -> Record:
    try:
        finds = tuple(Find(**find | {"box": tuple(find["box"])}) for find in data.pop("finds"))
        record = Record(**data, finds=finds)
        crops = [find.crop for find in finds]
        if not all(_has_its_kinds(part) for part in (record, *finds)):
            raise TypeError
        if any(Path(text).is_absolute() or ".." in Path(text).parts for text in (record.source, *crops)):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        received = f"something else in line {number}"
        raise LoadError(f"'{path}': {explain('what became of a photograph', received, _AFRESH)}") from None
    return record


def _has_its_kinds(part: Record | Find) -> bool:
    """Is every field what its annotation says? The annotations are texts here, and JSON knows these kinds alone."""
    kinds: dict[Any, Any] = {"str": str, "int": int, "float": int | float}
    whole = not isinstance(part, Find) or (len(part.box) == 4 and all(isinstance(edge, int) for edge in part.box))
    return whole and all(isinstance(getattr(part, field.name), kinds.get(field.type, tuple)) for field in fields(part))


def require_same(found: dict[str, Any], header: dict[str, Any], folder: Path, fix: str) -> None:
    """What goes on in ``folder`` must be what began there: crops of two kinds in one dataset would be of no use.

    Raises StateError with what differs, and ``fix``.
    """
    found, header = _flat(found), _flat(header)
    differ = [key for key in sorted(found.keys() | header.keys()) if found.get(key) != header.get(key)]
    if differ:
        then = ", ".join(f"{key}={found.get(key)}" for key in differ)
        now = ", ".join(f"{key}={header.get(key)}" for key in differ)
        raise StateError(f"'{folder}': {explain(f'the settings that it was begun with, {then}', now, fix)}")


def _flat(header: dict[str, Any]) -> dict[str, Any]:
    settings = header.get("settings")
    return {k: v for k, v in header.items() if k != "settings"} | (settings if isinstance(settings, dict) else {})


def _lock(file: BinaryIO, folder: Path) -> None:
    """One run at a time; the lock goes with the process, however it ends. Windows has none of this kind."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        fix = "Wait until it has ended."
        raise StateError(explain("one run at a time", f"another one at work in '{folder}'", fix)) from None
