"""Pairs: every number against one computed by hand, and properties that hold for all distances."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import LabelError, MissingDependencyError, OptionError, ShapeError
from minicnn.recognition.verification import (
    Pairs,
    all_pairs,
    best_threshold,
    equal_error_rate,
    folds,
    roc,
    val_at_far,
    verify_pairs,
)


def pairs(*distances_and_same: tuple[float, bool]) -> Pairs:
    distances, same = zip(*distances_and_same, strict=True)
    return Pairs(np.array(distances, float), np.array(same, bool))


BY_HAND = pairs(
    (0.1, True), (0.2, True), (0.3, False), (0.4, True), (0.5, False), (0.6, False), (0.7, False), (0.8, True)
)

any_pairs = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 10), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: len({same for _, same in rows}) == 2)


def test_the_curve_by_hand() -> None:
    curve = roc(BY_HAND)
    assert curve.far.tolist() == [0, 0, 0, 0.25, 0.25, 0.5, 0.75, 1, 1]
    assert curve.val.tolist() == [0, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 1]
    assert np.allclose(curve.thresholds[1:], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


def test_the_equal_error_rate_by_hand() -> None:
    rate, threshold = equal_error_rate(roc(BY_HAND))  # at 0.4: FAR 1/4, one of four same pairs refused
    assert rate == pytest.approx(0.25)
    assert threshold == pytest.approx(0.4)


def test_the_equal_error_rate_between_two_points() -> None:
    # FAR 0 and VAL 1/2 at 0.1; FAR 1/3 and VAL 1/2 at 0.2; FAR 2/3 at 0.3: crossed half-way between 0.2 and 0.3
    found = pairs((0.1, True), (0.2, False), (0.3, False), (0.4, False), (0.5, True))
    rate, threshold = equal_error_rate(roc(found))
    assert rate == pytest.approx(0.5)
    assert threshold == pytest.approx(0.25)


def test_perfect_and_hopeless() -> None:
    perfect = pairs((0.1, True), (0.2, True), (0.8, False), (0.9, False))
    assert equal_error_rate(roc(perfect))[0] == 0
    assert equal_error_rate(roc(Pairs(perfect.distances, ~perfect.same)))[0] == 1


@given(any_pairs)
def test_the_equal_error_rate_is_symmetric(rows: list[tuple[float, bool]]) -> None:
    """Exchange "same" and "different", near and far: the two kinds of error change places, and meet where they met."""
    found = pairs(*rows)
    swapped = Pairs(2 - found.distances, ~found.same)
    assert equal_error_rate(roc(found))[0] == pytest.approx(equal_error_rate(roc(swapped))[0], abs=1e-9)


@given(any_pairs)
def test_the_curve_rises(rows: list[tuple[float, bool]]) -> None:
    found = pairs(*rows)
    curve = roc(found)
    assert (curve.far[0], curve.val[0], curve.far[-1], curve.val[-1]) == (0, 0, 1, 1)
    for values in (curve.far, curve.val, curve.thresholds[1:]):
        assert (np.diff(values) >= 0).all()
    for far, val, threshold in zip(curve.far[1:], curve.val[1:], curve.thresholds[1:], strict=True):
        accepted = found.distances <= threshold
        assert far == pytest.approx(accepted[~found.same].mean())
        assert val == pytest.approx(accepted[found.same].mean())


# -- VAL at FAR ------------------------------------------------------------------------------------------------------


def test_val_at_far_by_hand() -> None:
    found = val_at_far(roc(BY_HAND), BY_HAND, far=0.25)
    assert (found.value, found.different_pairs, found.problem) == (0.75, 4, None)
    assert found.threshold == pytest.approx(0.4)


def test_too_few_pairs_are_no_measurement() -> None:
    found = val_at_far(roc(BY_HAND), BY_HAND, far=1e-3)
    assert found.value is None
    assert found.threshold is None
    assert "1,000 pairs" in str(found.problem)
    assert "there are 4" in str(found.problem)


@pytest.mark.parametrize("different, measured", [(999, False), (1000, True)])
def test_a_thousand_pairs_are_enough(different: int, measured: bool) -> None:
    same = np.arange(different + 10) < 10
    distances = np.where(same, 0.2, 1.0) + np.arange(different + 10) * 1e-6
    distances[0] = 1.5  # one of ten is missed
    distances[10] = 0.1  # one different pair is the nearest of all: exactly FAR 1e-3 when there are a thousand
    found = val_at_far(roc(Pairs(distances, same)), Pairs(distances, same))
    assert found.value == (0.9 if measured else None)


def test_when_nothing_may_be_accepted() -> None:
    same = np.arange(1010) >= 1000
    found = Pairs(np.where(same, 1.0, 0.5), same)  # all different pairs nearer than any other, and all equal
    assert val_at_far(roc(found), found).value == 0
    assert val_at_far(roc(found), found).threshold is None


# -- pairs -----------------------------------------------------------------------------------------------------------


def test_all_pairs(rng: np.random.Generator) -> None:
    embeddings, labels = rng.normal(size=(7, 5)).astype(np.float32), np.array([0, 1, 0, 2, 1, 1, 0])
    found = all_pairs(embeddings, labels)
    expected = [
        (np.linalg.norm(embeddings[i].astype(float) - embeddings[j].astype(float)), labels[i] == labels[j])
        for i in range(7)
        for j in range(i + 1, 7)
    ]
    assert np.allclose(found.distances, [distance for distance, _ in expected])
    assert found.same.tolist() == [same for _, same in expected]


def test_of_many_faces_a_part_is_compared(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr("minicnn.recognition.verification.MAX_FACES", 10)
    embeddings, labels = rng.normal(size=(40, 3)), np.arange(40) % 3
    first, again, other = (all_pairs(embeddings, labels, seed=seed).distances for seed in (0, 0, 1))
    assert len(first) == 45
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_pairs_of_one_kind_alone(labels: list[int]) -> None:
    with pytest.raises(LabelError, match="at least two people"):
        all_pairs(np.eye(3), np.array(labels))


def test_what_is_no_embedding() -> None:
    with pytest.raises(ShapeError, match="diverged"):
        all_pairs(np.array([[np.nan, 1.0], [0.0, 1.0]]), np.array([0, 1]))
    with pytest.raises(ShapeError, match="bools"):
        Pairs(np.zeros(3), np.zeros(2, bool))
    with pytest.raises(LabelError, match="2 integers"):
        all_pairs(np.eye(2), np.array([0.5, 1.0]))


def test_a_summary_is_plain_data() -> None:
    found = verify_pairs(BY_HAND, far=0.25)
    assert (found["same_pairs"], found["different_pairs"]) == (4, 4)
    assert found["eer"] == pytest.approx(0.25)
    assert found["val_at_far"]["value"] == 0.75
    assert found["roc"]["far"][-1] == 1


def test_scikit_learn_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingDependencyError, match=r"scikit-learn.*minicnn\[recognise\]"):
        roc(BY_HAND)


# -- folds -----------------------------------------------------------------------------------------------------------


@given(any_pairs)
def test_no_threshold_is_better_than_the_best(rows: list[tuple[float, bool]]) -> None:
    found = pairs(*rows)

    def right(threshold: float) -> int:
        return int(((found.distances <= threshold) == found.same).sum())

    best = right(best_threshold(found.distances, found.same))
    assert best == max(right(threshold) for threshold in [-1.0, *found.distances.tolist()])


def test_the_best_threshold_lies_in_the_middle_of_its_gap() -> None:
    assert best_threshold(np.array([0.2, 0.8, 0.4, 1.0]), np.array([True, False, True, False])) == pytest.approx(0.6)


def test_folds_by_hand() -> None:
    distances = np.array([0.2, 1.0, 0.4, 0.8, 0.9, 0.3])
    same = np.array([True, False, True, False, True, False])
    found = folds(distances, same, np.array([0, 0, 1, 1, 2, 2]))
    # fold 2 has it the wrong way round: with a threshold from the others, both its pairs are judged wrongly
    assert found.accuracies[2] == 0
    assert found.thresholds[2] == pytest.approx(0.6)
    assert found.mean == pytest.approx(np.mean(found.accuracies))
    assert found.standard_error == pytest.approx(np.std(found.accuracies, ddof=1) / np.sqrt(3))


def test_a_fold_has_no_say_in_its_own_threshold(rng: np.random.Generator) -> None:
    distances, same, fold = rng.random(60), rng.random(60) < 0.5, np.arange(60) % 6
    before = folds(distances, same, fold)
    distances[fold == 3] += 5
    after = folds(distances, same, fold)
    assert after.thresholds[3] == before.thresholds[3]


def test_one_fold_is_none() -> None:
    with pytest.raises(OptionError, match="two folds"):
        folds(np.array([0.1, 0.2]), np.array([True, False]), np.array([0, 0]))
