"""The threshold for "unknown": by hand, as a promise about new strangers, and as a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.orl import load_orl
from minicnn.errors import LoadError, OptionError, ShapeError
from minicnn.recognition.calibration import HeldOut, calibrate_run, confidences
from minicnn.recognition.identify import Gallery, decide_by_distance, decide_by_probability, person_distances
from minicnn.recognition.unknown import (
    FILE,
    Threshold,
    calibrate,
    interval,
    left_out_distances,
    left_out_probabilities,
    load_thresholds,
    save_thresholds,
)

NINETEEN = np.arange(1, 20) / 20


def test_distances_by_hand() -> None:
    found = calibrate(NINETEEN, "distance", 0.1)  # k = floor(0.1 * 20) = 2: the second smallest
    assert found.value == pytest.approx(0.1)
    assert found.measured["accepted"] == 2
    assert found.measured["expected"] == pytest.approx(2 / 20)
    assert found.accepts(np.array([0.1, 0.1001, np.nan])).tolist() == [True, False, False]


def test_probabilities_by_hand() -> None:
    found = calibrate(NINETEEN, "probability", 0.05, known=np.array([0.99, 0.5]), people=3)  # k = 1: the largest
    assert found.value == pytest.approx(0.95)
    assert (found.measured["accepted"], found.measured["strangers"], found.measured["people"]) == (1, 19, 3)
    assert (found.measured["known_accepted"], found.measured["known"]) == (1, 2)
    assert found.accepts(np.array([0.95, 0.9499, np.nan])).tolist() == [True, False, False]


def test_too_few_strangers_promise_nothing() -> None:
    found = calibrate(NINETEEN[:18], "distance", 0.05)
    assert not found.measured["reachable"]
    assert found.measured["accepted"] == 0
    assert found.measured["expected"] == pytest.approx(1 / 19)
    assert calibrate(NINETEEN, "distance", 0.05).measured["reachable"]


@pytest.mark.parametrize("kind", ["distance", "probability"])
def test_equal_values_are_not_let_in_together(kind: str) -> None:
    found = calibrate(np.ones(100), kind, 0.1)
    assert found.measured["accepted"] == 0


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=80), st.floats(0.01, 0.9), st.sampled_from(["distance", "pair"])
)
def test_never_more_than_the_rate(values: list[int], rate: float, kind: str) -> None:
    scores = np.array(values, float)
    found = calibrate(scores, kind, rate)
    assert found.measured["accepted"] == found.accepts(scores).sum() <= rate * (len(scores) + 1) + 1e-6
    mirrored = calibrate(-scores, "probability", rate)
    assert mirrored.value == -found.value


def test_new_strangers_pass_at_the_rate(rng: np.random.Generator) -> None:
    """The promise itself: the mean over many calibrations of what new strangers do is k / (n + 1)."""
    passed = []
    for _ in range(400):
        found = calibrate(rng.gamma(3.0, size=50), "distance", 0.1)
        passed.append(found.accepts(rng.gamma(3.0, size=200)).mean())
    error = np.std(passed, ddof=1) / np.sqrt(len(passed))
    assert abs(np.mean(passed) - 5 / 51) < 4 * error


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = interval(0, 20)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20))  # no hit in 20 has probability 0.025 there
    low, high = interval(5, 50)
    assert (low, high) == pytest.approx((0.0333, 0.2181), abs=1e-4)  # from the literature's tables


def test_left_out_by_hand() -> None:
    nearest = np.array([[0.1, 0.5, 0.4], [0.6, 0.2, 0.9]])
    strangers, known = left_out_distances(nearest, np.array([0, 1]))
    assert strangers.tolist() == [0.4, 0.6]
    assert known.tolist() == [0.1, 0.2]
    logits = np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    strangers, known = left_out_probabilities(logits, np.array([0, 1]))
    assert strangers == pytest.approx([0.6, 0.5])
    assert known == pytest.approx([0.5, 0.8])
    with pytest.raises(ShapeError, match="two people"):
        left_out_probabilities(np.zeros((3, 1)), np.zeros(3, int))


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan"), "0.1", True])
def test_rates_that_are_none(rate: object) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        calibrate(NINETEEN, "distance", rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("scores", [np.zeros(0), np.array([np.inf]), np.zeros((2, 2))])
def test_scores_that_are_none(scores: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="at least one"):
        calibrate(scores, "distance")


# -- real strangers --------------------------------------------------------------------------------------------------


def projected(dimensions: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """ORL faces through a fixed random projection: an embedding that was trained on nobody. (400, D), (400,)."""
    orl = load_orl()
    x = orl.images[:, ::2, ::2].reshape(400, -1).astype(np.float64)
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    found = x @ np.random.default_rng(7).normal(size=(x.shape[1], dimensions))
    return found / np.linalg.norm(found, axis=1, keepdims=True), orl.persons


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_strangers_are_called_unknown_at_the_calibrated_rate(rate: float) -> None:
    """Everybody known is left out in turn to calibrate; then come people who never had any part in it.

    Faces of one person are alike, so what decides is how many *people* there are: the rate is averaged over five
    random choices of 20 strangers, and may be off by what 20 people leave uncertain.
    """
    embeddings, persons = projected()
    rates, recalls = [], []
    for seed in range(5):
        known = np.random.default_rng(seed).permutation(40)[:20]
        number = np.full(40, -1)
        number[known] = np.arange(20)
        labels = number[persons]
        shot = np.arange(400) % 10
        gallery = Gallery(embeddings[(labels >= 0) & (shot < 5)], labels[(labels >= 0) & (shot < 5)])
        held = (labels >= 0) & (shot >= 5)
        threshold = calibrate_run(gallery, 20, HeldOut(embeddings[held], labels[held]), rate=rate)["distance"]
        assert threshold.measured["accepted"] <= rate * 101
        strangers = decide_by_distance(embeddings[labels < 0], gallery, 20, threshold)
        rates.append(float((strangers.index >= 0).mean()))
        recalls.append(float((decide_by_distance(embeddings[held], gallery, 20, threshold).index >= 0).mean()))
    assert abs(np.mean(rates) - rate) < 0.6 * rate + 0.02
    assert np.mean(recalls) > 3 * np.mean(rates)  # and people it knows still get in


def test_calibration_on_strangers_themselves() -> None:
    embeddings, persons = projected()
    shot = np.arange(400) % 10
    known, first, second = persons < 20, (persons >= 20) & (persons % 2 == 0), (persons >= 20) & (persons % 2 == 1)
    gallery = Gallery(embeddings[known & (shot < 5)], persons[known & (shot < 5)])
    held = HeldOut(embeddings[known & (shot >= 5)], persons[known & (shot >= 5)])
    strangers = confidences(gallery, 20, HeldOut(embeddings[first], persons[first]))
    found = calibrate_run(gallery, 20, held, strangers, rate=0.1)
    assert found["distance"].measured["people"] == 10
    assert found["distance"].measured["strangers"] == 100
    accepted = found["distance"].accepts(person_distances(embeddings[second], gallery, 20).min(axis=1))
    assert accepted.mean() < 0.3
    assert set(found) == {"distance", "pair"}
    with pytest.raises(OptionError, match="two people"):
        calibrate_run(gallery, 20, HeldOut(held.embeddings[:3], np.zeros(3, int)))


def test_softmax_runs_get_a_probability_too(rng: np.random.Generator) -> None:
    labels = np.arange(60) % 3
    logits = rng.normal(size=(60, 3)) + 4 * np.eye(3)[labels]
    embeddings = np.eye(3)[labels] + 0.1 * rng.normal(size=(60, 3))
    found = calibrate_run(Gallery(np.eye(3), np.arange(3)), 3, HeldOut(embeddings, labels, logits), rate=0.1)
    assert set(found) == {"distance", "probability", "pair"}
    answers = decide_by_probability(logits, found["probability"])
    assert ((answers.index == -1) == (answers.confidence < found["probability"].value)).all()


# -- files -----------------------------------------------------------------------------------------------------------


def test_thresholds_survive_their_file(tmp_path: Path) -> None:
    kinds = ("distance", "probability", "pair")
    thresholds = {kind: calibrate(NINETEEN, kind, 0.1, known=NINETEEN, people=4) for kind in kinds}
    assert load_thresholds(tmp_path) == {}
    save_thresholds(tmp_path, thresholds)
    found = load_thresholds(tmp_path)
    assert {kind: t.value for kind, t in found.items()} == {kind: t.value for kind, t in thresholds.items()}
    assert found["pair"].measured["interval"] == list(thresholds["pair"].measured["interval"])
    with pytest.raises(OptionError, match="kind 'pair'"):
        save_thresholds(tmp_path, {"pair": thresholds["distance"]})


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: "",
        lambda data: "[" * 5000,
        lambda data: json.dumps(data)[:-5],
        lambda data: json.dumps([data]),
        lambda data: json.dumps(data | {"version": 2}),
        lambda data: json.dumps(data | {"thresholds": [1]}),
        lambda data: json.dumps(data | {"thresholds": {"distance": {"value": "x", "rate": 0.1, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"distance": {"value": 1.0, "rate": 2, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"hope": {"value": 1.0, "rate": 0.1, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"pair": {"value": float("nan"), "rate": 0.1, "measured": {}}}}),
    ],
)
def test_a_damaged_file_is_one_clear_error(damage: object, tmp_path: Path) -> None:
    save_thresholds(tmp_path, {"distance": calibrate(NINETEEN, "distance", 0.1)})
    data = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(damage(data))  # type: ignore[operator]
    with pytest.raises(LoadError, match=r"threshold\.json"):
        load_thresholds(tmp_path)


def test_a_threshold_says_what_it_is_about() -> None:
    with pytest.raises(OptionError, match="kind"):
        Threshold(0.5, "hope", 0.1)
    with pytest.raises(OptionError, match="finite"):
        Threshold(float("inf"), "distance", 0.1)
