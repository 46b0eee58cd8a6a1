"""``minicnn find`` in a folder with photographs that cannot be searched: they are named, and the others are ranked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import detection.detectors.dlib_hog as dlib_hog
from detection.images import write_image
from tests.unit.cli.recognition_run import build_dataset, build_run, photo
from tests.unit.cli.terminal import refused, run
from tests.unit.cli.test_detect import run_obeying


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    build_run(root / "run", build_dataset(root / "faces", range(3)))
    return root / "run"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people in folders of their own; ``large.png`` is as large as four of the others."""
    for person in range(2):
        (tmp_path / "photos" / f"p{person}").mkdir(parents=True)
        write_image(tmp_path / "photos" / f"p{person}" / "0.png", photo(person, 8))
    write_image(tmp_path / "photos" / "large.png", np.tile(photo(0, 9), (2, 2)))
    write_image(tmp_path / "sought.png", photo(0, 7))
    return tmp_path / "photos"


def test_a_photograph_too_large_for_the_detector(trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_hog, "MAX_UPSAMPLED_PIXELS", photo(0, 0).size)
    result = run("find", trained, photos.parent / "sought.png", "--in", photos, "--no-cache", "--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert [Path(match["photo"]).parent.name for match in data["matches"]] == ["p0", "p1"]
    assert [Path(problem["photo"]).name for problem in data["problems"]] == ["large.png"]
    assert f"'{photos / 'large.png'}': Expected at most" in data["problems"][0]["problem"]
    message = refused(run("find", trained, photos / "large.png", "--in", photos, "--no-cache"))
    assert f"'{photos / 'large.png'}': Expected at most" in message


@pytest.mark.slow
def test_a_folder_without_permission_to_open_its_files(trained: Path, photos: Path) -> None:
    (photos / "p1").chmod(0o444)
    try:
        result = run_obeying("find", trained, photos.parent / "sought.png", "--in", photos, "--no-cache", "--json")
    finally:
        (photos / "p1").chmod(0o755)
    assert result.returncode == 0, result.stderr
    data = json.loads(result.stdout)
    assert sorted(Path(match["photo"]).name for match in data["matches"]) == ["0.png", "large.png"]
    (problem,) = data["problems"]
    assert problem["photo"] == str(photos / "p1" / "0.png")
    assert "Permission denied" in problem["problem"]
