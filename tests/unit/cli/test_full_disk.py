"""A full disk, whatever the command: one error that says so, old files as they were, and no half of a new one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from detection.images import write_image
from detection.video import write_video
from minicnn.recognition.run import Run
from tests.unit.cli.recognition_run import build_dataset, build_run, photo
from tests.unit.cli.terminal import refused, run
from tests.unit.full_disk import full_after

TRAIN = ("train", "DATASET", "--epochs", 2, "--no-views")
COMMANDS = [
    ("crop", "PHOTOS", "OUT"),
    ("detect", "PHOTOS", "--draw", "OUT"),
    ("capture", "Ada", "--into", "DATASET", "--video", "FILM"),
    ("dataset", "build", "PHOTOS", "OUT", "--processes", 1),
    ("dataset", "split", "DATASET"),
    ("dataset", "check", "DATASET", "--sheet", "OUT.png"),
    ("evaluate", "RUN", "DATASET", "--strangers", "STRANGERS", "--calibrate", "--no-baseline"),
    ("recognise", "RUN", "PHOTOS", "--out", "OUT"),
    (*TRAIN, "--out", "OUT"),
]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that commands begin with."""
    root = tmp_path_factory.mktemp("disk")
    for person, shot in ((0, 0), (0, 1), (1, 0), (1, 1)):
        (root / "PHOTOS" / f"p{person}").mkdir(parents=True, exist_ok=True)
        write_image(root / "PHOTOS" / f"p{person}" / f"{shot}.png", photo(person, shot))
    with write_video(root / "FILM.mp4") as film:
        film.add(np.repeat(photo(0, 0)[:, :, None], 3, axis=2))
    build_run(root / "RUN", build_dataset(root / "DATASET", range(3)))
    build_dataset(root / "STRANGERS", range(3, 7), split=False)
    return root


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def placed(root: Path, arguments: tuple[object, ...]) -> list[object]:
    places = {"PHOTOS", "DATASET", "STRANGERS", "RUN", "OUT", "OUT.png"}
    return [root / str(a) if a in places else root / "FILM.mp4" if a == "FILM" else a for a in arguments]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(map(str, arguments[:2])))
def test_nothing_can_be_written(arguments: tuple[object, ...], before: Path, tmp_path: Path) -> None:
    root = shutil.copytree(before, tmp_path / "root")
    with full_after(0):
        assert "No space left on device" in refused(run(*placed(root, arguments)))
    assert files(root) == files(before)


def test_a_training_whose_disk_fills_up_goes_on_when_there_is_room(before: Path, tmp_path: Path) -> None:
    root = shutil.copytree(before, tmp_path / "root")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(*placed(root, TRAIN), "--out", whole).exit_code == 0
    with full_after(8):  # file and folder for each of config, checkpoint, network, and history: the first epoch is lost
        assert "No space left on device" in refused(run(*placed(root, TRAIN), "--out", broken))
    assert not list(broken.rglob("*.tmp"))
    assert Run.open(broken).model().weights.keys() == Run.open(whole).model().weights.keys()  # whole, if untrained
    assert run("train", root / "DATASET", "--out", broken, "--resume").exit_code == 0
    for name in ("model.npz", "checkpoint.npz", "history.csv", "gallery.npz", "threshold.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
