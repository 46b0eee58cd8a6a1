"""``minicnn detect`` and ``crop`` on a folder in which one photograph, or one folder, cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import detection.detectors.dlib_hog as dlib_hog
from detection.images import write_image
from tests.unit.cli.terminal import refused, run
from tests.unit.detection.dataset.people import photo, write_people
from tests.unit.permissions import obeying

ROOT = Path(__file__).resolve().parents[3]

# Root may read what it likes by a second power, CAP_DAC_READ_SEARCH; see tests.unit.permissions.
_READ_NOTHING = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH = 24, 2
if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0):
    sys.exit("root cannot give up its power here")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def run_obeying(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command whom permissions bind."""
    powers = obeying()
    prefix = [*powers, sys.executable, "-c", _READ_NOTHING] if powers else []
    command = [*prefix, sys.executable, "-m", "minicnn", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photographs, and between them one that is larger than dlib takes now."""
    for name, picture in (("a", photo(0, 0)), ("b", photo(1, 0).repeat(2, axis=0)), ("c", photo(2, 0))):
        write_image(tmp_path / f"{name}.png", picture)
    monkeypatch.setattr(dlib_hog, "MAX_UPSAMPLED_PIXELS", photo(0, 0).size)
    return tmp_path


@pytest.mark.parametrize("command", ["detect", "crop"])
def test_a_photograph_too_large_for_the_detector_is_named_and_the_others_are_kept(
    command: str, photos: Path, tmp_path: Path
) -> None:
    result = run(command, photos, *([tmp_path / "out"] if command == "crop" else []), "--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    found = data["faces" if command == "detect" else "crops"]
    assert [Path(face["photo"]).name for face in found] == ["a.png", "c.png"]
    (problem,) = data["problems"]
    assert (Path(problem["photo"]).name, problem["readable"]) == ("b.png", False)
    assert "Upsample less, or make the picture smaller." in problem["problem"]
    assert f"'{photos / 'b.png'}': Expected at most" in " ".join(result.stderr.split())


def test_alone_it_is_one_error_without_advice_that_does_not_help(photos: Path) -> None:
    message = refused(run("detect", photos / "b.png"))
    assert message.startswith(f"Error: '{photos / 'b.png'}': Expected at most")
    assert "--upsample 1" not in message


@pytest.mark.parametrize("mode, problem", [(0o000, "Passed over: "), (0o444, "0.png")])
def test_a_folder_without_permission(mode: int, problem: str, tmp_path: Path) -> None:
    """0444, as ``chmod -R`` leaves it, lets its files be listed but not opened."""
    folder = write_people(tmp_path / "photos", 2, 1) / "p0"
    folder.chmod(mode)
    try:
        done = run_obeying("detect", tmp_path / "photos", "--json")
        built = run_obeying("dataset", "build", tmp_path / "photos", tmp_path / "out", "--processes", 1)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert [Path(face["photo"]).parent.name for face in json.loads(done.stdout)["faces"]] == ["p1"]
    assert problem in done.stderr
    assert "p0" in done.stderr
    assert "Permission denied" in done.stderr
    assert built.returncode == 0, built.stderr
    assert "1 crop from 2 photographs" in built.stdout
    rejected = (tmp_path / "out" / "rejected.csv").read_text(encoding="utf-8")
    assert "p0" in rejected
    assert "Permission denied" in rejected
