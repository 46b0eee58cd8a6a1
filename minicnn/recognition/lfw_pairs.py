"""The list of pairs that LFW is judged by: ``pairs.txt``.

    10      300                                  folds, and pairs of each kind in each
    Abel_Pacheco    1       4                    the same person: pictures 1 and 4
    ...                                          300 such lines, then 300 of different people:
    Abdel_Madi_Shabneh      1       Dean_Barker     1

and so on for each fold. Picture 1 of Abel_Pacheco is ``Abel_Pacheco/Abel_Pacheco_0001.jpg``. Fields are separated by
tabs, in copies that went through an editor by spaces. A first line with one number (``pairsDevTest.txt``) means one
fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np

from minicnn.errors import LoadError, OptionError, explain
from minicnn.recognition.verification import Folds, folds
from minicnn.shapes import Array

SIZE_LIMIT = 64 << 20  # bytes; LFW's own has 150 kB
Picture = tuple[str, int]


@dataclass(frozen=True)
class LfwPair:
    """Two pictures, each a person and a number from 1, and the fold 0, 1, ... they belong to."""

    first: Picture
    second: Picture
    fold: int

    @property
    def same(self) -> bool:
        """Do both pictures show the same person?"""
        return self.first[0] == self.second[0]


@dataclass(frozen=True)
class LfwResult:
    """Accuracy by folds over the ``used`` pairs; of ``missing`` pairs at least one picture is not in the dataset.

    ``missing_counted_wrong`` is the accuracy over all pairs of the list when those count as errors: a face that was not
    found is one, for whoever wants to be let in.
    """

    folds: Folds
    used: int
    missing: int
    missing_counted_wrong: float


def read_pairs(path: str | Path) -> tuple[LfwPair, ...]:
    """The pairs of a file. Raises LoadError with the number of the first line that is not what it should be."""
    try:
        file = Path(path)
        if not file.is_file():
            raise LoadError(f"Cannot load '{path}': {'not a regular file' if file.exists() else 'no such file'}.")
        if file.stat().st_size > SIZE_LIMIT:
            raise LoadError(f"Cannot load '{path}': larger than {SIZE_LIMIT >> 20} MiB, so no list of pairs.")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LoadError(f"Cannot load '{path}': {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LoadError(f"Cannot load '{path}': not a text in UTF-8.") from error
    return parse_pairs(text, str(path))


def parse_pairs(text: str, source: str = "pairs") -> tuple[LfwPair, ...]:
    """The same from text; ``source`` names it in errors."""
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise LoadError(f"Cannot load '{source}': it is empty.")
    header = lines[0].split()
    if len(header) not in (1, 2) or not all(_is_count(field) for field in header):
        _refuse(source, 1, "the numbers of folds and of pairs, such as '10 300'", lines[0])
    number, each = (1, int(header[0])) if len(header) == 1 else (int(header[0]), int(header[1]))
    wanted = 1 + 2 * number * each
    if len(lines) != wanted:
        expected = f"{wanted} lines, as its first line says ({number} folds of {each} same and {each} different pairs)"
        raise LoadError(f"Cannot load '{source}': {explain(expected, f'{len(lines)} lines')}")
    pairs = []
    for index, line in enumerate(lines[1:]):
        fold, place = divmod(index, 2 * each)
        fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
        pairs.append(_pair(fields, place < each, fold, source, index + 2, line))
    return tuple(pairs)


def lfw_accuracy(pairs: Iterable[LfwPair], embeddings: Array, pictures: Mapping[Picture, int]) -> LfwResult:
    """The protocol on embeddings (N, D); ``pictures`` says in which row each picture is (``picture_rows``).

    Raises OptionError when fewer than two folds have a pair that can be judged, or one of its kinds is missing.
    """
    listed = list(pairs)
    usable = [pair for pair in listed if pair.first in pictures and pair.second in pictures]
    same = np.array([pair.same for pair in usable], bool)
    parts = np.array([pair.fold for pair in usable], int)
    if len(set(parts.tolist())) < 2 or not same.any() or same.all():
        received = f"{len(usable)} of {len(listed)} pairs, {int(same.sum())} of them of the same person"
        fix = "The list and the dataset must be of the same pictures, called Person/Person_0001.png and so on."
        raise OptionError(explain("pairs of both kinds, in at least two folds, in the dataset", received, fix))
    first = embeddings[[pictures[pair.first] for pair in usable]].astype(np.float64)
    second = embeddings[[pictures[pair.second] for pair in usable]].astype(np.float64)
    distances = np.linalg.norm(first - second, axis=1)
    found = folds(distances, same, parts)
    sizes = np.array([np.count_nonzero(parts == part) for part in np.unique(parts)])
    right = float(np.dot(found.accuracies, sizes))
    return LfwResult(found, len(usable), len(listed) - len(usable), right / len(listed))


def picture_rows(paths: Iterable[str]) -> dict[Picture, int]:
    """Which row each picture has, from paths like "Abel_Pacheco/Abel_Pacheco_0001.png" in the order of the rows."""
    rows: dict[Picture, int] = {}
    for row, path in enumerate(paths):
        name = PurePosixPath(path)
        person, _, number = name.name.split(".")[0].rpartition("_")
        if person == name.parent.name and _is_count(number):
            rows.setdefault((person, int(number)), row)
    return rows


def _pair(fields: list[str], same: bool, fold: int, source: str, line_number: int, line: str) -> LfwPair:
    if same:
        if len(fields) != 3 or not fields[0] or not _is_count(fields[1]) or not _is_count(fields[2]):
            _refuse(source, line_number, "a pair of the same person, such as 'Abel_Pacheco 1 4'", line)
        return LfwPair((fields[0], int(fields[1])), (fields[0], int(fields[2])), fold)
    if len(fields) != 4 or not fields[0] or not fields[2] or not _is_count(fields[1]) or not _is_count(fields[3]):
        _refuse(source, line_number, "a pair of different people, such as 'Abel_Pacheco 1 Dean_Barker 2'", line)
    if fields[0] == fields[2]:
        _refuse(source, line_number, "a pair of different people", line)
    return LfwPair((fields[0], int(fields[1])), (fields[2], int(fields[3])), fold)


def _is_count(field: str) -> bool:
    """A whole number from 1, in plain digits: int() would also take '1_0', '+1' and digits of other scripts."""
    return field.isascii() and field.isdigit() and len(field) <= 9 and int(field) >= 1


def _refuse(source: str, number: int, expected: str, line: str) -> NoReturn:
    raise LoadError(f"Cannot load '{source}', line {number}: {explain(expected, repr(line[:80]))}")
