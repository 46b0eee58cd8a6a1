"""Faces to names, with a network that is a function: what it is shown, and what becomes of its answers."""

from __future__ import annotations

import numpy as np
import pytest

from detection.align import Eyes
from detection.boxes import Box, Face
from detection.crop import CropSettings, as_input, crop_face, standardise
from detection.orl import orl_detector
from detection.recognise import Named, Recogniser, crop_settings, detector_named, eye_finder, face_inputs
from minicnn.errors import LoadError, OptionError
from minicnn.recognition.identify import Answers
from tests.unit.detection.pictures import gradient

FACES = [Face(Box(5, 5, 25, 25), 2.0, "fake"), Face(Box(30, 10, 44, 24), 1.0, "fake")]
SETTINGS = CropSettings(size=16)
ORL = orl_detector().name


class Fake:
    """A detector that finds what it is told."""

    name = "fake"

    def __init__(self, faces: list[Face]) -> None:
        self.faces = faces

    def detect(self, rgb: np.ndarray) -> list[Face]:
        return self.faces


def test_the_network_sees_the_crops_of_the_training() -> None:
    seen = []

    def answers(x: np.ndarray) -> Answers:
        seen.append(x)
        return Answers(np.array([1, -1]), np.array([1, 0]), np.array([0.2, 1.3]), np.array([0.9, 0.3]))

    named = Recogniser(answers, ("Ann", "Bob"), Fake(FACES), SETTINGS).faces(gradient())
    crops = [crop_face(gradient(), face.box, SETTINGS) for face in FACES]
    assert np.array_equal(seen[0], standardise(as_input(crops)))
    assert [(face.name, face.best, face.label) for face in named] == [
        ("Bob", "Bob", "Bob 90 %"),
        (None, "Ann", "unknown"),
    ]
    assert named[0].to_dict() == {
        "name": "Bob",
        "known": True,
        "best": "Bob",
        "probability": 0.9,
        "distance": 0.2,
        "left": 5,
        "top": 5,
        "right": 25,
        "bottom": 25,
        "score": 2.0,
        "detector": "fake",
    }


def test_without_faces_the_network_is_not_asked() -> None:
    def answers(x: np.ndarray) -> Answers:
        raise AssertionError

    assert Recogniser(answers, ("Ann",), Fake([]), SETTINGS).faces(gradient()) == ()


def test_almost_certain_is_not_certain() -> None:
    assert Named(FACES[0], "Ann", "Ann", 0.2, 0.9999).label == "Ann 99 %"
    assert Named(FACES[0], "Ann", "Ann", 0.4321).label == "Ann 0.43"


def test_levelled_faces_are_turned() -> None:
    class Tilted:
        name = "fake"

        def find(self, rgb: np.ndarray, box: Box) -> Eyes | None:
            return Eyes((10.0, 10.0), (20.0, 15.0)) if box == FACES[0].box else None

    plain, turned = face_inputs(gradient(), FACES, SETTINGS), face_inputs(gradient(), FACES, SETTINGS, Tilted())
    assert np.abs(plain[0] - turned[0]).max() > 0.1
    assert np.array_equal(plain[1], turned[1])  # no pair of eyes: as it is


def test_crops_as_the_run_has_them() -> None:
    described = {"size": 96, "colour": "rgb", "margin": 0.25, "align": "eyes", "policy": "alike"}
    assert crop_settings(described, (96, 96, 3)) == CropSettings(96, "rgb", 0.25)
    assert crop_settings({}, (64, 64, 1)) == CropSettings(64, "grey")
    with pytest.raises(OptionError, match="NxNx1"):
        crop_settings({}, (64, 32, 1))


def test_what_levels_faces(tmp_path: object) -> None:
    assert eye_finder(None) is None
    assert eye_finder("none") is None
    assert eye_finder("eyes").name == "eyes"  # type: ignore[union-attr]
    with pytest.raises(OptionError, match="--landmarks FILE"):
        eye_finder("landmarks")
    with pytest.raises(LoadError, match="nothing"):
        eye_finder("landmarks", tmp_path / "nothing.dat")  # type: ignore[operator]


@pytest.mark.parametrize(
    "name",
    [
        "dlib-hog",
        "dlib-hog upsample=1",
        "dlib-hog threshold=-0.2",
        "opencv-haar min_neighbors=3",
        "dlib-hog, then opencv-haar",
        ORL,
    ],
)
def test_a_detector_has_the_name_it_was_made_from(name: str) -> None:
    assert detector_named(name).name == name


@pytest.mark.parametrize("name", ["", "magic", "dlib-hog, median of 9", "dlib-hog upsample=x", "dlib-cnn"])
def test_detectors_that_a_name_does_not_make(name: str) -> None:
    with pytest.raises(OptionError, match="--detector"):
        detector_named(name)
