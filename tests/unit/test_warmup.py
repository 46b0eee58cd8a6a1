"""Warming up: everything is compiled once, found ever after, and what is missing has a name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from minicnn import layers, warmup
from minicnn.cli.main import app
from minicnn.layers import Layer
from minicnn.layers.activations import ACTIVATIONS


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "minicnn", "warmup", *arguments]
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=900, check=False)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "NUMBA_CACHE_DIR": str(folder)}


#: The third prediction is the first with a plan, which asks whether anything has changed.
PREDICTING = """
import numpy, time
from minicnn import layers, prediction
from minicnn.models import face_cnn
from minicnn.ops import jit_cache
from minicnn.sequential import Sequential

rows = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2), layers.Softmax()]
for model in (face_cnn(), Sequential(rows, input_shape=(5, 5, 2))):
    for _ in range(4):
        model(numpy.ones((1, *model.shapes[0]), "f4"))
        time.sleep(0.011)
    assert isinstance(prediction._found[model.graph], prediction.Plan)
print(jit_cache.counts["compiled"], "compiled")
"""


def test_every_layer_is_warmed() -> None:
    kinds = [kind for name in layers.__all__ if isinstance(kind := getattr(layers, name), type)]
    public = {kind.__name__ for kind in kinds if issubclass(kind, Layer) and kind is not Layer}
    assert public <= {step.title for step in warmup.steps()}
    ready = {layer.activation for layer, _ in warmup._layers() if isinstance(layer, layers.Activation)}
    assert ready == set(ACTIVATIONS)


@pytest.mark.slow
def test_what_was_warmed_is_found(tmp_path: Path) -> None:
    cold = run(tmp_path, "--check", "--json")
    assert cold.returncode == 1
    assert json.loads(cold.stdout)["warm"] is False
    assert "minicnn warmup does it" in cold.stderr

    warming = run(tmp_path)
    assert warming.returncode == 0, warming.stderr
    assert "compiled functions" in warming.stdout
    assert "face_cnn, training: " in warming.stderr

    warm = run(tmp_path, "--check", "--json")
    said = json.loads(warm.stdout)
    assert (warm.returncode, said["warm"]) == (0, True), warm.stderr
    assert all(step["missing"] is None and step["compiled"] == 0 for step in said["steps"])
    assert sum(step["loaded"] for step in said["steps"]) > 0
    assert said["jit_cache"]["functions"] == len(list(tmp_path.rglob("*.jit")))

    predicted = subprocess.run(
        [sys.executable, "-c", PREDICTING], env=environment(tmp_path), capture_output=True, text=True
    )
    assert (predicted.returncode, predicted.stdout) == (0, "0 compiled\n"), predicted.stderr

    assert run(tmp_path, "--clear").stdout.startswith(f"{said['jit_cache']['functions']} files removed")
    assert not list(tmp_path.rglob("*.jit"))


def test_clearing_says_what_it_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn.ops.jit_files import folders

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = folders()[0]
    folder.mkdir()
    for name in ("whole.jit", "half-written.jit.0123", "somebody-else's"):
        (folder / name).write_bytes(bytes(10))
    result = CliRunner().invoke(app, ["warmup", "--clear", "--json"])
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["removed"]) == 2
    assert [path.name for path in folder.iterdir()] == ["somebody-else's"]


def test_code_that_cannot_be_kept_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn.ops import jit_cache

    monkeypatch.setattr(jit_cache, "_reasons", ["No space left on device"])
    monkeypatch.setattr(warmup, "steps", lambda dtype: [warmup.Step("nothing", lambda: None)])
    result = CliRunner().invoke(app, ["warmup"])
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "NUMBA_CACHE_DIR" in result.stderr
