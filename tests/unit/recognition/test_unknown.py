"""The threshold for "unknown": by hand, as a promise about new strangers, and as a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.orl import load_orl
from minicnn.errors import LoadError, OptionError, ShapeError
from minicnn.recognition.calibration import HeldOut, ask_about, calibrate_run
from minicnn.recognition.identify import Gallery, decide, person_distances
from minicnn.recognition.unknown import (
    FILE,
    Threshold,
    calibrate,
    interval,
    interval_by_people,
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


def test_what_comes_along_by_hand() -> None:
    found = calibrate(NINETEEN, "distance", 0.05, known=np.array([0.01, 0.5]), people=np.arange(19) % 3)  # k = 1
    assert found.value == pytest.approx(0.05)
    assert (found.measured["accepted"], found.measured["strangers"], found.measured["people"]) == (1, 19, 3)
    assert (found.measured["known_accepted"], found.measured["known"]) == (1, 2)
    assert found.measured["interval"] == interval_by_people(np.arange(19) < 1, np.arange(19) % 3)


def test_too_few_strangers_promise_nothing() -> None:
    found = calibrate(NINETEEN[:18], "distance", 0.05)
    assert not found.measured["reachable"]
    assert found.measured["accepted"] == 0
    assert found.measured["expected"] == pytest.approx(1 / 19)
    assert calibrate(NINETEEN, "distance", 0.05).measured["reachable"]


def test_equal_values_are_not_let_in_together() -> None:
    found = calibrate(np.ones(100), "distance", 0.1)
    assert found.measured["accepted"] == 0


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=80), st.floats(0.01, 0.9), st.sampled_from(["distance", "pair"])
)
def test_never_more_than_the_rate(values: list[int], rate: float, kind: str) -> None:
    scores = np.array(values, float)
    found = calibrate(scores, kind, rate)
    assert found.measured["accepted"] == found.accepts(scores).sum() <= rate * (len(scores) + 1) + 1e-6


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


def test_independent_faces_have_the_interval_of_faces() -> None:
    """A person with one face each: nothing to be alike, so the two intervals are one."""
    hit = np.arange(40) < 6
    assert interval_by_people(hit, np.arange(40)) == pytest.approx(interval(6, 40), abs=0.005)


def test_faces_of_one_person_count_as_one() -> None:
    people = np.arange(30).repeat(10)
    low, high = interval_by_people(people < 3, people)  # all faces of three people, none of the others
    assert low < interval(3, 30)[0] < interval(3, 30)[1] < high  # nearly: how alike they are is seen on 30 people only
    assert interval(2.6, 26)[0] < low < high < interval(2.6, 26)[1]
    assert high - low > 2.5 * np.subtract(*interval(30, 300)[::-1])
    assert interval_by_people(np.zeros(300, bool), people) == interval(0, 30)
    assert interval_by_people(np.ones(300, bool), people) == interval(30, 30)
    assert interval_by_people(np.arange(10) < 5, np.zeros(10, int)) == interval(0.5, 1)  # one person alone


def test_the_interval_by_people_holds_as_often_as_it_says(rng: np.random.Generator) -> None:
    """30 people of 8 faces each, every person with a rate of their own, their mean 0.1."""
    people, inside = np.arange(30).repeat(8), 0
    for _ in range(400):
        hit = rng.random(240) < rng.beta(0.2, 1.8, size=30)[people]
        low, high = interval_by_people(hit, people)
        inside += low <= 0.1 <= high
    assert inside >= 0.93 * 400  # 0.95 but for the chance of 400 draws; the interval of 240 faces holds in about 0.8


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
    """Ten people known, fifteen to calibrate on, fifteen who never had any part in it.

    Faces of one person are alike, so what decides is how many *people* there are: the rate is averaged over ten random
    choices of them, and may be off by what so many people leave uncertain.
    """
    embeddings, persons = projected()
    shot, rates, recalls = np.arange(400) % 10, [], []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(40)
        number = np.full(40, -1)
        number[order[:10]] = np.arange(10)
        labels, first, second = number[persons], np.isin(persons, order[10:25]), np.isin(persons, order[25:])
        learned, held = (labels >= 0) & (shot < 5), (labels >= 0) & (shot >= 5)
        gallery, known = Gallery(embeddings[learned], labels[learned]), HeldOut(embeddings[held], labels[held])
        strangers = ask_about(HeldOut(embeddings[first], persons[first]), gallery, 10, known)
        found = calibrate_run(gallery, 10, known, strangers, rate)
        assert set(found) == {"distance", "pair"}
        assert (found["distance"].measured["people"], found["distance"].measured["strangers"]) == (15, 150)
        assert found["distance"].measured["accepted"] <= rate * 151
        new = decide(person_distances(embeddings[second], gallery, 10), threshold=found["distance"])
        rates.append(float((new.index >= 0).mean()))
        own = decide(person_distances(known.embeddings, gallery, 10), threshold=found["distance"])
        recalls.append(float((own.index >= 0).mean()))
    assert abs(np.mean(rates) - rate) < 0.4 * rate + 0.01
    assert np.mean(recalls) > 3 * np.mean(rates)  # and people it knows still get in


def test_without_strangers_only_pairs_are_calibrated(rng: np.random.Generator) -> None:
    labels = np.arange(60) % 3
    faces = HeldOut(np.eye(3)[labels] + 0.1 * rng.normal(size=(60, 3)), labels)
    found = calibrate_run(Gallery(np.eye(3), np.arange(3)), 3, faces, rate=0.1)
    assert set(found) == {"pair"}
    assert (found["pair"].measured["people"], found["pair"].measured["strangers"]) == (3, 3 * 20 * 20)
    alone = HeldOut(faces.embeddings[labels == 0], labels[labels == 0])
    assert calibrate_run(Gallery(np.eye(3), np.arange(3)), 3, alone) == {}


# -- files -----------------------------------------------------------------------------------------------------------


def test_thresholds_survive_their_file(tmp_path: Path) -> None:
    people = np.arange(19) % 4
    thresholds = {kind: calibrate(NINETEEN, kind, 0.1, known=NINETEEN, people=people) for kind in ("distance", "pair")}
    assert load_thresholds(tmp_path) == {}
    save_thresholds(tmp_path, thresholds)
    found = load_thresholds(tmp_path)
    assert {kind: t.value for kind, t in found.items()} == {kind: t.value for kind, t in thresholds.items()}
    assert found["pair"].measured["interval"] == list(thresholds["pair"].measured["interval"])
    with pytest.raises(OptionError, match="kind 'pair'"):
        save_thresholds(tmp_path, {"pair": thresholds["distance"]})


def test_whom_it_was_calibrated_on_survives_too(tmp_path: Path) -> None:
    faces = tuple(f"{number:016x}" for number in range(50_000))  # more people than LFW has pictures, three times over
    threshold = replace(calibrate(NINETEEN, "distance", 0.1), faces=faces)
    save_thresholds(tmp_path, {"distance": threshold})
    assert load_thresholds(tmp_path)["distance"].faces == faces
    data = json.loads((tmp_path / FILE).read_text())
    del data["thresholds"]["distance"]["faces"]  # as older files are
    (tmp_path / FILE).write_text(json.dumps(data))
    assert load_thresholds(tmp_path)["distance"].faces == ()
    save_thresholds(tmp_path, {"distance": calibrate(NINETEEN, "distance", 0.1)})
    assert "faces" not in (tmp_path / FILE).read_text()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: "",
        lambda data: "[" * 5000,
        lambda data: json.dumps(data)[:-5],
        lambda data: json.dumps([data]),
        lambda data: json.dumps(data | {"version": 1}),
        lambda data: json.dumps(data | {"thresholds": [1]}),
        lambda data: json.dumps(data | {"thresholds": {"distance": {"value": "x", "rate": 0.1, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"distance": {"value": 1.0, "rate": 2, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"hope": {"value": 1.0, "rate": 0.1, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"pair": {"value": float("nan"), "rate": 0.1, "measured": {}}}}),
        lambda data: json.dumps(data | {"thresholds": {"distance": data["thresholds"]["distance"] | {"faces": "ab"}}}),
        lambda data: json.dumps(data | {"thresholds": {"distance": data["thresholds"]["distance"] | {"faces": [1]}}}),
        lambda data: json.dumps(data | {"thresholds": {"distance": data["thresholds"]["distance"] | {"faces": None}}}),
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
