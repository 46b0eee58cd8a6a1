"""People left out of trainings in turn: who is asked about whom, and what comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError
from minicnn.recognition.calibration import Confidences, HeldOut, calibrate_run, confidences, joined
from minicnn.recognition.identify import Gallery
from minicnn.recognition.left_out import folds
from minicnn.recognition.recipe import Samples
from minicnn.recognition.train import Data
from tests.unit.recognition.faces import data

NAMES = tuple("abcdefg")


def numbered(people: int, each: int = 3) -> Data:
    """Pictures that say whom they show: every pixel of person k's is k."""
    labels = np.arange(people).repeat(each)
    x = np.ones((len(labels), 2, 2, 1), np.float32) * labels[:, None, None, None]
    return Data(Samples(x, labels), Samples(x[::each], labels[::each]), NAMES[:people])


@pytest.mark.parametrize(("people", "groups", "sizes"), [(7, 3, {2, 3}), (7, 2, {3, 4}), (5, 9, {1})])
def test_everybody_is_a_stranger_once(people: int, groups: int, sizes: set[int]) -> None:
    found = list(folds(numbered(people), groups, seed=3))
    assert len(found) == min(groups, people)
    assert sorted(name for fold in found for name in fold.left_out) == sorted(NAMES[:people])
    assert {len(fold.left_out) for fold in found} == sizes
    for fold in found:
        known = [NAMES.index(name) for name in fold.data.people]
        assert not set(fold.data.people) & set(fold.left_out)
        for part in (fold.data.train, fold.data.validation):
            assert part is not None
            assert part.x[:, 0, 0, 0].tolist() == [known[label] for label in part.labels]  # renumbered, and right
        assert set(fold.data.train.labels) == set(range(len(known)))
        assert fold.strangers.x[:, 0, 0, 0].tolist() == fold.strangers.labels.tolist()
        assert len(fold.strangers.labels) == 4 * len(fold.left_out)  # three to train with, one to validate


def test_groups_follow_from_the_seed() -> None:
    groups = [[fold.left_out for fold in folds(numbered(7), 3, seed)] for seed in (1, 1, 2)]
    assert groups[0] == groups[1] != groups[2]


def test_what_cannot_be_left_out() -> None:
    with pytest.raises(OptionError, match="at least 4 people, to leave out 2"):
        folds(data(), 2, seed=0)
    with pytest.raises(OptionError, match="validation pictures"):
        folds(data(validation=False), 3, seed=0)
    with pytest.raises(OptionError, match="left_out"):
        folds(data(), 1, seed=0)


def test_thresholds_come_from_what_all_networks_said(rng: np.random.Generator) -> None:
    gallery = Gallery(np.eye(3), np.arange(3))
    asked = [HeldOut(rng.normal(size=(30, 3)), np.full(30, k), rng.normal(size=(30, 2))) for k in range(3)]
    parts = [confidences(Gallery(np.eye(3)[:2], np.arange(2)), 2, faces, "left out") for faces in asked]
    whole = joined(parts)
    assert whole.distance.shape == (90,)
    labels = np.arange(12) % 3
    known = HeldOut(np.eye(3)[labels], labels, 9 * np.eye(3)[labels])
    found = calibrate_run(gallery, 3, known, whole, rate=0.1)
    for kind, said in (("distance", whole.distance), ("probability", whole.probability)):
        measured = found[kind].measured
        assert (measured["source"], measured["people"], measured["strangers"]) == ("left out", 3, 90)
        assert found[kind].accepts(said).sum() == measured["accepted"] == 9  # floor(0.1 * 91)
    assert joined([Confidences(whole.distance, None, whole.labels, "left out")]).probability is None
