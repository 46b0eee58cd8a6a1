"""The faces that ``minicnn evaluate`` asks about: parts of a dataset, with people numbered as the run numbers them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.crop import as_input, standardise
from detection.dataset.load import SPLIT, load_dataset, read_split
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
