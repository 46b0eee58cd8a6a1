"""``minicnn dataset``, ``capture`` and ``detectors`` from the outside: what they print, write, and how they end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from detection.dataset import BuildSettings
from detection.dataset.journal import Journal
from detection.images import read_image, write_image
from detection.orl import orl_detector
from detection.video import write_video
from minicnn.recognition.run import Run
from tests.unit.cli.terminal import refused, run
from tests.unit.detection.dataset.people import beside, photo, write_people


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_people(tmp_path_factory.mktemp("photos"), 3, 5)
    write_image(folder / "p1" / "two.png", beside(photo(1, 6), photo(5, 0)))
    write_image(folder / "p2" / "wall.png", np.full((90, 90), 90, np.uint8))
    (folder / "nobody").mkdir()
    (folder / "nobody" / "[bold]text.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    result = run("dataset", "build", source, folder, "--size", 60, "--processes", 1)
    assert result.exit_code == 0
    return folder


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"no utf-8 \xe9"), "=1+1", "<b>", "x\x1b[31m"])
def test_people_may_be_called_anything(name: str, built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(built / "p0", folder / "somebody")
    shutil.copytree(built / "p1", folder / name)
    assert run("dataset", "split", folder).exit_code == 0
    checked = run("dataset", "check", folder, "--json", "--sheet", tmp_path / "sheet.png")
    assert checked.exit_code == 0
    assert {person["name"] for person in json.loads(checked.stdout)["people"]} == {"somebody", name}
    assert sum(json.loads(checked.stdout)["people"][0]["parts"]) > 0  # the split is read again
    assert run("dataset", "check", folder).exit_code == 0


class TestBuild:
    def test_what_it_prints(self, source, tmp_path) -> None:
        result = run("dataset", "build", source, tmp_path / "o", "--size", 60, "--processes", 2)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert max(map(len, lines)) <= 60
        rows = [line.split() for line in lines]
        assert ["p1", "6", "0"] in rows
        assert ["p2", "5", "1"] in rows
        assert ["nobody", "0", "1"] in rows
        assert "Eyes levelled: " in result.stdout
        assert "by OpenCV's eye cascade" in result.stdout
        assert "Several faces in 1 of the photographs." in result.stdout
        assert "2 photographs without a crop" in " ".join(result.stderr.split())
        assert "Photographs: 18 of 18" in result.stderr
        again = run("dataset", "build", source, tmp_path / "o", "--size", 60, "--processes", 2)
        assert "Done before: 18 photographs." in again.stderr

    def test_as_data(self, source, built) -> None:
        data = json.loads(run("dataset", "build", source, built, "--size", 60, "--json").stdout)
        assert (data["crops"], data["photographs"], data["done_before"]) == (16, 18, 18)
        assert data["people"] == {"p0": 5, "p1": 6, "p2": 5}
        assert {row["source"] for row in data["rejected"]} == {"nobody/[bold]text.jpg", "p2/wall.png"}
        assert all(read_image(path).shape == (60, 60, 3) for path in built.glob("p*/*.png"))

    @pytest.mark.parametrize(
        "options, message",
        [
            (("--policy", "best"), "policy as one of largest, only, alike, central"),
            (("--align", "nose"), "align as one of eyes, none"),
            (("--size", 0), "size as an integer"),
            (("--detector", "dlib-cnn"), "Expected a model file for dlib-cnn. Received: none."),
            (("--detector", "eyes"), "Expected a detector, one of dlib-hog, opencv-haar, dlib-cnn. Received: 'eyes'."),
            (("--detector", "dlib-cnn", "--model", "no.dat"), "no such file"),
            (("--landmarks", "no.dat"), "no such file"),
            (("--processes", 99), "processes as an integer from 1 to 64"),
            (("--processes", 0), "processes as an integer from 1 to 64"),
        ],
    )
    def test_what_is_refused(self, options, message, source, tmp_path) -> None:
        assert message in refused(run("dataset", "build", source, tmp_path / "out", *options))
        assert not (tmp_path / "out").exists()

    def test_no_face_at_all_is_an_error(self, tmp_path) -> None:
        (tmp_path / "photos" / "a").mkdir(parents=True)
        write_image(tmp_path / "photos" / "a" / "wall.png", np.full((90, 90), 90, np.uint8))
        message = refused(run("dataset", "build", tmp_path / "photos", tmp_path / "out", "--processes", 1))
        assert "No face found in any of the photographs. 'a/wall.png'" in message

    def test_what_changed_since_the_last_run_is_said(self, tmp_path) -> None:
        photos = write_people(tmp_path / "photos", 2, 6)
        arguments = ("dataset", "build", photos, tmp_path / "out", "--size", 60, "--processes", 1)
        first = run(*arguments)
        assert not any(word in first.stderr for word in ("moved", "gone", "deleted"))
        (photos / "p0" / "0.png").rename(photos / "p1" / "mine.png")
        for number in range(1, 5):
            (photos / "p0" / f"{number}.png").unlink()
        (tmp_path / "out" / "p1" / "5.png.png").unlink()
        again = run(*arguments)
        said = " ".join(again.stderr.split())
        kept = f"1 crop kept, of photographs that are elsewhere now: {tmp_path / 'out' / 'p0' / '0.png.png'}"
        assert f"{kept} (now p1/mine.png). Delete in '{tmp_path / 'out'}' what should go: it stays deleted." in said
        kept = "4 crops kept, of photographs that are gone: p0/1.png.png, p0/2.png.png, p0/3.png.png and 1 more."
        assert f"{kept} Delete in '{tmp_path / 'out'}' what should go: it stays deleted." in said
        assert "1 crop deleted by hand, and not made again: p1/5.png.png. To have one again, put it back" in said
        assert "12 crops from 8 photographs" in again.stdout
        data = json.loads(run(*arguments, "--json").stdout)
        assert (data["moved"], len(data["gone"]), data["deleted"]) == (
            {"p0/0.png.png": "p1/mine.png"},
            5,
            ["p1/5.png.png"],
        )
        shutil.rmtree(tmp_path / "out" / "p0")
        assert not any(word in run(*arguments).stderr for word in ("gone", "elsewhere"))
        shutil.rmtree(tmp_path / "out" / "p1")
        message = refused(run(*arguments))
        assert "No crop is left of any of the photographs." in message
        assert "its crop was deleted; to have another, save the photograph anew" in message

    def test_a_folder_of_photographs_whose_name_is_no_text(self, tmp_path) -> None:
        try:
            photos = write_people(tmp_path / os.fsdecode(b"no utf-8 \xe9"), 1, 1)
        except OSError:
            pytest.skip("this file system has only names in Unicode")
        result = run("dataset", "build", photos, tmp_path / "out", "--processes", 1)
        assert result.exit_code == 0
        assert run("dataset", "check", tmp_path / "out", "--json").exit_code == 1  # one person only

    def test_other_settings_name_what_differs(self, source, built) -> None:
        message = refused(run("dataset", "build", source, built, "--size", 61, "--processes", 1))
        assert "begun with, size=60. Received: size=61." in message


class TestCheckAndSplit:
    def test_a_sound_dataset(self, built, tmp_path) -> None:
        split = run("dataset", "split", built, "--seed", 3)
        assert split.exit_code == 0
        assert [line.split() for line in split.stdout.splitlines()[2:]] == [
            ["train", "9"],
            ["validation", "3"],
            ["test", "4"],
        ]
        result = run("dataset", "check", built, "--sheet", tmp_path / "sheet.png", "--columns", 3)
        assert result.exit_code == 0, result.output
        assert max(map(len, result.stdout.splitlines())) <= 60
        assert ["p1", "6", "0", "0", "3", "1", "2"] in [line.split() for line in result.stdout.splitlines()]
        assert read_image(tmp_path / "sheet.png").shape == (3 * 84 + 4, 180 + 3 * 84 + 4, 3)

    def test_a_picture_under_two_names_ends_with_1(self, source, tmp_path) -> None:
        (tmp_path / "photos").mkdir()
        for person in ("p0", "p1"):
            (tmp_path / "photos" / person).mkdir()
            (tmp_path / "photos" / person / "0.png").write_bytes((source / "p0" / "0.png").read_bytes())
        run("dataset", "build", tmp_path / "photos", tmp_path / "out", "--processes", 1)
        result = run("dataset", "check", tmp_path / "out")
        assert "1 picture under two names or more." in refused(result)
        assert "same file, under 2 names: p0/0.png.png p1/0.png.png" in " ".join(result.stdout.split())
        data = json.loads(run("dataset", "check", tmp_path / "out", "--json").stdout)
        assert data["ready"] is False
        assert data["groups"][0]["people"] == ["p0", "p1"]

    def test_what_cannot_be_split(self, built, tmp_path) -> None:
        before = (built / "split.json").read_bytes() if (built / "split.json").exists() else None
        assert "more than 5 crops of 'p0'" in refused(run("dataset", "split", built, "--test", 5, "--validation", 0))
        assert ((built / "split.json").read_bytes() if (built / "split.json").exists() else None) == before
        assert "a folder with pictures" in refused(run("dataset", "split", tmp_path / "none"))


class TestReadyMade:
    @pytest.mark.slow
    def test_orl_is_a_dataset_and_goes_on(self, tmp_path) -> None:
        result = run("dataset", "orl", tmp_path, "--size", 32, "--json")
        data = json.loads(result.stdout)
        assert data["crops"] == 400
        assert set(data["people"].values()) == {10}
        assert json.loads(run("dataset", "orl", tmp_path, "--size", 32, "--json").stdout)["done_before"] == 400
        run("dataset", "split", tmp_path, "--test", 5, "--validation", 0)
        assert len(json.loads((tmp_path / "split.json").read_text())["test"]) == 200

    def test_lfw_takes_the_face_in_the_middle(self, tmp_path) -> None:
        for name, count in (("Ada_Lovelace", 2), ("Bo", 1)):
            (tmp_path / "lfw" / name).mkdir(parents=True)
            for number in range(1, count + 1):
                larger = photo(12, 0).repeat(2, axis=0).repeat(2, axis=1)
                row = beside(larger, photo(3, number), larger)
                write_image(tmp_path / "lfw" / name / f"{name}_{number:04d}.jpg", row)
        (tmp_path / "lfw" / "Ada_Lovelace" / "holiday.jpg").write_bytes(b"?")
        result = run("dataset", "lfw", tmp_path / "lfw", tmp_path / "out", "--min-images", 2, "--json")
        data = json.loads(result.stdout)
        assert data["people"] == {"Ada_Lovelace": 2}
        assert [row["reason"] for row in data["rejected"]] == ["not named as LFW's pictures are"]
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        for entry in manifest["photographs"]:
            assert abs(entry["box"][0] + entry["box"][2] - entry["width"]) < 40
        message = refused(run("dataset", "lfw", tmp_path / "lfw", tmp_path / "out2", "--min-images", 9))
        assert "a person with 9 photographs or more. Received: at most 2" in message
        run("dataset", "lfw", tmp_path / "lfw", tmp_path / "out", "--min-images", 1)
        message = refused(run("dataset", "lfw", tmp_path / "lfw", tmp_path / "out", "--min-images", 2))
        assert "no crops of people with fewer than 2 photographs. Received: crops of 1 such person: Bo." in message
        assert "Delete their folders in it, or choose another folder" in message


class TestCaptureAndDetectors:
    @pytest.fixture
    def film(self, tmp_path) -> Path:
        with write_video(tmp_path / "film.mp4", rate=10) as film:
            for shot in range(5):
                for _ in range(4):
                    film.add(np.repeat(photo(0, shot)[:, :, None], 3, axis=2))
        return tmp_path / "film.mp4"

    def test_crops_from_a_video(self, film, tmp_path) -> None:
        arguments = ("--video", film, "--into", tmp_path / "out", "--interval", 0.4, "--size", 50)
        result = run("capture", "Zoë", *arguments, "--limit", 4)
        assert result.exit_code == 0, result.output
        assert [path.name for path in sorted((tmp_path / "out" / "Zoë").iterdir())] == [
            f"000{n}.png" for n in range(1, 5)
        ]
        assert "4 crops from 4 frames" in result.stdout
        assert len(json.loads(run("capture", "Zoë", *arguments, "--json").stdout)["crops"]) == 5

    @pytest.mark.parametrize(
        "options, message",
        [
            ((), "one source, --camera or --video. Received: neither"),
            (("--camera", 0, "--video", "a.mp4"), "Received: both"),
            (("--camera", 98), "camera 98"),
            (("--video", "rtsp://host/1"), "an address"),
            (("--video", "missing.mp4"), "no such file"),
        ],
    )
    def test_what_cannot_be_captured(self, options, message, tmp_path) -> None:
        assert message in refused(run("capture", "Zoë", "--into", tmp_path / "out", *options))
        assert not (tmp_path / "out").exists()

    def test_crops_of_two_kinds_are_refused(self, film, tmp_path) -> None:
        arguments = ("--video", film, "--into", tmp_path / "out", "--interval", 0.4, "--limit", 1)
        assert run("capture", "Zoë", *arguments).exit_code == 0
        options = ("--margin", 0.3, "--align", "none", "--upsample", 1)
        message = refused(run("capture", "Ada", *arguments, *options))
        assert "begun with, align=eyes, detector=dlib-hog, margin=0.1. Received: align=none, " in message
        assert "Capture with the same options, or into another folder." in message
        assert not (tmp_path / "out" / "Ada").exists()
        result = run("capture", "Ada", *arguments)
        assert (result.exit_code, "not known" in result.stderr) == (0, False)
        (tmp_path / "out" / "manifest.json").unlink()
        result = run("capture", "Ada", *arguments, *options)
        assert result.exit_code == 0
        assert "were cut is not known, so nothing says how `recognise` should" in " ".join(result.stderr.split())

    def test_the_detector_of_the_other_crops_is_taken_over(self, film, tmp_path) -> None:
        """As into the ORL faces, which are found by what no options can give."""
        header = {"source": "photos", "settings": BuildSettings(align="none").as_dict(orl_detector())}
        with Journal(tmp_path, header):
            pass
        arguments = ("capture", "Ada", "--video", film, "--into", tmp_path, "--limit", 1, "--align", "none")
        message = refused(run(*arguments, "--detector", "dlib-hog"))
        assert f"begun with, detector={orl_detector().name}. Received: detector=dlib-hog." in message
        assert "Received: detector=dlib-hog upsample=1." in refused(run(*arguments, "--upsample", 1))
        result = run(*arguments)
        assert (result.exit_code, "not known" in result.stderr) == (0, False), result.stderr
        assert [path.name for path in (tmp_path / "Ada").iterdir()] == ["0001.png"]

    @pytest.mark.slow
    def test_a_run_on_captured_crops_knows_how_they_were_cut(self, film, tmp_path) -> None:
        options = ("--size", 48, "--margin", 0.25, "--upsample", 1, "--interval", 0.4)
        for name in ("Ada", "Zoë"):
            assert run("capture", name, "--video", film, "--into", tmp_path / "out", *options).exit_code == 0
        assert run("dataset", "split", tmp_path / "out", "--test", 1, "--validation", 0).exit_code == 0
        trained = run("train", tmp_path / "out", "--out", tmp_path / "run", "--epochs", 1, "--no-views")
        assert trained.exit_code == 0, trained.output
        config = Run.open(tmp_path / "run").config
        assert config.crop == {"size": 48, "colour": "grey", "margin": 0.25, "align": "eyes"}
        assert config.detector == "dlib-hog upsample=1"

    def test_a_video_without_faces_is_an_error(self, tmp_path) -> None:
        with write_video(tmp_path / "wall.mp4") as film:
            film.add(np.full((96, 128, 3), 90, np.uint8))
        arguments = ("--video", tmp_path / "wall.mp4", "--into", tmp_path / "out")
        assert "No face found in 1 frames" in refused(run("capture", "Zoë", *arguments))

    def test_the_table_of_detectors(self, source) -> None:
        result = run("detectors", source / "p1")
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 60
        rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[2:]}
        assert rows["dlib-hog"][:3] == ["6", "0", "1"]
        assert "opencv-haar" in rows
        data = json.loads(run("detectors", source / "p2", "--json").stdout)
        assert data["photographs"] == 6
        assert {row["detector"]: row["missed"] for row in data["detectors"]}["dlib-hog"] == 1
