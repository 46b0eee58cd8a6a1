"""From scores to people: by hand, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import LabelError, OptionError, ShapeError
from minicnn.recognition.identify import (
    Answers,
    Gallery,
    agreement,
    decide,
    distances,
    person_distances,
    probabilities,
)
from minicnn.recognition.unknown import Threshold

GALLERY = Gallery(np.array([[1.0, 0], [0, 1.0], [0.8, 0.6]]), np.array([0, 2, 0]))  # nobody is person 1


def test_distances_to_people_by_hand() -> None:
    found = person_distances(np.array([[0.0, -1.0], [0.6, 0.8]]), GALLERY, 3)
    assert found[0] == pytest.approx([np.sqrt(2), np.inf, 2])
    assert found[1] == pytest.approx([np.sqrt(0.08), np.inf, np.sqrt(0.4)])


def test_the_nearest_face_decides() -> None:
    nearest = person_distances(np.array([[0.6, 0.8], [0.0, 1.0], [0.0, -1.0]]), GALLERY, 3)
    assert decide(nearest).index.tolist() == [0, 2, 0]
    found = decide(nearest, threshold=Threshold(0.5, "distance", 0.1))
    assert found.index.tolist() == [0, 2, -1]
    assert found.best.tolist() == [0, 2, 0]
    assert found.distance == pytest.approx([np.sqrt(0.08), 0, np.sqrt(2)])
    assert found.probability is None


def test_the_most_likely_decides_and_must_be_near() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.98, 0.01, 0.01]], np.float32))
    nearest = np.array([[0.4, 0.3, 0.9], [0.9, 0.4, 0.9], [0.6, 0.1, 0.9]])
    assert decide(nearest, logits).index.tolist() == [0, 1, 0]  # whoever is nearest
    found = decide(nearest, logits, Threshold(0.5, "distance", 0.1))
    assert found.index.tolist() == [0, 1, -1]  # sure, but not near
    assert found.distance.tolist() == [0.4, 0.4, 0.6]
    assert found.probability == pytest.approx([0.7, 0.4, 0.98])
    with pytest.raises(ShapeError, match="one for each distance"):
        decide(nearest[:2], logits)


def test_large_scores_neither_overflow_nor_become_certain() -> None:
    shares = probabilities(np.array([[1000.0, 980.0], [-1000.0, -2000.0]], np.float32))
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    assert shares[0, 0] < 1


def test_a_threshold_of_another_kind() -> None:
    with pytest.raises(OptionError, match=r"on the distance.*on the pair"):
        decide(np.zeros((1, 2)), threshold=Threshold(0.5, "pair", 0.1))


def test_agreement() -> None:
    first = Answers(np.array([0, -1, 2, 1]), np.zeros(4), np.zeros(4))
    second = Answers(np.array([0, -1, 2, -1]), np.zeros(4), np.zeros(4))
    assert agreement(first, second) == 0.75
    with pytest.raises(ShapeError, match="same faces"):
        agreement(first, Answers(np.zeros(3), np.zeros(3), np.zeros(3)))


def test_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="the same network"):
        distances(np.ones((1, 3)), np.ones((1, 2)))
    with pytest.raises(ShapeError, match="at least one"):
        distances(np.ones((0, 2)), np.ones((1, 2)))
    with pytest.raises(ShapeError, match="logits"):
        probabilities(np.ones(3))
    with pytest.raises(LabelError, match="from 0 to 1"):
        person_distances(np.ones((1, 2)), GALLERY, 2)
    with pytest.raises(LabelError, match="3 integers"):
        Gallery(np.ones((3, 2)), np.zeros(2, int))
