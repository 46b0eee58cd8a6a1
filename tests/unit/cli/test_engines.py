"""The commands that run both engines, with settings as small as they can be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from reference_keras.reports import ParityReport
from tests.unit.cli.terminal import run

SMALL = ("--batch", 4, "--input", "96x96x1")


def test_compare_prints_tables_that_fit() -> None:
    result = run("compare", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert re.search(r"\b(\d+) of \1 layers within the rule", " ".join(result.stdout.split()))


def test_compare_as_data_and_as_a_page(tmp_path: Path) -> None:
    result = run("compare", *SMALL, "--no-backward", "--no-time", "--json", "--report", tmp_path / "new" / "out.html")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["ok"] is True
    assert data["batch"] == 4
    assert data["names"] == ["s1/1.pgm", "s2/1.pgm", "s3/1.pgm", "s4/1.pgm"]
    assert [array["name"] for layer in data["layers"] for array in layer["arrays"]] == ["y"] * len(data["layers"])
    assert (tmp_path / "new" / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_compare_with_fewer_faces_says_so(tmp_path: Path) -> None:
    from detection.images import write_image
    from detection.orl import load_orl

    photo = tmp_path / "one.png"
    write_image(photo, load_orl().images[0])
    result = run("compare", photo, *SMALL, "--no-backward", "--no-time", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["batch"] == 1
    assert "1 face found; the batch is as large as that, instead of 4." in " ".join(result.stderr.split())


def test_compare_vgg_face_on_colour_crops() -> None:
    result = run(
        "compare", "--model", "vgg-face", "--batch", 1, "--input", "32x32x3", "--no-top", "--no-time", "--json"
    )
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["layers"][-1]["name"] == "pool5"
    assert data["input_shape"] == [32, 32, 3]


def test_a_layer_outside_the_rule_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParityReport, "ok", property(lambda report: False))
    monkeypatch.setattr(ParityReport, "failures", lambda report: ["Dense 'fc5' dx: wrong"])
    result = run("compare", *SMALL, "--no-backward", "--no-time")
    assert result.exit_code == 1
    assert "Not within the rule: Dense 'fc5' dx: wrong" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "options, message",
    [
        (("--input", "32x40x1"), "an input NxNx1 or NxNx3"),
        (("--input", "64x64x4"), "an input NxNx1 or NxNx3"),
        (("--model", "lenet"), "a network: face-cnn, residual-cnn or vgg-face"),
        (("--input", "8x8x1"), "at least 32x32"),
    ],
)
def test_compare_refuses(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = run("compare", *options, "--report", tmp_path / "out.html")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())


def test_compare_without_a_face_writes_nothing(tmp_path: Path) -> None:
    from detection.images import write_image

    write_image(tmp_path / "wall.png", np.full((120, 120), 90, np.uint8))
    result = run("compare", tmp_path / "wall.png", "--report", tmp_path / "out.html")
    assert result.exit_code == 1
    assert "none in 120x120 pixels" in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["wall.png"]


def test_another_keras_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from reference_keras import backend

    backend.load_keras.cache_clear()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    try:
        result = run("compare", *SMALL)
    finally:
        backend.load_keras.cache_clear()
    assert result.exit_code == 1
    assert "Keras on the TensorFlow backend" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_demo_with_two_people(tmp_path: Path) -> None:
    result = run("demo", "--people", 2, "--epochs", 2, "--out", tmp_path / "demo", "--json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert json.loads((tmp_path / "demo" / "metrics.json").read_text(encoding="utf-8")) == data
    assert (tmp_path / "demo" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert data["settings"]["training_pictures"] == data["test"]["pictures"] == 10
    assert data["detection"] == {"photos": 20, "found": 20, "attempts": {"dlib-hog, median of 8": 20}}
    first = data["training"]["epochs"][0]
    assert first["ours"]["losses"][0] == pytest.approx(first["keras"]["losses"][0], rel=1e-5)
    assert data["parity"]["ok"] is True
