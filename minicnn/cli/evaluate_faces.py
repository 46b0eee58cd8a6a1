"""The faces that ``minicnn evaluate`` asks about: parts of a dataset, with people numbered as the run numbers them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.crop import as_input, standardise
from detection.dataset.check import unlisted
from detection.dataset.load import SPLIT, load_dataset, read_split
from minicnn.report.text import counted
from minicnn.shapes import Array


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops, what the network sees of them, who they show (numbers of the run), their files, and embeddings."""

    crops: Array
    x: Array
    labels: Array
    paths: tuple[str, ...]

    def subset(self, which: Array) -> Faces:
        """Those faces for which ``which`` (N,) is true."""
        rows = np.flatnonzero(which)
        return Faces(self.crops[rows], self.x[rows], self.labels[rows], tuple(self.paths[row] for row in rows))

    def digests(self) -> tuple[str, ...]:
        """64 bits of each crop's pixels: they know a face again whatever its file and folder are called."""
        pixels = (repr(crop.shape).encode() + crop.tobytes() for crop in self.crops)
        return tuple(hashlib.blake2b(each, digest_size=8).hexdigest() for each in pixels)

    def without(self, digests: Collection[str]) -> Faces:
        """The faces of those people of whom no face is among ``digests``: another face of the same person says little
        more than the one that is.
        """
        seen = np.array([digest in digests for digest in self.digests()], bool)
        return self.subset(~np.isin(self.labels, self.labels[seen]))


@dataclass(frozen=True, eq=False)
class Parts:
    """A dataset as a run sees it: faces of its people, and of strangers (numbered among themselves)."""

    known: Faces
    strangers: Faces
    stranger_names: tuple[str, ...]


def read_part(folder: Path, part: str | None, people: tuple[str, ...], identifier: Any) -> Parts:
    """The faces of one part, by the run's numbers. Raises LoadError or ShapeError for what does not fit."""
    dataset = load_dataset(folder, part)
    x = standardise(as_input(dataset.crops))
    identifier.check_input(x)
    numbers = {name: number for number, name in enumerate(people)}
    others = tuple(name for name in dataset.people if name not in numbers)
    stranger_numbers = {name: number for number, name in enumerate(others)}
    names = [dataset.people[label] for label in dataset.labels.tolist()]
    is_known = np.array([name in numbers for name in names], bool)

    def chosen(which: Array, table: dict[str, int]) -> Faces:
        rows = np.flatnonzero(which)
        labels = np.array([table[names[row]] for row in rows], np.int64)
        return Faces(dataset.crops[rows], x[rows], labels, tuple(dataset.paths[row] for row in rows))

    return Parts(chosen(is_known, numbers), chosen(~is_known, stranger_numbers), others)


def optional_part(folder: Path, part: str, people: tuple[str, ...], identifier: Any) -> Faces | None:
    """The known faces of a part; None where the dataset was never split, or has nothing in that part."""
    if not (folder / SPLIT).is_file() or not read_split(folder)[part]:
        return None
    faces = read_part(folder, part, people, identifier).known
    return faces if len(faces.labels) else None


def passed_over(folder: Path, people: tuple[str, ...]) -> list[str]:
    """A note if a dataset has crops of ``people`` that are in no part of its split."""
    known = frozenset(people)
    new = sum(path.split("/")[0] in known for path in unlisted(folder))
    crops, fix = counted(new, "crop is", "crops are"), "minicnn dataset split, and train again; or --part all"
    return [f"{crops} in no part of the split (added after it?), so not asked about: {fix}."] if new else []
