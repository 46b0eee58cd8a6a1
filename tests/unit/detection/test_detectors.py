"""Detectors on real faces: those of the AT&T/ORL set."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from detection.boxes import Box, Face
from detection.crop import crop_photo
from detection.detectors import DETECTORS, DlibHog, FirstFound, OpencvHaar, Steady, make_detector
from detection.images import write_image
from detection.orl import load_orl
from minicnn.errors import DtypeError, MissingDependencyError, OptionError, ShapeError


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W) -> (H, W, 3)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return load_orl().images


@pytest.fixture(scope="module")
def pair(faces) -> np.ndarray:
    """A photograph of two people, the one on the right one and a half times as large: 400x500 pixels."""
    cv2 = pytest.importorskip("cv2", reason="scales the faces")
    photo = np.full((400, 500), 120, np.uint8)
    photo[40:264, 20:204] = cv2.resize(faces[0], None, fx=2, fy=2)
    photo[40:376, 214:490] = cv2.resize(faces[110], None, fx=3, fy=3)
    return rgb(photo)


@pytest.mark.parametrize("name", DETECTORS)
class TestEveryDetector:
    def test_two_faces_largest_first(self, name, pair) -> None:
        found = make_detector(name).detect(pair)
        assert len(found) == 2
        assert found[0].box.area > found[1].box.area
        right, left = Box(214, 40, 490, 376), Box(20, 40, 204, 264)
        for face, person in zip(found, (right, left), strict=True):
            inside = face.box.intersection(person)
            assert inside is not None
            assert inside.area > 0.9 * face.box.area
            assert face.detector == name
            assert face.score > 0

    def test_the_same_picture_gives_the_same_faces(self, name, pair) -> None:
        detector = make_detector(name)
        first = detector.detect(pair)
        assert detector.detect(pair) == first == make_detector(name).detect(np.asfortranarray(pair))

    def test_the_picture_is_left_alone(self, name, pair) -> None:
        before = pair.copy()
        make_detector(name).detect(pair)
        np.testing.assert_array_equal(pair, before)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (20, 20), (300, 300)])
    def test_no_face_is_an_empty_list(self, name, shape) -> None:
        assert make_detector(name).detect(np.full((*shape, 3), 90, np.uint8)) == []

    def test_only_rgb_pictures_are_taken(self, name, pair) -> None:
        with pytest.raises(ShapeError, match=r"\(H, W, 3\)"):
            make_detector(name).detect(pair[:, :, 0])
        with pytest.raises(DtypeError, match="uint8"):
            make_detector(name).detect(pair / 255)
        with pytest.raises(ShapeError, match=r"shape \(0, 500, 3\)"):
            make_detector(name).detect(pair[:0])

    def test_a_missing_library_is_an_error_that_says_how_to_get_it(self, name, pair, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "dlib", None)
        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(MissingDependencyError, match=r"minicnn\[faces\]"):
            make_detector(name).detect(pair)

    def test_a_photo_from_file_to_crop(self, name, pair, tmp_path) -> None:
        write_image(tmp_path / "pair.png", pair)
        (crop,) = crop_photo(tmp_path / "pair.png", make_detector(name))
        assert crop.crop.shape == (200, 200)
        assert crop.crop.std() > 20  # a face, not a wall


def test_the_detectors_agree_where_the_face_is(pair) -> None:
    for one, other in zip(DlibHog().detect(pair), OpencvHaar().detect(pair), strict=True):
        assert one.box.iou(other.box) > 0.5


def test_boxes_are_half_open_and_scores_are_dlibs_own(pair) -> None:
    dlib = pytest.importorskip("dlib", reason="the oracle")
    found, scores, _ = dlib.get_frontal_face_detector().run(pair, 0, 0.0)
    expected = {(r.left(), r.top(), r.width(), r.height()): s for r, s in zip(found, scores, strict=True)}
    ours = {(f.box.left, f.box.top, f.box.width, f.box.height): f.score for f in DlibHog().detect(pair)}
    assert ours == expected


def test_upsampling_brings_small_faces_into_reach(pair) -> None:
    small = np.ascontiguousarray(pair[::3, ::3])  # faces of about 50 and 80 pixels: HOG needs 80
    assert len(DlibHog().detect(small)) == 1
    assert len(DlibHog(upsample=1).detect(small)) == 2


def test_a_higher_threshold_finds_a_subset(pair) -> None:
    all_faces = DlibHog().detect(pair)
    limit = sum(face.score for face in all_faces) / 2
    (best,) = DlibHog(threshold=limit).detect(pair)
    assert best.score == max(face.score for face in all_faces) > limit
    assert best.detector == f"dlib-hog threshold={limit:g}"


def test_a_picture_too_large_to_upsample_is_refused_before_it_is() -> None:
    large = np.broadcast_to(np.uint8(0), (4000, 4000, 3))
    with pytest.raises(ShapeError, match=r"4000x4000 with upsample=2.*Upsample less"):
        DlibHog(upsample=2).detect(large)


def test_opencv_5_has_no_cascades(pair, monkeypatch) -> None:
    cv2 = pytest.importorskip("cv2", reason="the cascade is OpenCV's")
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(MissingDependencyError, match="OpenCV 4"):
        OpencvHaar().detect(pair)


class TestFirstFound:
    def test_later_detectors_are_asked_only_when_nothing_was_found(self, pair) -> None:
        asked = []

        class Counting:
            def __init__(self, name: str, faces: list[Face]) -> None:
                self.name, self.faces = name, faces

            def detect(self, picture: np.ndarray) -> list[Face]:
                asked.append(self.name)
                return self.faces

        face = Face(Box(0, 0, 9, 9), 1.0, "b")
        chain = FirstFound(Counting("a", []), Counting("b", [face]), Counting("c", []))
        assert chain.detect(pair) == [face]
        assert asked == ["a", "b"]
        assert chain.name == "a, then b, then c"
        assert FirstFound(Counting("a", [])).detect(pair) == []

    def test_none_at_all_is_an_error(self) -> None:
        with pytest.raises(OptionError, match="at least one detector"):
            FirstFound()


class TestSteady:
    def test_boxes_of_two_takes_of_one_picture_agree_better(self, faces) -> None:
        """The same face, moved by a few pixels and mirrored: where is it, in the first one's pixels?"""
        cv2 = pytest.importorskip("cv2", reason="scales the faces")
        plain, steady = DlibHog(), Steady(DlibHog())
        apart = {}
        for detector in (plain, steady):
            apart[detector.name] = []
            for i in range(0, 400, 40):
                one = rgb(cv2.resize(faces[i], None, fx=1.7, fy=1.7))
                other = np.ascontiguousarray(one[3:, -6::-1])  # three rows and five columns less, then mirrored
                (a,), (b,) = detector.detect(one), detector.detect(other)
                width = other.shape[1]
                back = Box(width - b.box.right, b.box.top + 3, width - b.box.left, b.box.bottom + 3)
                apart[detector.name].append(1 - a.box.iou(back))
        assert np.mean(apart[steady.name]) < 0.6 * np.mean(apart[plain.name])

    def test_two_people_stay_two(self, pair) -> None:
        found = Steady(DlibHog()).detect(pair)
        assert len(found) == 2
        for face, single in zip(found, DlibHog().detect(pair), strict=True):
            assert face.box.iou(single.box) > 0.6
            assert face.detector == "dlib-hog, median of 8"

    def test_the_median_of_what_most_copies_show(self) -> None:
        """A square that is found in every copy, but for two that go astray; and one that is found only once."""
        asked: list[tuple[int, ...]] = []

        class Scripted:
            name = "scripted"

            def detect(self, picture: np.ndarray) -> list[Face]:
                asked.append(picture.shape)
                scale, mirrored = picture.shape[1] / 200, len(asked) % 2 == 0
                left, right = (200 - 90, 200 - 40) if mirrored else (40, 90)
                wide = 10 if len(asked) == 3 else 0
                edges = (left - wide, 20 - wide, right + wide, 70 + wide)
                box = Box(*(round(scale * edge) for edge in edges))
                return [Face(box, float(len(asked)), "scripted")] + [Face(Box(0, 90, 9, 99), 1.0, "?")] * (
                    len(asked) == 1
                )

        (face,) = Steady(Scripted(), (1.0, 2.0)).detect(np.zeros((100, 200, 3), np.uint8))
        assert face == Face(Box(40, 20, 90, 70), 2.5, "scripted, median of 4")
        assert asked == [(100, 200, 3), (100, 200, 3), (200, 400, 3), (200, 400, 3)]

    def test_no_face_and_no_picture(self) -> None:
        assert Steady(DlibHog()).detect(np.full((60, 60, 3), 90, np.uint8)) == []
        with pytest.raises(ShapeError, match=r"\(H, W, 3\)"):
            Steady(DlibHog()).detect(np.zeros((60, 60), np.uint8))

    @pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (float("nan"),), (11.0,)])
    def test_scales_that_make_no_sense(self, scales) -> None:
        with pytest.raises(OptionError, match="scales, at least one"):
            Steady(DlibHog(), scales)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("dlib", {}, "dlib-hog, opencv-haar"),
        ("dlib-hog", {"min_neighbors": 3}, "upsample, threshold"),
        ("dlib-hog", {"upsample": 4}, "0 to 3"),
        ("dlib-hog", {"upsample": True}, "upsample"),
        ("dlib-hog", {"threshold": float("nan")}, "threshold"),
        ("opencv-haar", {"min_neighbors": 0}, "min_neighbors"),
    ],
)
def test_unknown_detectors_and_options_are_refused(name, options, said) -> None:
    with pytest.raises(OptionError, match=said):
        make_detector(name, **options)
