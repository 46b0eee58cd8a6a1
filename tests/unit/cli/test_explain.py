"""``minicnn explain`` from the outside: the arithmetic in a narrow terminal and as data, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detection.images import write_image
from detection.orl import load_orl
from minicnn.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, ReLU
from minicnn.sequential import Sequential
from tests.unit.cli.recognition_run import build_dataset, build_run
from tests.unit.cli.terminal import WIDTH, refused, run


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "face.png"
    write_image(path, load_orl().images[0].repeat(2, axis=0).repeat(2, axis=1))
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = [
        Conv2D(4, 3, strides=2, padding="same", bias_initializer="ones", name="conv1"),
        ReLU(name="relu1"),
        MaxPooling2D(name="pool1"),
        Conv2D(6, 3, padding="same", name="conv2"),
        BatchNormalization(name="norm2"),
        Flatten(name="flat"),
        Dense(3, name="scores"),
    ]
    path = tmp_path_factory.mktemp("network") / "small.npz"
    Sequential(layers, input_shape=(40, 40, 1), name="small").save(path)
    return path


def explained(*arguments: object) -> dict[str, object]:
    result = run("explain", *arguments, "--json")
    assert result.exit_code == 0
    data: dict[str, object] = json.loads(result.stdout)
    return data


def test_a_number_in_a_narrow_terminal(photo: Path, network: Path) -> None:
    result = run("explain", photo, "--model", network, "--layer", "conv1", "--at", "5,6,2")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= WIDTH
    words = " ".join(result.stdout.split())
    assert words.startswith("conv1[0, 5, 6, 2] = ")
    assert "conv1/kernel" in words
    assert "+ bias[2] 1" in words
    assert "then relu1, max(x, 0) = " in words
    assert "rows 10 to 12 and columns 12 to 14 of the face's 40x40 pixels" in words
    last = next(line for line in result.stdout.splitlines() if line.startswith("explained"))
    ours, theirs = (float(part.split()[1]) for part in last.split(", "))
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("layer", ["conv1", "relu1", "pool1", "conv2", "norm2", "flat", "scores"])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_every_layer_both_ways_as_data(layer: str, backward: bool, photo: Path, network: Path) -> None:
    place = "2" if layer in ("flat", "scores") else "4,3,2"
    data = explained(photo, "--model", network, "--layer", layer, "--at", place, *["--backward"] * backward)
    assert data["total"] == pytest.approx(data["value"], rel=1e-4, abs=1e-7)
    assert data["name"] == (f"d {layer}" if backward else layer)
    assert data["model"] == "small"


def test_terms_are_all_in_the_data_and_few_in_the_table(photo: Path, network: Path) -> None:
    arguments = (photo, "--model", network, "--layer", "conv2", "--at", "4,3,2")
    groups = explained(*arguments)["groups"]
    assert isinstance(groups, list)
    assert len(groups[0]["products"]) == 3 * 3 * 4
    shown = " ".join(run("explain", *arguments, "--terms", 5).stdout.split())
    assert "the 5 largest of 36 terms" in shown
    assert "31 others" in shown
    assert "sums of 4 channels" in shown


def test_a_weight_and_the_class_that_is_asked_about(photo: Path, network: Path) -> None:
    arguments = (photo, "--model", network, "--layer", "conv2", "--at", "0,1,2,3", "--backward", "--of", "kernel")
    values = {explained(*arguments, "--target", target)["value"] for target in range(3)}
    assert len(values) == 3
    shown = run("explain", *arguments)
    assert max(map(len, shown.stdout.splitlines())) <= WIDTH
    assert shown.stdout.startswith("d conv2/kernel[0, 1, 2, 3] = ")


def test_a_run_gets_faces_as_in_its_training(photo: Path, tmp_path: Path) -> None:
    made = build_run(tmp_path / "run", build_dataset(tmp_path / "data", range(3)))
    data = explained(photo, "--model", tmp_path / "run", "--layer", "pool", "--at", "3,4,0")
    mean = np.mean(data["groups"][0]["factors"][0]["values"])  # type: ignore[index]
    assert data["value"] == pytest.approx(mean, rel=1e-5)
    assert made.config.crop["size"] == 48
    assert data["receptive_field"] == [[12, 16], [16, 20], [0, 1]]


def test_what_it_refuses(photo: Path, network: Path, tmp_path: Path) -> None:
    def message(*arguments: object, photo: Path = photo) -> str:
        return refused(run("explain", photo, "--model", network, *arguments))

    assert "Did you mean 'conv2'?" in message("--layer", "conv22", "--at", "1,1,1")
    assert "conv1, relu1, pool1" in message("--layer", "nothing", "--at", "1,1,1")
    beyond = message("--layer", "conv1", "--at", "20,0,0")
    assert "(20, 20, 4)" in beyond
    assert "19,19,3" in beyond
    assert "whole numbers with commas" in message("--layer", "conv1", "--at", "1;2")
    assert "--backward" in message("--layer", "conv1", "--at", "1,1,1", "--of", "kernel")
    assert "a class from 0 to 2" in message("--layer", "conv1", "--at", "1,1,1", "--backward", "--target", 3)
    assert "kernel, bias" in message("--layer", "conv1", "--at", "1,1,1", "--backward", "--of", "gamma")
    assert "input of the network" in message("--layer", "input_layer", "--at", "1,1,0")
    wall, text = tmp_path / "wall.png", tmp_path / "text.jpg"
    write_image(wall, np.full((120, 120), 90, np.uint8))
    text.write_text("no picture", encoding="utf-8")
    assert "face" in message("--layer", "conv1", "--at", "1,1,1", photo=wall)
    assert "text.jpg" in message("--layer", "conv1", "--at", "1,1,1", photo=text)
    assert "nothing.png" in message("--layer", "conv1", "--at", "1,1,1", photo=tmp_path / "nothing.png")


def test_a_huge_photo_is_refused_by_its_header(network: Path, tmp_path: Path) -> None:
    """A PNG that announces 30000 x 30000 pixels; nobody makes room for them."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    path = tmp_path / "huge.png"
    path.write_bytes(data)
    said = refused(run("explain", path, "--model", network, "--layer", "conv1", "--at", "1,1,1"))
    assert "huge.png" in said
    assert "30000" in said
