"""Thresholds of a run: for pairs also where nobody has two faces, and what stays when some are calibrated anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from minicnn.recognition.calibration import HELD_OUT_PAIRS, STRANGERS, HeldOut, ask_about, calibrate_run
from minicnn.recognition.engine import MinicnnEngine
from minicnn.recognition.identify import Gallery
from minicnn.recognition.recipe import Samples
from minicnn.recognition.run import MODEL, Run
from minicnn.recognition.train import Data, finish, train, write_weights
from minicnn.recognition.unknown import FILE, calibrate, load_thresholds, save_thresholds, update_thresholds
from tests.unit.recognition.faces import PEOPLE, data, network, recipe
from tests.unit.recognition.test_train import new_run, trainer

THREE = Gallery(np.eye(3), np.arange(3))
FAR = np.arange(1, 40) / 20


def around(rng: np.random.Generator, labels: np.ndarray) -> HeldOut:
    """Faces of known people, near those of the gallery."""
    return HeldOut(np.eye(3)[labels] + 0.1 * rng.normal(size=(len(labels), 3)), labels)


@pytest.mark.parametrize("each", [1, 4])
def test_strangers_with_one_photograph_each_are_pairs_too(each: int, rng: np.random.Generator) -> None:
    """LFW and most folders of strangers: hardly anybody has two."""
    faces, held_out = rng.normal(size=(30, 3)), around(rng, np.arange(3).repeat(each))
    asked = ask_about(HeldOut(faces, np.arange(30)), THREE, 3, held_out)
    found = calibrate_run(THREE, 3, held_out, asked, rate=0.1)
    measured = found["pair"].measured
    assert (measured["source"], measured["people"], measured["strangers"]) == (STRANGERS, 30, 30 * 29 // 2)
    assert found["pair"].value == pytest.approx(np.sort(pdist(faces))[(435 + 1) // 10 - 1])
    assert measured.get("known") == (None if each == 1 else 3 * 6)  # pairs of one person, where there are any


def test_known_people_with_one_photograph_each_are_pairs_too(rng: np.random.Generator) -> None:
    held_out = around(rng, np.arange(3))
    found = calibrate_run(THREE, 3, held_out, rate=0.3)
    assert found["pair"].measured["source"] == HELD_OUT_PAIRS
    assert found["pair"].measured["strangers"] == 3


def test_nobody_to_compare_with(rng: np.random.Generator) -> None:
    held_out = around(rng, np.zeros(1, int))
    asked = ask_about(HeldOut(rng.normal(size=(9, 3)), np.zeros(9, int)), THREE, 3, held_out)
    assert set(calibrate_run(THREE, 3, held_out, asked)) == {"distance"}  # all strangers' faces are one person's
    assert calibrate_run(THREE, 3, held_out) == {}


# -- what stays --------------------------------------------------------------------------------------------------------


def test_a_kind_that_was_not_calibrated_anew_stays(tmp_path: Path) -> None:
    old = {kind: calibrate(FAR, kind, 0.1) for kind in ("distance", "pair")}
    assert update_thresholds(tmp_path, {}) == {}
    assert not (tmp_path / FILE).exists()
    assert update_thresholds(tmp_path, old) == old
    new = {"distance": calibrate(FAR / 2, "distance", 0.2)}
    assert update_thresholds(tmp_path, new) == load_thresholds(tmp_path) == {"pair": old["pair"]} | new
    assert update_thresholds(tmp_path, {}) == {"pair": old["pair"]} | new
    (tmp_path / FILE).write_text("damaged")
    assert update_thresholds(tmp_path, new) == load_thresholds(tmp_path) == new


def only_one_held_out() -> Data:
    """With one validation face there is no pair, so a training calibrates nothing at all."""
    learned = data()
    assert learned.validation is not None
    return Data(learned.train, Samples(learned.validation.x[:1], learned.validation.labels[:1]), PEOPLE)


def finished(run: Run, learned: Data) -> set[str]:
    best = Run.open(run.folder)
    paths = [f"{PEOPLE[k]}/{i}.png" for i, k in enumerate(learned.train.labels)]
    found = finish(best, MinicnnEngine(best), learned, paths, rate=0.05)
    assert {kind: t.value for kind, t in load_thresholds(run.folder).items()} == {k: t.value for k, t in found.items()}
    return set(found)


def test_a_finished_training_that_is_resumed_keeps_what_evaluate_calibrated(tmp_path: Path) -> None:
    learned, how = data(), recipe(epochs=2)
    run = new_run(tmp_path, "softmax")
    train(run, trainer(how, learned), how, learned)
    assert finished(run, learned) == {"pair"}
    update_thresholds(tmp_path, {"distance": calibrate(FAR, "distance", 0.1)})
    train(run, trainer(how, learned), how, learned, resume=True)
    assert finished(run, learned) == {"distance", "pair"}


def test_no_threshold_of_another_network_stays(tmp_path: Path) -> None:
    learned, how = only_one_held_out(), recipe(epochs=2)
    run = new_run(tmp_path / "begun anew", "softmax")
    save_thresholds(run.folder, {"pair": calibrate(FAR, "pair", 0.1)})  # of whatever was there before
    train(run, trainer(how, learned), how, learned)
    assert finished(run, learned) == set()

    longer = recipe(epochs=40, learning_rate=0.001)  # slow: its first epochs all make it better
    run = new_run(tmp_path / "went on", "softmax")
    train(run, trainer(longer, learned), recipe(epochs=1, learning_rate=0.001), learned)
    save_thresholds(run.folder, {"pair": calibrate(FAR, "pair", 0.1)})  # evaluated after the first epoch
    before = run.path(MODEL).read_bytes()
    train(run, trainer(longer, learned), recipe(epochs=3, learning_rate=0.001), learned, resume=True)
    assert run.path(MODEL).read_bytes() != before
    assert finished(run, learned) == set()


def test_a_network_of_an_earlier_epoch_that_is_kept_beside_changes_nothing(tmp_path: Path) -> None:
    run = new_run(tmp_path, "softmax")
    save_thresholds(run.folder, {"pair": calibrate(FAR, "pair", 0.1)})
    write_weights(run, network(), "beside.npz")
    assert set(load_thresholds(run.folder)) == {"pair"}
    write_weights(run, network())
    assert load_thresholds(run.folder) == {}
