"""Which pictures to learn from and which to test on: the same number of each per person.

With ten pictures of each of forty people, a plain random split could leave somebody without a single training picture.
A stratified one draws from each person separately.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minicnn.errors import LabelError, OptionError, explain
from minicnn.shapes import Array


def stratified_split(labels: ArrayLike, *, train: int, test: int, seed: int) -> tuple[Array, Array]:
    """Indices of ``train`` training and ``test`` test pictures of every person: two sorted arrays without overlap.

    ``labels`` are the person ids (N,), integers >= 0. Each person's draw depends on ``seed`` and on that person alone:
    adding somebody leaves everyone else's pictures where they were. Raises LabelError when a person has fewer than
    ``train + test`` pictures, OptionError for counts below 1 or a negative seed.
    """
    ids = np.asarray(labels)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu" or ids.min() < 0:
        received = f"shape {ids.shape}, dtype {ids.dtype}"
        raise LabelError(explain("labels (N,) as integers >= 0, at least one", received, "Number the people from 0."))
    for name, count, least in (("train", train, 1), ("test", test, 1), ("seed", seed, 0)):
        if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < least:
            raise OptionError(explain(f"{name} as an integer >= {least}", repr(count)))
    chosen: tuple[list[Array], list[Array]] = ([], [])
    for person in np.unique(ids):
        pictures = np.flatnonzero(ids == person)
        if len(pictures) < train + test:
            expected = f"{train + test} pictures of person {person} ({train} to train, {test} to test)"
            raise LabelError(explain(expected, len(pictures), "Ask for fewer, or leave this person out."))
        drawn = np.random.default_rng([seed, int(person)]).permutation(pictures)
        chosen[0].append(drawn[:train])
        chosen[1].append(drawn[train : train + test])
    return np.sort(np.concatenate(chosen[0])), np.sort(np.concatenate(chosen[1]))
