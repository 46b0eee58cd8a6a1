"""Which crops are for training, which for validation and which for the test: ``split.json``.

Each person is divided on their own (stratified), by chance from a seed. Near-duplicates stay on one side: a test with a
picture that training has seen, only saved anew, measures memory. So not crops are dealt out but groups of
near-duplicates, whole; when a group does not fit into what is left for the test, the next one is tried, and what fits
nowhere is for training. A group across two people (one photograph, cut out for both) goes where the person whose name
comes first puts it.

Everybody's draw depends on the seed, on their own name and pictures: adding a person leaves the others where they were.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.dataset.hashes import DISTANCE
from detection.dataset.load import PARTS, SPLIT
from detection.dataset.similar import Similar, find_similar
from minicnn.errors import LabelError, OptionError, explain
from minicnn.io.atomic import write_text

TRAIN, VALIDATION, TEST = range(3)


@dataclass(frozen=True)
class Split:
    """``train``, ``validation`` and ``test``: paths of crops, sorted. ``notes``: what could not be done as asked."""

    seed: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    notes: tuple[str, ...] = ()


def split_dataset(
    folder: str | os.PathLike[str],
    *,
    validation: float = 0.15,
    test: float = 0.25,
    seed: int = 0,
    distance: int = DISTANCE,
    min_images: int = 1,
) -> Split:
    """Divide the crops of a dataset folder and write ``split.json``; what was there before is replaced.

    ``validation`` and ``test``: below 1 a share of each person's crops, from 1 on a number of them. ``distance``: how
    many of 256 bits near-duplicates may differ in. People with fewer than ``min_images`` crops are left out. Raises
    OptionError for values that make no sense, LabelError when a person has too few crops for the numbers asked for.
    """
    _check(validation, test, seed, min_images)
    split = divide(find_similar(folder, distance), validation, test, seed, min_images)
    data = {"seed": seed} | {part: list(getattr(split, part)) for part in PARTS}
    asked = {"validation": validation, "test": test, "distance": distance, "min_images": min_images}
    write_text(Path(folder) / SPLIT, json.dumps(data | {"asked": asked}, ensure_ascii=False, indent=1) + "\n")
    return split


def divide(similar: Similar, validation: float, test: float, seed: int, min_images: int = 1) -> Split:
    """The split of ``split_dataset``, from what is similar to what; nothing is read or written."""
    people = np.array(similar.people)
    parts = np.full(len(people), -1)
    left_out = np.zeros(len(people), bool)
    notes = []
    for person in sorted(set(similar.people)):
        own = np.flatnonzero(people == person)
        if len(own) < min_images:
            left_out[own] = True
            notes.append(f"{person}: left out, {len(own)} of at least {min_images} crops")
            continue
        wanted = _wanted(person, len(own), validation, test)
        _deal(own, wanted, similar, parts, np.random.default_rng([seed, *person.encode("utf-8", "surrogateescape")]))
        got = [int(np.sum(parts[own] == part)) for part in range(3)]
        short = [f"{got[p]} instead of {wanted[p]} for {PARTS[p]}" for p in (VALIDATION, TEST) if got[p] != wanted[p]]
        if short:
            notes.append(f"{person}: {', '.join(short)}, because near-duplicates stay together")
        if not got[TRAIN]:
            notes.append(f"{person}: nothing to train with")
        elif not wanted[TEST] and test:
            notes.append(f"{person}: too few crops ({len(own)}) to keep one for the test")
    chosen = [tuple(similar.paths[i] for i in np.flatnonzero(~left_out & (parts == part))) for part in range(3)]
    if not chosen[TRAIN]:
        expected = f"a person with {min_images} crops or more"
        raise LabelError(
            explain(expected, f"at most {max(np.unique(people, return_counts=True)[1])}", "Ask for fewer.")
        )
    return Split(seed, *chosen, tuple(notes))


def _wanted(person: str, count: int, validation: float, test: float) -> tuple[int, int, int]:
    """How many crops of a person each part should get; at least one is left to train with."""
    held = [round(share * count) if share < 1 else int(share) for share in (validation, test)]
    if test >= 1 or validation >= 1:
        if sum(held) >= count:
            expected = f"more than {sum(held)} crops of '{person}' ({held[0]} for validation, {held[1]} for test)"
            fix = "Ask for fewer, or leave people out with min_images."
            raise LabelError(explain(expected, count, fix))
    elif test and not held[1] and count > 1:
        held[1] = 1  # a person who is not in the test cannot be got wrong
    held[0] = min(held[0], count - 1 - held[1])
    if held[0] < 0:
        held = [0, min(held[1], count - 1)]
    return count - sum(held), held[0], held[1]


def _deal(
    own: np.ndarray, wanted: tuple[int, int, int], similar: Similar, parts: np.ndarray, rng: np.random.Generator
) -> None:
    """Give each of a person's groups to a part, in ``parts``; one shared with an earlier person has its own already."""
    left = np.array(wanted) - [int(np.sum(parts[own] == part)) for part in range(3)]
    groups = similar.near[own]
    for number in rng.permutation(np.unique(groups[parts[own] < 0])):
        members = own[groups == number]
        part = next((part for part in (TEST, VALIDATION) if len(members) <= left[part]), TRAIN)
        left[part] -= len(members)
        parts[similar.near == number] = part  # everybody's


def _check(validation: float, test: float, seed: int, min_images: int) -> None:
    for name, share in (("validation", validation), ("test", test)):
        is_number = isinstance(share, (int, float)) and not isinstance(share, bool) and math.isfinite(share)
        if not is_number or share < 0 or (share >= 1 and share != int(share)):
            fix = "0.2 is a fifth of everybody's crops, 2 are two of everybody's."
            raise OptionError(explain(f"{name} as a share below 1 or a whole number", repr(share), fix))
    if validation < 1 and test < 1 and validation + test >= 1:
        raise OptionError(explain("shares that leave something to train with", f"{validation:g} + {test:g}"))
    for name, value, least in (("seed", seed, 0), ("min_images", min_images, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise OptionError(explain(f"{name} as an integer >= {least}", repr(value)))
