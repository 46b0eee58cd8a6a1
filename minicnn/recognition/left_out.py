"""Strangers where there are none: people who are left out of a training, a few at a time.

A threshold for "unknown" needs faces of people whom the network has never seen (``unknown``), and a training set has
none. But to a network that was trained on everybody *else*, each of its people is a stranger. So the people are dealt
into groups; for each group a network is trained like the run's own, without that group, and asked how sure it is of
their faces. They had no part in its weights, nor in the choice of its epoch.

These networks are not the run's own: they know fewer people, of G groups (G - 1) / G of them, and each has distances of
its own size, whose unit is therefore taken from people it knows (``calibration``). ``benchmarks/RECOGNITION.md`` has a
measurement with real strangers, for several G.

Cost: G trainings more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.recognition.recipe import Samples
from minicnn.recognition.train import Data
from minicnn.shapes import Array, whole

SOURCE = "people left out of trainings like this one"


@dataclass(frozen=True, eq=False)
class Fold:
    """A training without some people. ``strangers``: all their faces, labelled as in the whole training."""

    data: Data
    strangers: Samples
    left_out: tuple[str, ...]


def folds(data: Data, groups: int, seed: int) -> Iterator[Fold]:
    """Everybody is left out once, in one of ``groups`` groups that a draw from ``seed`` makes equally large.

    With more groups than people there is one for each person. All that can be wrong is said here, before anything is
    trained. Raises OptionError when a training would be left with fewer than two people, or without a validation
    picture: the unit of its distances comes from these. LabelError for somebody without a training picture.
    """
    data.check()
    count = len(data.people)
    groups = min(whole(groups, "left_out", least=2), count)
    if data.validation is None:
        fix = "Split the dataset: minicnn dataset split."
        raise OptionError(explain("validation pictures, where people are left out", "none", fix))
    largest = -(-count // groups)
    if count - largest < 2:
        fix = "Add people, or calibrate on a folder of strangers: minicnn evaluate RUN DATASET --strangers --calibrate."
        raise OptionError(explain(f"at least {largest + 2} people, to leave out {largest}", f"{count}", fix))
    order = np.random.default_rng(seed).permutation(count)
    dealt = [np.sort(order[first::groups]) for first in range(groups)]
    for group in dealt:
        if np.isin(data.validation.labels, group).all():
            expected = "validation pictures of people who stay, whoever is left out"
            names = ", ".join(data.people[k] for k in group)
            fix = "Begin anew, without --left-out or with one of everybody: minicnn dataset split --validation 1."
            raise OptionError(explain(expected, f"none without {names}", fix))
    return (_fold(data, group) for group in dealt)


def _fold(data: Data, group: Array) -> Fold:
    stay = np.setdiff1d(np.arange(len(data.people)), group)
    parts = [data.train, *([data.validation] if data.validation is not None else [])]
    kept = [Samples(part.x[rows], np.searchsorted(stay, part.labels[rows])) for part, rows in _rows(parts, stay)]
    asked = [Samples(part.x[rows], part.labels[rows]) for part, rows in _rows(parts, group)]
    strangers = Samples(*(np.concatenate(arrays) for arrays in zip(*asked, strict=True)))
    people = tuple(data.people[k] for k in stay)
    names = tuple(data.people[k] for k in group)
    return Fold(Data(kept[0], kept[1] if len(kept) > 1 else None, people), strangers, names)


def _rows(parts: list[Samples], people: Array) -> list[tuple[Samples, Array]]:
    return [(part, np.flatnonzero(np.isin(part.labels, people))) for part in parts]
