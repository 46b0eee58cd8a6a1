"""People left out of trainings in turn: who is asked about whom, and what comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import LabelError, OptionError
from minicnn.recognition.calibration import HeldOut, ask_about, calibrate_run, joined
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


def test_a_group_that_has_all_the_validation_pictures() -> None:
    whole = numbered(7)
    assert whole.validation is not None
    only = whole.validation.labels == 2
    one = Data(whole.train, Samples(whole.validation.x[only], whole.validation.labels[only]), whole.people)
    with pytest.raises(OptionError, match=r"whoever is left out\. Received: none without .*c.*--validation 1"):
        folds(one, 3, seed=0)  # said at once, not when the first network is trained
    two = whole.validation.labels < 2
    both = Data(whole.train, Samples(whole.validation.x[two], whole.validation.labels[two]), whole.people)
    for fold in folds(both, 7, seed=0):
        assert fold.data.validation is not None
        assert len(fold.data.validation.labels) >= 1


def test_people_without_a_training_picture() -> None:
    whole = numbered(7)
    some = whole.train.labels != 4
    with pytest.raises(LabelError, match="none of e"):
        folds(Data(Samples(whole.train.x[some], whole.train.labels[some]), whole.validation, whole.people), 3, seed=0)


def blobs(rng: np.random.Generator, size: float = 1.0) -> tuple[Gallery, HeldOut]:
    """Three known people at the corners of a triangle, and four held-out faces of each around them."""
    labels = np.arange(12) % 3
    faces = np.eye(3)[labels] + 0.1 * rng.normal(size=(12, 3))
    return Gallery(size * np.eye(3), np.arange(3)), HeldOut(size * faces, labels)


def test_networks_with_distances_of_another_size_say_the_same(rng: np.random.Generator) -> None:
    strangers, who = rng.normal(size=(30, 3)), np.arange(30) % 2
    said = []
    for size in (1.0, 2.0):
        gallery, held_out = blobs(np.random.default_rng(1), size)
        said.append(ask_about(HeldOut(size * strangers, who), gallery, 3, held_out))
    np.testing.assert_allclose(said[1].distance, said[0].distance)
    np.testing.assert_allclose(said[1].pairs, said[0].pairs)
    assert said[0].pairs.shape == (15 * 15,)


def test_thresholds_come_from_what_all_networks_said(rng: np.random.Generator) -> None:
    parts = []
    for first in (0, 2, 4):  # three networks, each asked about two people
        gallery, held_out = blobs(rng)
        asked = HeldOut(rng.normal(size=(30, 3)), first + np.arange(30) % 2)
        parts.append(ask_about(asked, gallery, 3, held_out, "left out"))
    whole = joined(parts)
    gallery, held_out = blobs(rng, 2.0)  # the run's own network has larger distances
    unit = np.median(np.linalg.norm(held_out.embeddings[:, None] - gallery.embeddings, axis=2).min(axis=1))
    found = calibrate_run(gallery, 3, held_out, whole, rate=0.1)
    for kind, said, count in (("distance", whole.distance, 90), ("pair", whole.pairs, 3 * 225)):
        measured = found[kind].measured
        assert (measured["source"], measured["people"], measured["strangers"]) == ("left out", 6, count)
        assert found[kind].value == pytest.approx(unit * np.sort(said)[(count + 1) // 10 - 1])
        assert measured["accepted"] == (count + 1) // 10
