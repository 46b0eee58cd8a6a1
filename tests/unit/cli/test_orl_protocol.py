"""``minicnn orl-protocol``: which faces are learned from and which are tested; a short training, from the outside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detection.orl import OrlCrops
from detection.split import stratified_split
from minicnn.cli import orl_steps
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
def test_selecting_settings_never_sees_a_test_face(
    select: bool, crops: OrlCrops, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[np.ndarray, np.ndarray]] = []

    def learn_and_score(crops: OrlCrops, train: np.ndarray, test: np.ndarray, *rest: object) -> np.ndarray:
        asked.append((train, test))
        return 9.0 * np.eye(40)[crops.persons[test]]  # all right, but for faces that were not found

    monkeypatch.setattr(orl_steps, "learn_and_score", learn_and_score)
    rows = list(orl_steps.run_splits(range(3, 5), Recipe(), ["minicnn"], select=select, say=lambda what: None))
    for row, (train, test), seed in zip(rows, asked, (3, 4), strict=True):
        learned, held_out = stratified_split(crops.persons, train=5, test=5, seed=seed)
        assert not set(train) & set(test)
        assert crops.found[train].all()
        assert np.bincount(crops.persons[test]).tolist() == [2 if select else 5] * 40
        assert set(test) <= set(learned if select else held_out)
        assert not set(train) & set(held_out)
        assert row["wrong"] == row["not_found"] == (~crops.found[test]).sum()
        assert (row["seed"], row["pictures"]) == (seed, len(test))
        assert row["loss"] == pytest.approx(np.log(1 + 39 * np.exp(-9.0)))


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
    assert "--backend as one of minicnn, keras" in refused(run("orl-protocol", "--backend", "torch"))


@pytest.mark.slow
def test_a_short_training_from_the_outside() -> None:
    result = run("orl-protocol", "--splits", 1, "--set", "epochs=2", "--select", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["splits"][0]["pictures"] == 80
    assert data["mean_error"]["minicnn"] == data["splits"][0]["error"] < 0.9  # of 40 people, chance names 39 wrongly
