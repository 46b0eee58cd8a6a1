"""``minicnn orl-protocol``: which faces are learned from and which are tested; a short training, from the outside."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from minicnn.cli import orl_protocol
from minicnn.cli.console import Commands
from minicnn.recognition.recipe import Recipe


@pytest.mark.parametrize("select", [False, True])
def test_selecting_settings_never_sees_a_test_face(select: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from detection.orl import OrlCrops
    from detection.split import stratified_split

    persons = np.repeat(np.arange(40), 10)
    found = np.ones(400, bool)
    found[[3, 8]] = False
    names = tuple(f"s{i // 10 + 1}/{i % 10 + 1}.pgm" for i in range(400))
    crops = OrlCrops(np.zeros((400, 1, 1), np.uint8), found, persons, names, (None,) * 400)
    monkeypatch.setattr("detection.orl.orl_crops", lambda settings: crops)
    asked: list[tuple[np.ndarray, np.ndarray]] = []

    def predict(crops: OrlCrops, train: np.ndarray, test: np.ndarray, *rest: object) -> np.ndarray:
        asked.append((train, test))
        return crops.persons[test]  # all right, but for faces that were not found

    monkeypatch.setattr(orl_protocol, "_predict", predict)
    rows = list(orl_protocol.run_splits(range(3, 5), Recipe(), "minicnn", select=select, say=lambda what: None))
    for row, (train, test), seed in zip(rows, asked, (3, 4), strict=True):
        learned, held_out = stratified_split(persons, train=5, test=5, seed=seed)
        assert not set(train) & set(test)
        assert found[train].all()
        assert np.bincount(persons[test]).tolist() == [1 if select else 5] * 40
        assert set(test) <= set(learned if select else held_out)
        assert not set(train) & set(held_out)
        assert row["wrong"] == row["not_found"] == (~found[test]).sum()
        assert (row["seed"], row["pictures"]) == (seed, len(test))


@pytest.mark.slow
def test_a_short_training_from_the_outside() -> None:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.command()(orl_protocol.orl_protocol)
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["orl-protocol", "--splits", "1", "--epochs", "2", "--select", "--json"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["splits"][0]["pictures"] == 40
    assert data["mean_error"] == data["splits"][0]["error"] < 0.9  # of 40 people, chance names 39 wrongly
