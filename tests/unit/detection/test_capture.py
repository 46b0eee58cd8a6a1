"""What a capture leaves behind besides crops: how they were cut; and what it refuses to mix."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from detection.align import CascadeEyes
from detection.capture import Captured, capture_faces
from detection.crop import CropSettings
from detection.dataset import BuildSettings, build_dataset, check_dataset, load_dataset, split_dataset
from detection.dataset.journal import Journal
from detection.dataset.manifest import read_manifest
from detection.detectors import DlibHog, make_detector
from detection.video import Frame
from minicnn.errors import StateError
from tests.unit.detection.dataset.people import contents, photo, write_people

HOG = partial(make_detector, "dlib-hog")
SMALL = CropSettings(size=40)
CUT = {"size": 40, "colour": "grey", "margin": 0.1, "align": "none", "detector": "dlib-hog"}


def frames(*pictures: np.ndarray) -> Iterator[Frame]:
    for index, picture in enumerate(pictures):
        yield Frame(np.repeat(picture[:, :, None], 3, axis=2), index, float(index))


def capture(folder: Path, name: str, settings: CropSettings = SMALL, **options) -> Captured:
    person = sum(map(ord, name)) % 30
    detector = options.pop("detector", None) or DlibHog()
    return capture_faces(frames(photo(person, 0), photo(person, 1)), name, folder, detector, settings, **options)


def settings_of(folder: Path) -> dict[str, object]:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest.settings


class TestTheRecord:
    def test_people_one_after_the_other_and_how_they_were_cut(self, tmp_path) -> None:
        for name in ("anna", "bob"):
            assert capture(tmp_path, name).recorded
        manifest = read_manifest(tmp_path)
        assert manifest is not None
        assert (manifest.settings, manifest.photographs) == (CUT, {})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["anna", "bob", "manifest.json"]
        capture(tmp_path / "levelled", "anna", eyes=CascadeEyes(), detector=DlibHog(upsample=1))
        assert settings_of(tmp_path / "levelled") == CUT | {"align": "eyes", "detector": "dlib-hog upsample=1"}

    def test_the_dataset_can_be_used(self, tmp_path) -> None:
        for name in ("anna", "bob"):
            capture(tmp_path, name, CropSettings(size=40, colour="rgb"))
        split_dataset(tmp_path, validation=0, test=1)
        assert check_dataset(tmp_path).problems == ()
        assert load_dataset(tmp_path, "train").crops.shape == (2, 40, 40, 3)  # RGB, though no crop has a colour

    def test_without_a_face_there_is_no_folder(self, tmp_path) -> None:
        wall = np.full((224, 184), 90, np.uint8)
        assert capture_faces(frames(wall), "anna", tmp_path / "out", DlibHog()).paths == ()
        assert not (tmp_path / "out").exists()


class TestWhatIsNotMixed:
    @pytest.mark.parametrize(
        "options, differs",
        [
            ({"settings": CropSettings(size=41)}, "begun with, size=40. Received: size=41."),
            ({"settings": CropSettings(size=40, margin=0.3)}, "begun with, margin=0.1. Received: margin=0.3."),
            ({"eyes": CascadeEyes()}, "begun with, align=none. Received: align=eyes."),
            ({"detector": DlibHog(upsample=1)}, "detector=dlib-hog. Received: detector=dlib-hog upsample=1."),
        ],
    )
    def test_crops_of_two_kinds(self, options, differs, tmp_path) -> None:
        capture(tmp_path, "anna")
        before = contents(tmp_path)
        with pytest.raises(StateError) as refused:
            capture(tmp_path, "bob", **options)
        assert differs in str(refused.value)
        assert str(tmp_path) in str(refused.value)
        assert "Capture with the same options, or into another folder." in str(refused.value)
        assert contents(tmp_path) == before

    def test_a_folder_whose_crops_were_deleted_begins_again(self, tmp_path) -> None:
        for path in capture(tmp_path, "anna").paths:
            path.unlink()
        assert capture(tmp_path, "anna", CropSettings(size=41)).recorded
        assert settings_of(tmp_path) == CUT | {"size": 41}

    def test_crops_that_nothing_is_known_of_stay_so(self, tmp_path) -> None:
        capture(tmp_path, "anna")
        (tmp_path / "manifest.json").unlink()
        assert not capture(tmp_path, "bob").recorded
        assert not (tmp_path / "manifest.json").exists()

    def test_a_built_dataset_takes_crops_of_its_kind(self, tmp_path) -> None:
        source, built = write_people(tmp_path / "photos", people=2, shots=2), BuildSettings(SMALL, "alike", "none")
        build_dataset(source, tmp_path / "out", HOG, built)
        before = contents(tmp_path / "out")
        with pytest.raises(StateError, match=r"size=40\. Received: size=41"):
            capture(tmp_path / "out", "anna", CropSettings(size=41))
        assert contents(tmp_path / "out") == before
        assert capture(tmp_path / "out", "anna", policy="only").recorded  # which face does not say how it is cut
        crops = {f"anna/000{number}.png" for number in (1, 2)}
        assert {path: data for path, data in contents(tmp_path / "out").items() if path not in crops} == before
        with_crops = contents(tmp_path / "out")
        build_dataset(source, tmp_path / "out", HOG, built)
        assert contents(tmp_path / "out") == with_crops

    def test_a_build_that_has_not_ended(self, tmp_path) -> None:
        header = {"source": "photos", "settings": BuildSettings(SMALL, "alike", "none").as_dict(HOG())}
        with Journal(tmp_path, header):
            pass
        with pytest.raises(StateError, match=r"size=40\. Received: size=41"):
            capture(tmp_path, "anna", CropSettings(size=41))
        assert capture(tmp_path, "anna").recorded
        assert not (tmp_path / "manifest.json").exists()  # where there is one, a build has ended

    def test_photographs_are_not_built_among_captured_crops(self, tmp_path) -> None:
        capture(tmp_path / "out", "anna")
        before = contents(tmp_path / "out")
        with pytest.raises(StateError, match="an empty folder, or a dataset to go on with"):
            build_dataset(write_people(tmp_path / "photos", 1, 1), tmp_path / "out", HOG, BuildSettings(SMALL))
        assert contents(tmp_path / "out") == before
