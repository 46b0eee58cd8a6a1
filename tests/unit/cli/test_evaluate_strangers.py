"""`evaluate --strangers` on a run whose threshold was calibrated on some of them before; and crops the split lacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from minicnn.recognition.unknown import load_thresholds
from tests.unit.cli.recognition_run import NAMES, build_dataset, build_run
from tests.unit.cli.terminal import run

QUICK = ("--no-baseline", "--json", "--rate", 0.1)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Friends, strangers, the friends' run, and the same run calibrated on every other stranger."""
    root = tmp_path_factory.mktemp("strangers")
    friends, others = (
        build_dataset(root / "friends", range(3)),
        build_dataset(root / "others", range(4, 9), split=False),
    )
    build_run(root / "plain", friends)
    shutil.copytree(root / "plain", root / "run")
    result = run("evaluate", root / "run", friends, "--strangers", others, "--calibrate", *QUICK)
    assert result.exit_code == 0, result.stderr
    (root / "first.json").write_text(result.stdout)
    return {name: root / name for name in ("friends", "others", "plain", "run", "first.json")}


def evaluated(folder: Path, friends: Path, strangers: Path, *options: object) -> dict[str, Any]:
    result = run("evaluate", folder, friends, "--strangers", strangers, *QUICK, *options)
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_who_was_calibrated_on_is_not_measured_on(places: dict[str, Path], tmp_path: Path) -> None:
    first = json.loads(places["first.json"].read_text())
    assert (first["unknown"]["calibration"]["people"], first["unknown"]["strangers_people"]) == (3, 2)
    again = evaluated(places["run"], places["friends"], places["others"])
    assert again["unknown"] == first["unknown"]  # not one face more
    faces = first["unknown"]["calibration"]["strangers"]
    assert f"{faces} faces of 3 people were calibrated on, and are left out of the strangers' rate." in again["notes"]
    assert not any("left out" in note for note in first["notes"])
    assert set(again["thresholds"]["distance"]) == {
        "value",
        "kind",
        "rate",
        "measured",
    }  # thousands of digests are no news

    renamed = shutil.copytree(places["others"], tmp_path / "renamed")
    for number, person in enumerate(sorted(renamed.iterdir(), reverse=True)):
        person.rename(renamed / f"stranger {number}")
    assert evaluated(places["run"], places["friends"], renamed)["unknown"]["strangers"] == again["unknown"]["strangers"]


def test_only_people_who_were_calibrated_on(places: dict[str, Path], tmp_path: Path) -> None:
    """And of each of them one face is enough: another of the same person says little more."""
    some = tmp_path / "some"
    for person in sorted(places["others"].iterdir())[::2]:
        shutil.copytree(person, some / person.name)
        for crop in sorted((some / person.name).iterdir())[1:]:
            crop.write_bytes((places["friends"] / NAMES[0] / f"{NAMES[0]}_0001.png").read_bytes())
    found = evaluated(places["run"], places["friends"], some)
    assert "strangers" not in found["unknown"]
    assert any("of 3 people were calibrated on" in note for note in found["notes"])


def test_a_threshold_that_does_not_say_whom_it_is_from(places: dict[str, Path], tmp_path: Path) -> None:
    older = shutil.copytree(places["run"], tmp_path / "older")
    data = json.loads((older / "threshold.json").read_text())
    assert len(data["thresholds"]["distance"].pop("faces")) == data["thresholds"]["distance"]["measured"]["strangers"]
    (older / "threshold.json").write_text(json.dumps(data))
    found = evaluated(older, places["friends"], places["others"])
    assert found["unknown"]["strangers_people"] == 5
    assert any("may include faces of the calibration" in note for note in found["notes"])
    alone = json.loads(run("evaluate", older, places["friends"], *QUICK).stdout)  # no strangers, no rate
    assert not any("calibrat" in note for note in alone["notes"])

    data["thresholds"]["distance"]["measured"]["source"] = "people left out of trainings like this one"
    (older / "threshold.json").write_text(json.dumps(data))
    found = evaluated(older, places["friends"], places["others"])
    assert found["unknown"]["strangers_people"] == 5
    assert not any("calibrat" in note for note in found["notes"])


def test_calibrated_again_on_others(places: dict[str, Path], tmp_path: Path) -> None:
    """The record goes with its threshold; one of another kind stays as it was."""
    again = shutil.copytree(places["run"], tmp_path / "again")
    before = load_thresholds(again)
    assert before["distance"].faces
    evaluated(again, places["friends"], places["others"], "--calibrate", "--seed", 1)
    assert load_thresholds(again) == before
    result = evaluated(places["plain"], places["friends"], places["others"])  # calibrated for this page alone
    assert result["unknown"]["strangers_people"] == 2
    assert load_thresholds(places["plain"]) == {}


def test_crops_that_came_after_the_split(places: dict[str, Path], tmp_path: Path) -> None:
    later = shutil.copytree(places["friends"], tmp_path / "later")
    for name in ("new 1.png", "new 2.png"):
        shutil.copy(next((later / NAMES[0]).iterdir()), later / NAMES[0] / name)
    shutil.copytree(next(iter(places["others"].iterdir())), later / "somebody")  # whom the run does not know

    def notes(dataset: Path, *options: str) -> list[str]:
        found = json.loads(run("evaluate", places["plain"], dataset, *QUICK, *options).stdout)
        return [note for note in found["notes"] if "no part of the split" in note]

    (note,) = notes(later)
    assert note.startswith("2 crops are in no part of the split (added after it?)")
    assert notes(places["friends"]) == notes(later, "--part", "all") == []
