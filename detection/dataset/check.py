"""What is wrong with a dataset, before anybody trains on it.

Duplicates weigh a picture twice. One photograph under two names teaches that two people are one. A near-duplicate on
both sides of the split makes the test a memory game. People with two pictures cannot be learned, and where one person
has most of the pictures, always answering their name looks good.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.dataset.hashes import DISTANCE
from detection.dataset.load import PARTS, SPLIT, crop_files, read_split
from detection.dataset.manifest import read_rejected
from detection.dataset.similar import Similar, find_similar
from minicnn.errors import LoadError, OptionError, explain
from minicnn.shapes import Array

FEW = 5  # crops: fewer leave nothing for a test beside enough to train with


@dataclass(frozen=True)
class Person:
    """Somebody in a dataset: how many crops, rejected photographs, and crops of theirs that are near-duplicates.

    ``parts``: crops in training, validation and test; None when there is no split.
    """

    name: str
    crops: int
    rejected: int
    repeated: int
    parts: tuple[int, int, int] | None


@dataclass(frozen=True)
class Group:
    """Near-duplicates: ``paths`` of crops that show the same picture. ``exact``: they come from the very same file.

    ``people``: whose they are. ``parts``: where the split has them; several are leakage.
    """

    paths: tuple[str, ...]
    people: tuple[str, ...]
    parts: tuple[str, ...]
    exact: bool


@dataclass(frozen=True)
class Check:
    """``people`` sorted by name, ``groups`` of near-duplicates; ``few``: who has fewer crops than asked for.

    ``unlisted``: crops that no part of the split names, so they are neither trained nor tested on. They came after it,
    or it leaves their people out.
    """

    people: tuple[Person, ...]
    groups: tuple[Group, ...]
    few: tuple[str, ...]
    unlisted: tuple[str, ...] = ()

    @property
    def two_names(self) -> tuple[Group, ...]:
        """The same picture in the folders of several people."""
        return tuple(group for group in self.groups if len(group.people) > 1)

    @property
    def leaks(self) -> tuple[Group, ...]:
        """The same picture in several parts of the split."""
        return tuple(group for group in self.groups if len(group.parts) > 1)

    @property
    def balance(self) -> float:
        """How many crops the person with the most has for each one of the person with the fewest; 1 is balanced."""
        counts = [person.crops for person in self.people]
        return max(counts) / min(counts)

    @property
    def problems(self) -> tuple[str, ...]:
        """What makes training or its test worthless, in words; empty for a dataset that can be used."""
        found = []
        if len(self.people) == 1:
            found.append(f"Only one person, '{self.people[0].name}': there is nobody to tell apart.")
        if self.people and max(person.crops for person in self.people) == 1:
            found.append("One crop per person: nothing is left for a test.")
        if self.two_names:
            found.append(f"{_count(len(self.two_names), 'picture')} under two names or more.")
        if self.leaks:
            found.append(f"{_count(len(self.leaks), 'picture')} in several parts of the split.")
        return tuple(found)


def check_dataset(folder: str | os.PathLike[str], *, distance: int = DISTANCE, min_images: int = FEW) -> Check:
    """Look at every crop of a dataset folder. ``distance``: how many of 256 bits near-duplicates may differ in.

    ``min_images``: people with fewer crops are listed. Raises ImageError for a folder without crops or a damaged crop,
    LoadError for a damaged manifest or split.
    """
    if not isinstance(min_images, int) or isinstance(min_images, bool) or min_images < 1:
        raise OptionError(explain("min_images as an integer >= 1", repr(min_images)))
    root = Path(folder)
    similar = find_similar(root, distance)
    part_of = _parts(root, similar.paths)
    groups = similar.groups()
    people = _people(root, similar, groups, part_of)
    return Check(
        people,
        tuple(_group(similar, members, part_of) for members in groups),
        tuple(person.name for person in people if person.crops < min_images),
        unlisted(root),
    )


def unlisted(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """``Check.unlisted`` of a folder; none where there is no split. Looks at names alone.

    Raises ImageError for a folder without crops, LoadError for a damaged split.
    """
    root = Path(folder)
    if not (root / SPLIT).is_file():
        return ()
    split = read_split(root)
    listed = {path for part in PARTS for path in split[part]}
    return tuple(path for path in crop_files(root) if path not in listed)


def _parts(root: Path, paths: Sequence[str]) -> dict[str, str] | None:
    """Path -> part of the split; None when there is no split. Raises LoadError for a split that does not fit."""
    if not (root / SPLIT).is_file():
        return None
    split = read_split(root)
    listed = [name for part in PARTS for name in split[part]]
    twice = [name for name, count in Counter(listed).items() if count > 1]
    missing = sorted(set(listed) - set(paths))
    if twice or missing:
        received = f"'{twice[0]}' twice" if twice else f"'{missing[0]}', which is not there"
        expected = "crops of this folder, each in one part"
        raise LoadError(f"'{root / SPLIT}': {explain(expected, received, 'Split the dataset again.')}")
    return {name: part for part in PARTS for name in split[part]}


def _people(
    root: Path, similar: Similar, groups: Sequence[Array], part_of: dict[str, str] | None
) -> tuple[Person, ...]:
    crops = Counter(similar.people)
    rejected = Counter(row.person for row in read_rejected(root))
    repeated = Counter(similar.people[index] for members in groups for index in members)
    placed = Counter(
        (person, part_of[path])
        for path, person in zip(similar.paths, similar.people, strict=True)
        if part_of and path in part_of
    )
    return tuple(
        Person(
            name,
            crops[name],
            rejected[name],
            repeated[name],
            None if part_of is None else (placed[name, PARTS[0]], placed[name, PARTS[1]], placed[name, PARTS[2]]),
        )
        for name in sorted(crops)
    )


def _group(similar: Similar, members: Array, part_of: dict[str, str] | None) -> Group:
    paths = tuple(similar.paths[index] for index in members)
    people = tuple(sorted({similar.people[index] for index in members}))
    parts = {part_of[path] for path in paths if path in part_of} if part_of else set()
    exact = len(np.unique(similar.same[members])) == 1
    return Group(paths, people, tuple(part for part in PARTS if part in parts), exact)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
