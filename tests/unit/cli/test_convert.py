"""``minicnn convert``: every pair of formats, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from minicnn import load_model
from minicnn.cli.main import app
from minicnn.models import face_cnn
from tests.unit.io.vgg_files import tiny_weights, write_mat

pytest.importorskip("h5py", reason="Keras's files need the extra 'files'")


def convert(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("source", [".npz", ".keras", ".h5", ".safetensors"])
@pytest.mark.parametrize("target", [".npz", ".keras", ".h5", ".safetensors"])
def test_the_weights_stay_bit_for_bit(source: str, target: str, tmp_path: Path) -> None:
    model = face_cnn((32, 32, 1), 3)
    model.save(tmp_path / f"a{source}")
    code, output = convert(tmp_path / f"a{source}", tmp_path / f"b{target}")
    assert code == 0, output
    found = load_model(tmp_path / f"b{target}").weights
    assert found.keys() == model.weights.keys()
    for address, array in model.weights.items():
        np.testing.assert_array_equal(found[address], array)


def test_to_onnx_as_json(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="writing ONNX needs the extra 'files'")
    face_cnn((32, 32, 1), 3).save(tmp_path / "a.npz")
    code, output = convert(tmp_path / "a.npz", tmp_path / "b.onnx", "--json")
    assert code == 0
    assert json.loads(output)["parameters"] == face_cnn((32, 32, 1), 3).count_params()
    assert (tmp_path / "b.onnx").stat().st_size > 0


def test_what_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    face_cnn((32, 32, 1), 3).save(tmp_path / "a.npz")
    assert convert(tmp_path / "a.npz", tmp_path / "b.txt")[0] == 1
    assert convert(tmp_path / "none.npz", tmp_path / "b.npz")[0] == 1
    code, output = convert(tmp_path / "a.txt", tmp_path / "b.npz")
    assert code == 1
    assert ".mat" in output
    for option in (("--input", "10x10x3"), ("--no-top",)):
        code, output = convert(tmp_path / "a.npz", tmp_path / "b.npz", *option)
        assert code == 1
        assert "The file says it" in output
        assert not (tmp_path / "b.npz").exists()
    write_mat(tmp_path / "tiny.mat", tiny_weights(rng))
    code, output = convert(tmp_path / "tiny.mat", tmp_path / "b.npz", "--input", "200x200x1")
    assert code == 1
    assert "include_top=False" in output
    code, output = convert(tmp_path / "tiny.mat", tmp_path / "b.npz", "--no-top")
    assert code == 1
    assert "conv1_1" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "tiny.mat"]


def test_a_checkpoint_of_a_run_is_told_from_what_the_run_keeps(tmp_path: Path) -> None:
    face_cnn((32, 32, 1), 3).save(tmp_path / "checkpoint.npz")
    assert "last epoch" not in convert(tmp_path / "checkpoint.npz", tmp_path / "b.npz")[1]
    face_cnn((32, 32, 1), 3).save(tmp_path / "model.npz")
    code, output = convert(tmp_path / "checkpoint.npz", tmp_path / "b.npz")
    assert code == 0
    assert "weights of the last epoch" in output
    assert "last epoch" not in convert(tmp_path / "model.npz", tmp_path / "b.npz")[1]
