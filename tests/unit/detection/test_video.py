"""Frames from files and cameras, what is refused as a source, and crops collected from frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import detection.video as video
from detection.align import CascadeEyes
from detection.capture import capture_faces
from detection.compare import compare_detectors
from detection.crop import CropSettings
from detection.detectors import DlibCnn, DlibHog, OpencvHaar, make_detector
from detection.images import read_image, write_image
from detection.video import Frame, is_video, read_frames, write_video
from minicnn.errors import ImageError, LoadError, OptionError, ShapeError
from tests.unit.detection.dataset.people import beside, photo
from tests.unit.detection.pictures import encode, gradient
from tests.unit.full_disk import files_up_to


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def grey_film(path: Path, count: int = 20, rate: float = 10) -> Path:
    """Frames that get brighter, 12 levels each."""
    with write_video(path, rate) as film:
        for index in range(count):
            film.add(np.full((96, 128, 3), 12 * index, np.uint8))
    return path


class TestFiles:
    def test_every_frame_in_order_and_in_rgb(self, tmp_path) -> None:
        frames = list(read_frames(grey_film(tmp_path / "film.mp4")))
        assert [frame.index for frame in frames] == list(range(20))
        assert [frame.second for frame in frames] == pytest.approx([index / 10 for index in range(20)])
        for frame in frames:
            assert frame.rgb.shape == (96, 128, 3)
            assert abs(frame.rgb.mean() - 12 * frame.index) < 4
        with write_video(tmp_path / "red.mp4") as film:
            film.add(np.full((96, 128, 3), (220, 30, 30), np.uint8))
        (red,) = read_frames(tmp_path / "red.mp4")
        assert red.rgb[..., 0].mean() > 180 > 80 > red.rgb[..., 2].mean()

    @pytest.mark.parametrize(
        "interval, expected", [(0.5, [0, 5, 10, 15]), (0.7, [0, 7, 14]), (9, [0]), (0.1, range(20))]
    )
    def test_frames_that_far_apart(self, interval, expected, tmp_path) -> None:
        film = grey_film(tmp_path / "film.mp4")
        assert [frame.index for frame in read_frames(film, interval)] == list(expected)

    def test_a_name_with_a_pattern_is_a_name(self, tmp_path) -> None:
        assert len(list(read_frames(grey_film(tmp_path / "ünï %03d.mp4", 3)))) == 3

    @pytest.mark.parametrize(
        "source, message",
        [
            ("rtsp://camera/1", "an address"),
            ("HTTP://host/film.mp4", "an address"),
            ("file:///film.mp4", "an address"),
            ("missing.mp4", "no such file"),
            ("bad\0name.mp4", "null|NUL|embedded"),
            (".", "a folder"),
        ],
    )
    def test_what_is_no_file_is_refused(self, source, message, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ImageError, match=message):
            next(read_frames(source))

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",
            b"ffconcat version 1.0\nfile other.mp4\n",
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
            encode(gradient(), "PNG"),
            b"\0\0\0\x18ftypheic" + bytes(30),
        ],
    )
    def test_what_is_no_video_is_refused_before_opencv_sees_it(self, data, tmp_path, monkeypatch) -> None:
        path = tmp_path / "film.mp4"
        path.write_bytes(data)
        monkeypatch.setattr(video, "load_cv2", lambda purpose: _Untouchable())
        with pytest.raises(ImageError, match=r"film\.mp4.*a video"):
            next(read_frames(path))

    def test_a_pipe_does_not_make_us_wait(self, tmp_path) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes here")
        os.mkfifo(tmp_path / "pipe.mp4")
        with pytest.raises(ImageError, match="a pipe"):
            next(read_frames(tmp_path / "pipe.mp4"))

    def test_a_damaged_video_is_one_error(self, tmp_path, capfd) -> None:
        path = grey_film(tmp_path / "film.mp4")
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ImageError, match=r"film\.mp4.*cannot decode|not a single frame"):
            next(read_frames(path))

    @pytest.mark.parametrize("interval", [-1, float("nan"), "1"])
    def test_an_interval_that_is_none(self, interval) -> None:
        with pytest.raises(OptionError, match="interval"):
            next(read_frames(0, interval))

    def test_names_of_videos(self) -> None:
        assert is_video("a/B.MP4")
        assert not is_video("a/mp4.jpg")


class _Untouchable:
    CAP_PROP_FPS = 5

    def __getattr__(self, name: str):
        pytest.fail(f"OpenCV was asked for {name}")


class TestCameras:
    def test_a_camera_that_is_not_there(self, capfd) -> None:
        with pytest.raises(ImageError, match=r"camera 97.*no answer"):
            next(read_frames(97))
        assert capfd.readouterr() == ("", "")  # OpenCV's own warnings say less than the error

    @pytest.mark.parametrize("number", [-1, 100, True])
    def test_no_number_of_a_camera(self, number) -> None:
        with pytest.raises(OptionError, match="a camera's number from 0 to 99"):
            next(read_frames(number))

    def test_a_camera_by_its_clock_and_let_go_in_the_end(self, monkeypatch) -> None:
        class Camera:
            released = False

            def grab(self) -> bool:
                return True

            def retrieve(self):
                return True, np.full((4, 6, 3), (1, 2, 3), np.uint8)

            def get(self, name: int) -> float:
                return 0.0

            def release(self) -> None:
                self.released = True

        camera = Camera()
        ticks = iter(np.arange(0, 100, 0.25))
        monkeypatch.setattr(video, "_open_camera", lambda number: camera)
        monkeypatch.setattr(video.time, "monotonic", lambda: float(next(ticks)))
        frames = read_frames(0, interval=1.0)
        taken = [next(frames) for _ in range(3)]
        assert np.diff([frame.second for frame in taken]).tolist() == [1.0, 1.0]
        assert taken[0].rgb[0, 0].tolist() == [3, 2, 1]
        frames.close()
        assert camera.released


class TestWriting:
    def test_nothing_is_left_behind_when_it_goes_wrong(self, tmp_path) -> None:
        (tmp_path / "film.mp4").write_bytes(b"old")

        def write() -> None:
            with write_video(tmp_path / "film.mp4") as film:
                film.add(np.zeros((96, 128, 3), np.uint8))
                film.add(np.zeros((48, 64, 3), np.uint8))

        with pytest.raises(ShapeError, match=r"frames of 128x96 pixels\. Received: 64x48"):
            write()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"film.mp4": b"old"}

    @pytest.mark.parametrize("size", [1000, 100_000])
    def test_a_disk_that_is_full_in_the_beginning_or_the_middle(self, size, tmp_path, rng) -> None:
        (tmp_path / "film.mp4").write_bytes(b"old")

        def write() -> None:
            with write_video(tmp_path / "film.mp4") as film:
                for _ in range(30):
                    film.add(rng.integers(0, 256, (240, 320, 3), np.uint8))  # noise: 20 kB or more each

        with files_up_to(size), pytest.raises(ImageError, match=r"film\.mp4.*refused some of it"):
            write()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"film.mp4": b"old"}

    def test_no_frame_no_file(self, tmp_path) -> None:
        with write_video(tmp_path / "film.mp4"):
            pass
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name, rate", [("film.avi", 25), ("no/film.mp4", 25), ("film.mp4", 0)])
    def test_what_cannot_be_written(self, name, rate, tmp_path) -> None:
        with pytest.raises(OptionError), write_video(tmp_path / name, rate):
            pass


class TestCapture:
    def frames(self, *pictures: np.ndarray):
        return (Frame(rgb(picture), index, float(index)) for index, picture in enumerate(pictures))

    def test_crops_until_there_are_enough_numbered_on(self, tmp_path) -> None:
        wall = np.full((224, 184), 90, np.uint8)
        pictures = [photo(0, 0), wall, photo(0, 1), photo(0, 2), photo(0, 3)]
        captured = capture_faces(self.frames(*pictures), "Åsa", tmp_path, DlibHog(), CropSettings(size=50), limit=3)
        assert [path.name for path in captured.paths] == ["0001.png", "0002.png", "0003.png"]
        assert (captured.frames, captured.without) == (4, 1)
        assert read_image(tmp_path / "Åsa" / "0003.png").shape == (50, 50, 3)
        again = capture_faces(self.frames(photo(0, 4)), "Åsa", tmp_path, DlibHog(), CropSettings(size=50))
        assert again.paths == (tmp_path / "Åsa" / "0004.png",)

    def test_only_passes_over_company(self, tmp_path) -> None:
        pictures = [beside(photo(0, 0), photo(1, 0)), photo(0, 1)]
        captured = capture_faces(self.frames(*pictures), "a", tmp_path, DlibHog(), policy="only", eyes=CascadeEyes())
        assert (len(captured.paths), captured.without) == (1, 1)

    @pytest.mark.parametrize("name", ["", " ", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "c:"])
    def test_names_that_are_no_folder(self, name, tmp_path) -> None:
        with pytest.raises(OptionError, match="a person's name"):
            capture_faces(self.frames(photo(0, 0)), name, tmp_path, DlibHog())
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("options", [{"policy": "alike"}, {"limit": 0}, {"limit": True}])
    def test_options_out_of_range(self, options, tmp_path) -> None:
        with pytest.raises(OptionError):
            capture_faces(self.frames(photo(0, 0)), "a", tmp_path, DlibHog(), **options)


class TestComparing:
    def test_found_missed_several_alone(self, tmp_path) -> None:
        write_image(tmp_path / "1.png", photo(0, 0))
        write_image(tmp_path / "2.png", beside(photo(1, 0), photo(2, 0)))
        write_image(tmp_path / "3.png", photo(3, 0)[::4, ::4].copy())  # too small for dlib without upsampling
        write_image(tmp_path / "4.png", np.full((90, 90), 90, np.uint8))
        (tmp_path / "5.png").write_text("text")
        compared = compare_detectors(sorted(tmp_path.iterdir()), [DlibHog(), OpencvHaar(), DlibHog(upsample=2)])
        assert compared.photographs == 4
        hog, _, upsampled = compared.scores
        assert (hog.found, hog.missed, hog.several, hog.alone) == (2, 2, 1, 0)
        assert upsampled.found == 3
        assert upsampled.seconds > hog.seconds > 0
        assert "5.png" in compared.unreadable[0]

    def test_nothing_to_compare(self, tmp_path) -> None:
        with pytest.raises(OptionError, match="at least one detector"):
            compare_detectors([], [])
        with pytest.raises(ImageError, match="at least one photograph"):
            compare_detectors([tmp_path / "missing.png"], [DlibHog()])


class TestDlibCnn:
    def test_it_asks_for_its_model(self) -> None:
        with pytest.raises(OptionError, match=r"a model file for dlib-cnn. Received: none.*dlib-hog"):
            make_detector("dlib-cnn")

    def test_a_file_that_is_none_of_its_models(self, tmp_path) -> None:
        with pytest.raises(LoadError, match=r"mmod\.dat.*no such file"):
            DlibCnn(tmp_path / "mmod.dat")
        (tmp_path / "mmod.dat").write_bytes(b"BZh9" + bytes(100))
        with pytest.raises(LoadError, match=r"mmod\.dat.*dlib refuses"):
            make_detector("dlib-cnn", model=tmp_path / "mmod.dat").detect(rgb(photo(0, 0)))

    def test_its_answers_become_half_open_boxes_largest_first(self, tmp_path, monkeypatch) -> None:
        """dlib's own model is large and not ours to ship; what it answers is imitated in its own types."""
        dlib = pytest.importorskip("dlib", reason="its rectangles")
        (tmp_path / "mmod.dat").write_bytes(b"weights")

        class Find:
            def __init__(self, rect, confidence) -> None:
                self.rect, self.confidence = rect, confidence

        def network(picture, upsample):
            assert (picture.shape, upsample) == ((224, 184, 3), 1)
            return [Find(dlib.rectangle(5, 6, 14, 15), 0.9), Find(dlib.rectangle(20, 30, 59, 69), 1.1)]

        monkeypatch.setattr(dlib, "cnn_face_detection_model_v1", lambda model: network)
        large, small = DlibCnn(tmp_path / "mmod.dat", upsample=1).detect(rgb(photo(0, 0)))
        assert (large.box.left, large.box.top, large.box.right, large.box.bottom) == (20, 30, 60, 70)
        assert (small.box.width, small.score, small.detector) == (10, 0.9, "dlib-cnn upsample=1")

    def test_a_picture_too_large_is_refused(self, tmp_path) -> None:
        (tmp_path / "mmod.dat").write_bytes(b"weights")
        with pytest.raises(ShapeError, match="5000x4000"):
            DlibCnn(tmp_path / "mmod.dat").detect(np.broadcast_to(np.uint8(0), (4000, 5000, 3)))
