"""`recognise --camera --out`: the video takes as long as what it shows, however long each frame has to wait."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detection import video
from detection.boxes import Face
from detection.video import VideoWriter, read_frames, write_video
from minicnn.cli import recognise as command
from minicnn.errors import OptionError, ShapeError
from tests.unit.cli.recognition_run import build_dataset, build_run
from tests.unit.cli.terminal import run


class Clock:
    """Nobody waits in a test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Camera:
    """30 pictures a second, each as bright as it is late: 20 levels a second. The first takes its time."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.first = clock, True

    def grab(self) -> bool:
        self.clock.now += 0.7 if self.first else 1 / 30
        self.first = False
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((96, 128, 3), min(255, int(20 * (self.clock.now - 1000))), np.uint8)

    def get(self, name: int) -> float:
        return 30.0

    def release(self) -> None:
        pass


class Slow:
    """A detector that takes its time, and finds nothing."""

    name = "slow"

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def detect(self, rgb: np.ndarray) -> tuple[Face, ...]:
        self.clock.now += self.seconds
        return ()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camera")
    return build_run(root / "run", build_dataset(root / "friends", range(2))).folder


def watched(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, *options: object
) -> list[video.Frame]:
    """Ten seconds before a camera, with a detector that takes so many ``seconds`` for a frame; the video of it."""
    clock = Clock()
    camera = Camera(clock)
    monkeypatch.setattr(video, "_open_camera", lambda number: camera)
    monkeypatch.setattr(video, "time", clock)
    monkeypatch.setattr(command, "chosen_detector", lambda *arguments: Slow(clock, seconds))
    result = run("recognise", folder, "--camera", 0, "--out", out, "--seconds", 10.7, *options)
    assert "No face in any of the" in result.stderr
    assert list(json.loads((out / "faces.json").read_text())["faces"]) == []
    return list(read_frames(out / "named.mp4"))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3, 1.5])
def test_as_long_as_reality(seconds: float, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = watched(folder, tmp_path / "out", monkeypatch, seconds)
    lasts = len(frames) * (frames[1].second - frames[0].second)
    assert lasts == pytest.approx(10, abs=max(seconds, 0.15))
    for frame in frames[:: len(frames) // 10]:  # and each second shows what was to be seen in it, or shortly before
        late = frame.second - (frame.rgb.mean() - 14) / 20
        assert -0.3 < late < seconds + 0.3  # the codec may be wrong by some levels


@pytest.mark.parametrize("seconds", [0.1, 3.0])
def test_frames_that_are_far_apart_are_not_repeated_ten_times_a_second(
    seconds: float, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = watched(folder, tmp_path / "out", monkeypatch, seconds, "--every", 2)
    assert 8 <= len(frames) <= 11
    assert frames[1].second == pytest.approx(1)


def test_each_frame_is_shown_from_its_second_on(tmp_path: Path) -> None:
    with write_video(tmp_path / "film.mp4", rate=10) as film:
        for second, level in ((5.0, 20), (5.02, 60), (5.31, 120), (5.3, 200), (5.52, 240)):
            film.add_at(np.full((96, 128, 3), level, np.uint8), second)
    shown = [frame.rgb.mean() for frame in read_frames(tmp_path / "film.mp4")]
    # 5.02 came too soon for a place of its own and is shown from the next one on, and so is what came late
    assert shown == pytest.approx([20, 60, 60, 120, 200, 240], abs=5)


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    def write() -> None:
        with write_video(tmp_path / "film.mp4", rate=10) as film:
            film.add_at(np.zeros((96, 128, 3), np.uint8), 0.0)
            film.add_at(np.zeros((48, 64, 3), np.uint8), 1.0)

    with pytest.raises(ShapeError, match="frames of 128x96"):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("second", [float("nan"), float("inf"), -1.0])
def test_a_second_that_is_none(second: float, tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "film.mp4", 10)
    writer.add_at(np.zeros((96, 128, 3), np.uint8), 0.0)
    with pytest.raises(OptionError, match="second"):
        writer.add_at(np.zeros((96, 128, 3), np.uint8), second)
    writer.release()
