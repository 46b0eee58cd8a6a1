"""Counting right and wrong answers, by hand; and the baseline, on faces."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from detection.crop import as_input, standardise
from detection.orl import load_orl
from minicnn.errors import LabelError, MissingDependencyError, ShapeError
from minicnn.recognition.baseline import eigenfaces_svm
from minicnn.recognition.evaluation import classification, mistakes, top_k, unknown_rates
from minicnn.recognition.identify import Gallery
from minicnn.recognition.unknown import Threshold

PEOPLE = ("Ann", "Bob", "Cleo")
LABELS = np.array([0, 0, 0, 1, 1])
SCORES = np.array([[3.0, 1, 0], [2, 0, 1], [0, 4, 1], [0, 2, 1], [0.5, 0, 1]])  # named 0, 0, 1, 1, 2


def test_counts_by_hand() -> None:
    found = classification(SCORES, LABELS, PEOPLE)
    assert (found["right"], found["faces"], found["accuracy"]) == (3, 5, 0.6)
    assert found["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    ann, bob = found["per_person"]  # nobody is Cleo, so she has no row
    assert (ann["person"], ann["faces"], ann["precision"]) == ("Ann", 3, 1.0)
    assert ann["recall"] == pytest.approx(2 / 3)
    assert ann["f1"] == pytest.approx(0.8)
    assert (bob["precision"], bob["recall"], bob["f1"]) == (0.5, 0.5, 0.5)
    assert found["macro_f1"] == pytest.approx(0.65)
    assert found["top5"] is None  # of three people, five are always right
    low, high = found["interval"]
    assert low < 0.6 < high


def test_the_best_five_of_six() -> None:
    scores = np.tile(np.arange(6.0), (6, 1))
    assert classification(scores, np.arange(6), tuple("abcdef"))["top5"] == pytest.approx(5 / 6)
    assert top_k(scores, np.arange(6), k=1) == pytest.approx(1 / 6)


def test_people_infinitely_far_away_are_last() -> None:
    scores = np.array([[-0.5, -np.inf, -0.2], [-0.3, -np.inf, -0.9]])
    assert top_k(scores, np.array([0, 1]), k=2) == 0.5


def test_mistakes_come_with_the_nearest_faces() -> None:
    embeddings = np.array([[1.0, 0], [0.8, 0.6], [0.6, 0.8], [0, 1.0], [-1.0, 0]])
    gallery = Gallery(np.array([[0.0, 1.0], [0.8, 0.6], [-0.8, 0.6], [0.6, 0.8]]), np.array([1, 0, 2, 1]))
    first, second = mistakes(SCORES, LABELS, embeddings, gallery, neighbours=2)
    assert (first["face"], first["label"], first["predicted"], first["margin"]) == (2, 0, 1, 4.0)
    assert first["nearest"] == [3, 1]
    assert first["distances"] == pytest.approx([0, np.sqrt(0.08)])
    assert (second["face"], second["nearest"][0]) == (4, 2)
    assert mistakes(SCORES[:2], LABELS[:2], embeddings[:2], gallery) == []


def test_what_a_threshold_does_by_hand() -> None:
    threshold = Threshold(0.5, "distance", 0.1, {"accepted": 1})
    known, right = np.array([0.1, 0.2, 0.3, 0.9]), np.array([True, True, False, True])
    found = unknown_rates(threshold, known, right, np.array([0.4, 0.6, 0.7, 0.8]), np.array([0, 0, 1, 1]))
    assert (found["named_rightly"], found["named_wrongly"], found["called_unknown"]) == (2, 1, 1)
    assert (found["strangers_named"], found["false_accept_rate"]) == (1, 0.25)
    assert "strangers" not in unknown_rates(threshold, known, right, None, np.zeros(0, int))


def test_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="scores"):
        classification(SCORES[:, :2], LABELS, PEOPLE)
    with pytest.raises(ShapeError, match="diverged"):
        classification(SCORES * np.nan, LABELS, PEOPLE)
    with pytest.raises(LabelError, match="from 0 to 2"):
        classification(SCORES, LABELS + 2, PEOPLE)


def test_scikit_learn_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingDependencyError, match=r"minicnn\[recognise\]"):
        classification(SCORES, LABELS, PEOPLE)
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(MissingDependencyError, match="baseline"):
        eigenfaces_svm(np.zeros((2, 2, 2, 1)), np.arange(2), np.zeros((1, 2, 2, 1)))


# -- the baseline ----------------------------------------------------------------------------------------------------


def orl(people: int, shots: slice) -> tuple[np.ndarray, np.ndarray]:
    faces = load_orl()
    rows = np.arange(400).reshape(40, 10)[:people, shots].ravel()
    return standardise(as_input(faces.images[rows][:, ::2, ::2])), faces.persons[rows]


def test_eigenfaces_know_most_faces() -> None:
    x, y = orl(15, slice(0, 5))
    x_test, y_test = orl(15, slice(5, 10))
    found = eigenfaces_svm(x, y, x_test)
    assert (found.predicted == y_test).mean() > 0.85
    assert np.array_equal(found.predicted, eigenfaces_svm(x, y, x_test).predicted)
    shuffled = eigenfaces_svm(x, np.random.default_rng(0).permutation(y), x_test)
    assert (shuffled.predicted == y_test).mean() < 0.3  # wrong names teach nothing


@pytest.mark.parametrize("shots", [1, 2])
def test_eigenfaces_from_very_few_faces(shots: int) -> None:
    x, y = orl(3, slice(0, shots))
    x_test, y_test = orl(3, slice(5, 10))
    assert (eigenfaces_svm(x, y, x_test).predicted == y_test).mean() > 0.5


def test_a_baseline_needs_two_people() -> None:
    x, y = orl(1, slice(0, 4))
    with pytest.raises(LabelError, match="two people"):
        eigenfaces_svm(x, y, x)
    with pytest.raises(ShapeError, match="one size"):
        eigenfaces_svm(x, y, x[:, :10])
