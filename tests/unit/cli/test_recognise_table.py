"""What the table of `recognise` says of somebody unknown, and options that would be passed over."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detection.images import write_image
from detection.video import write_video
from minicnn.cli import recognise as command
from minicnn.recognition.unknown import Threshold, save_thresholds
from tests.unit.cli.recognition_run import NAMES, build_dataset, build_run, photo
from tests.unit.cli.terminal import refused, run


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that know three people only in their training pictures; a photograph of one of them, and of a stranger."""
    root = tmp_path_factory.mktemp("table")
    dataset = build_dataset(root / "friends", range(3))
    for objective in ("softmax", "triplet"):
        build_run(root / objective, dataset, objective)
        save_thresholds(root / objective, {"distance": Threshold(0.05, "distance", 0.05)})
    for name, (person, shot) in {"known": (2, 0), "stranger": (7, 0)}.items():
        (root / "photos").mkdir(exist_ok=True)
        write_image(root / "photos" / f"{name}.png", photo(person, shot))
    return {name: root / name for name in ("softmax", "triplet", "photos")}


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_nothing_is_sure_about_somebody_unknown(objective: str, places: dict[str, Path], tmp_path: Path) -> None:
    """The share is that of the person who was rejected; beside "unknown" it reads as certainty that it is nobody."""
    arguments = ("recognise", places[objective], places["photos"], "--out", tmp_path / "out")
    narrow, wide = run(*arguments), run(*arguments, width=140)
    data = json.loads((tmp_path / "out" / "faces.json").read_text(encoding="utf-8"))["faces"]
    (known,), (stranger,) = ([face for face in data if face["known"] is is_known] for is_known in (True, False))
    for result in (narrow, wide):
        assert result.exit_code == 0, result.stderr
        lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if ".png" in line}
        assert lines["stranger.png"][1:3] == ["unknown", "-"]
        assert lines["known.png"][1] == NAMES[2] == known["name"]
        assert "-" not in lines["known.png"]
    assert "nearest" not in narrow.stdout
    assert f"{stranger['best']} {stranger['distance']:.2f}" in next(
        " ".join(line.split()) for line in wide.stdout.splitlines() if "stranger.png" in line
    )
    assert known.keys() == stranger.keys()
    assert ("probability" in stranger) == (objective == "softmax")
    with open(tmp_path / "out" / "faces.csv", encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[:5] == ["photo", "name", "known", "best", *list(known)[4:5]]


def test_nobody_is_sure_altogether() -> None:
    """As in the pictures: rounded down, for 99.96 % is not 100 %."""
    row = {"known": True, "best": "Anna", "distance": 0.4321}
    shares = {1 - 1e-9: "99 %", 0.9996: "99 %", 0.97: "97 %", 0.004: "0 %", 1.0: "100 %"}
    assert {share: command.how_sure(row | {"probability": share}) for share in shares} == shares
    assert command.how_sure(row) == "0.432"
    assert command.how_sure(row | {"known": False}) == "-"
    assert command.how_sure(row | {"known": False, "probability": 0.98}) == "-"


@pytest.mark.parametrize("options", [("--every", 1), ("--every", 0), ("--seconds", 5), ("--every", 1, "--seconds", 5)])
@pytest.mark.parametrize("place", ["photos", "photos/known.png"])
def test_options_of_videos_are_refused_for_photographs(
    options: tuple[object, ...], place: str, places: dict[str, Path], tmp_path: Path
) -> None:
    there = places["photos"].parent / place
    said = refused(run("recognise", places["softmax"], there, *options, "--out", tmp_path / "out"))
    assert f"{' and '.join(str(option) for option in options[::2])} with a video or --camera" in said
    assert there.name in said
    assert not (tmp_path / "out").exists()


def test_options_of_videos_are_for_videos(places: dict[str, Path], tmp_path: Path) -> None:
    with write_video(tmp_path / "film.mp4", rate=10) as film:
        for _ in range(8):
            film.add(np.repeat(photo(2, 0)[:, :, None], 3, axis=2))
    shutil.copytree(places["softmax"], tmp_path / "run")
    looked = {}
    for every, seconds in ((None, None), (0, None), (0.2, None), (0.2, 0.45), (None, 0.25)):
        options = [*(("--every", every) if every is not None else ()), *(("--seconds", seconds) if seconds else ())]
        result = run("recognise", tmp_path / "run", tmp_path / "film.mp4", *options, "--json")
        looked[every, seconds] = [face["frame"] for face in json.loads(result.stdout)["faces"]]
    every_frame = list(range(8))
    assert looked == {
        (None, None): every_frame,
        (0, None): every_frame,
        (0.2, None): [0, 2, 4, 6],
        (0.2, 0.45): [0, 2, 4],
        (None, 0.25): [0, 1, 2],
    }
