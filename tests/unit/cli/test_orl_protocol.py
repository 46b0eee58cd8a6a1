"""``minicnn orl-protocol``: which faces are learned from and which are tested; a short training, from the outside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detection.orl import OrlCrops
from detection.split import stratified_split
from minicnn.cli import orl_steps
from minicnn.cli.orl_protocol import grid_settings
from minicnn.recognition.recipe import Recipe
from tests.unit.cli.terminal import WIDTH, refused, run


@pytest.fixture
def crops(monkeypatch: pytest.MonkeyPatch) -> OrlCrops:
    """The set without its pictures; two faces were not found."""
    found = np.ones(400, bool)
    found[[3, 8]] = False
    names = tuple(f"s{i // 10 + 1}/{i % 10 + 1}.pgm" for i in range(400))
    crops = OrlCrops(np.zeros((400, 1, 1), np.uint8), found, np.repeat(np.arange(40), 10), names, (None,) * 400)
    monkeypatch.setattr(orl_steps, "orl_crops", lambda settings: crops)
    return crops


@pytest.mark.parametrize("select", [False, True])
def test_settings_are_chosen_without_a_test_face(
    select: bool, crops: OrlCrops, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[np.ndarray, np.ndarray, int]] = []

    def learn_and_score(
        crops: OrlCrops, train: np.ndarray, test: np.ndarray, recipe: Recipe, backend: str, seed: int
    ) -> np.ndarray:
        asked.append((train, test, recipe.epochs))
        # all right, but for faces that were not found; within a training half 20 epochs are surest, in the test 10
        sure = 9.0 - abs(recipe.epochs - (20 if len(test) == 80 else 10)) / 10
        return sure * np.eye(40)[crops.persons[test]]

    monkeypatch.setattr(orl_steps, "learn_and_score", learn_and_score)
    recipes = [Recipe(epochs=epochs) for epochs in (10, 20, 30)]
    rows = list(orl_steps.run_splits(range(3, 5), recipes, ["minicnn"], select=select, say=lambda what: None))
    parts = ["inner"] * 3 + ["test"] * (not select)
    assert [(row["seed"], row["part"]) for row in rows] == [(seed, part) for seed in (3, 4) for part in parts]
    assert [row["recipe"] for row in rows] == ([0, 1, 2] + [1] * (not select)) * 2
    for row, (train, test, epochs) in zip(rows, asked, strict=True):
        learned, held_out = stratified_split(crops.persons, train=5, test=5, seed=row["seed"])
        assert epochs == recipes[row["recipe"]].epochs
        assert not set(train) & (set(test) | set(held_out))
        assert crops.found[train].all()
        inner = row["part"] == "inner"
        assert np.bincount(crops.persons[test]).tolist() == [2 if inner else 5] * 40
        assert set(test) <= set(learned if inner else held_out)
        assert row["wrong"] == row["not_found"] == (~crops.found[test]).sum()
        assert row["pictures"] == len(test)
    assert rows[1]["loss"] == pytest.approx(np.log(1 + 39 * np.exp(-9.0)))


def test_one_recipe_needs_no_choice(crops: OrlCrops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orl_steps, "learn_and_score", lambda crops, train, test, *rest: np.eye(40)[crops.persons[test]])
    (row,) = orl_steps.run_splits(range(1), [Recipe()], ["minicnn"], select=False, say=lambda what: None)
    assert (row["part"], row["pictures"]) == ("test", 200)


def test_every_combination_of_a_grid() -> None:
    assert grid_settings([]) == [()]
    assert grid_settings(["epochs=40,80", "dropout=0,0.3"]) == [
        ("epochs=40", "dropout=0"),
        ("epochs=40", "dropout=0.3"),
        ("epochs=80", "dropout=0"),
        ("epochs=80", "dropout=0.3"),
    ]


@pytest.mark.parametrize("wrong, code", [(1, 0), (5, 1)])  # of 200: half a point, two and a half
def test_both_engines_must_agree(wrong: int, code: int, crops: OrlCrops, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn_and_score(
        crops: OrlCrops, train: np.ndarray, test: np.ndarray, recipe: Recipe, backend: str, seed: int
    ) -> np.ndarray:
        named = crops.persons[test].copy()
        mistaken = np.flatnonzero(crops.found[test])[: wrong if backend == "keras" else 0]
        named[mistaken] = (named[mistaken] + 1) % 40
        return np.eye(40)[named]

    monkeypatch.setattr(orl_steps, "learn_and_score", learn_and_score)
    monkeypatch.setattr("minicnn.cli.orl_protocol.check_backend", lambda name: None)
    result = run("orl-protocol", "--splits", 2, "--seed", 7, "--backend", "both")
    assert result.exit_code == code
    assert ("more than one percentage point apart" in result.stderr) == bool(code)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    rows = [line.split() for line in lines if line.split()[0] in ("minicnn", "keras")]
    assert [row[:2] for row in rows] == [[n, s] for n in ("minicnn", "keras") for s in ("7", "8", "mean")]
    assert float(rows[5][2].rstrip("%")) - float(rows[2][2].rstrip("%")) == pytest.approx(wrong / 2)


def test_what_is_refused() -> None:
    assert "NAME=VALUE" in refused(run("orl-protocol", "--set", "eposchs=3"))
    assert "epochs" in refused(run("orl-protocol", "--set", "epochs=0"))
    assert "epochs" in refused(run("orl-protocol", "--grid", "epochs=40,0"))
    assert "NAME=VALUE" in refused(run("orl-protocol", "--grid", "epochs"))
    assert "--backend as one of minicnn, keras" in refused(run("orl-protocol", "--backend", "torch"))


@pytest.mark.slow
def test_a_short_training_from_the_outside() -> None:
    result = run("orl-protocol", "--splits", 1, "--grid", "epochs=1,2", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert [(row["settings"], row["pictures"]) for row in data["inner"]] == [("epochs=1", 80), ("epochs=2", 80)]
    (test,) = data["splits"]
    assert test["settings"] == min(data["inner"], key=lambda row: float(row["loss"]))["settings"]
    assert data["mean_error"]["minicnn"] == test["error"] < 0.9  # of 40 people, chance names 39 wrongly
