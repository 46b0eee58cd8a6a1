"""Eyes are found where they are, tilted heads come out level, and what could not be eyes is left alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.align import MAX_TILT, CascadeEyes, Eyes, LandmarkEyes, level, plausible
from detection.boxes import Box
from detection.crop import CropSettings, crop_face
from detection.detectors import DlibHog
from detection.optional import load_cv2
from minicnn.errors import LoadError
from tests.unit.detection.dataset.people import photo
from tests.unit.detection.pictures import gradient

BOX = Box(20, 30, 120, 130)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def tilted(picture: np.ndarray, angle: float) -> np.ndarray:
    """Turned clockwise by ``angle`` degrees, as seen: the right eye sinks."""
    cv2 = load_cv2("a test")
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1.0)
    return cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


class TestPlausible:
    def test_two_eyes_in_either_order(self) -> None:
        left, right = (50.0, 60.0), (92.0, 64.0)
        assert plausible(left, right, BOX) == plausible(right, left, BOX) == Eyes(left, right)
        assert Eyes(left, right).angle == pytest.approx(math.degrees(math.atan2(4, 42)))

    @pytest.mark.parametrize(
        "first, second",
        [
            ((50, 60), (66, 60)),  # both left of the middle
            ((60, 60), (80, 60)),  # too close
            ((25, 60), (115, 60)),  # too far apart
            ((50, 40), (90, 80)),  # tilted too far
        ],
    )
    def test_what_cannot_be_eyes(self, first, second) -> None:
        assert plausible(first, second, BOX) is None


class TestLevel:
    @given(st.floats(-30, 30), st.floats(30, 45), st.integers(0, 60), st.integers(0, 60))
    def test_eyes_are_level_afterwards(self, angle, distance, x, y) -> None:
        """Two dots as eyes, anywhere: after levelling they are in one row, as far apart as before."""
        box = Box(x + 20, y + 20, x + 100, y + 100)
        picture = np.zeros((180, 180, 3), np.uint8)
        middle = np.array([x + 60, y + 55])
        across = distance / 2 * np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        grid = np.mgrid[0:180, 0:180][::-1]  # (2, H, W): x, y of each pixel
        for sign, channel in ((-1, 0), (1, 1)):
            dot = (middle + sign * across)[:, None, None]
            picture[..., channel] = 255 * np.exp(-((grid - dot) ** 2).sum(axis=0) / 8)
        turned, moved = level(picture, box, angle)
        found = []
        for channel in (0, 1):
            weight = turned[..., channel].astype(float)
            found.append((np.mgrid[0 : turned.shape[0], 0 : turned.shape[1]] * weight).sum(axis=(1, 2)) / weight.sum())
        (top_left, left), (top_right, right) = found
        assert abs(top_left - top_right) < 0.3
        assert right - left == pytest.approx(distance, abs=0.5)
        assert (moved.width, moved.height) == (box.width, box.height)

    def test_the_middle_of_the_box_stays_where_it_is(self) -> None:
        picture = np.zeros((200, 300, 3), np.uint8)
        picture[99:102, 149:152] = 255
        box = Box(100, 50, 201, 151)  # its middle is the middle of pixel (150, 100)
        turned, moved = level(picture, box, 25)
        bright = np.argwhere(turned[..., 0] > 128)
        assert np.allclose(
            bright.mean(axis=0), [(moved.top + moved.bottom - 1) / 2, (moved.left + moved.right - 1) / 2]
        )

    def test_only_what_a_crop_can_reach_is_turned_and_the_crop_is_the_same(self) -> None:
        """A face in a large photograph: cutting out its surroundings first changes nothing."""
        cv2 = load_cv2("a test")
        picture = np.ascontiguousarray(gradient(900, 1200))
        box = Box(500, 400, 580, 480)
        turned, moved = level(picture, box, 20)
        assert turned.shape[0] < 600
        turn = cv2.getRotationMatrix2D((539.5, 439.5), 20, 1.0)
        whole = cv2.warpAffine(picture, turn, (1200, 900), borderMode=cv2.BORDER_REPLICATE)
        settings = CropSettings(size=100, colour="rgb", margin=1.0)
        difference = crop_face(turned, moved, settings).astype(int) - crop_face(whole, box, settings)
        assert np.abs(difference).max() <= 1

    def test_no_angle_and_a_box_outside_change_nothing(self) -> None:
        picture = gradient()
        assert level(picture, BOX, 0)[0] is picture
        assert level(picture, Box(900, 900, 910, 910), 10)[0] is picture


class TestCascadeEyes:
    def test_eyes_of_most_faces_are_found_and_follow_the_tilt(self) -> None:
        finder, detector = CascadeEyes(), DlibHog()
        errors, faces = [], 0
        for person in range(0, 40, 4):
            upright = rgb(photo(person, 0))
            for angle in (-10, 10):
                found = [
                    finder.find(picture, faces[0].box)
                    for picture in (upright, tilted(upright, angle))
                    if (faces := detector.detect(picture))
                ]
                if len(found) == 2 and all(found):
                    errors.append(abs(found[1].angle - found[0].angle - angle))
            faces = 20
        assert len(errors) >= 0.5 * faces
        assert np.median(errors) < 3

    def test_a_wall_has_no_eyes(self) -> None:
        assert CascadeEyes().find(np.full((200, 200, 3), 90, np.uint8), BOX) is None
        assert CascadeEyes().find(np.full((20, 20, 3), 90, np.uint8), BOX) is None
        assert CascadeEyes().find(np.full((300, 300, 3), 90, np.uint8), Box(50, -200, 150, -60)) is None

    def test_no_pair_is_tilted_further_than_a_head(self, rng) -> None:
        finder = CascadeEyes()
        for _ in range(5):
            noise = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
            eyes = finder.find(noise, BOX)
            assert eyes is None or abs(eyes.angle) <= MAX_TILT


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    dlib = pytest.importorskip("dlib", reason="trains the model")
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(4)
    pictures, faces = [], []
    for _ in range(60):
        picture, box, points = drawn_face(rng.uniform(-20, 20), rng)
        parts = dlib.points([dlib.point(round(x), round(y)) for x, y in points])
        rectangle = dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1)
        pictures.append(picture)
        faces.append([dlib.full_object_detection(rectangle, parts)])
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.tree_depth, options.cascade_depth = 5, 3, 8
    options.num_trees_per_cascade_level, options.num_threads, options.be_verbose = 60, 2, False
    dlib.train_shape_predictor(pictures, faces, options).save(str(folder / "drawn.dat"))
    return str(folder / "drawn.dat")


class TestLandmarkEyes:
    """dlib's own models are large and not ours to ship; a small one is trained here, on drawn faces."""

    @pytest.mark.slow
    def test_the_tilt_of_drawn_faces_is_measured(self, model) -> None:
        finder, rng = LandmarkEyes(model), np.random.default_rng(5)
        for angle in (-15, -5, 0, 8, 17):
            picture, box, _ = drawn_face(angle, rng)
            eyes = finder.find(picture, box)
            assert eyes is not None
            assert abs(eyes.angle - angle) < 4

    def test_a_missing_file_and_one_that_is_no_model(self, tmp_path) -> None:
        with pytest.raises(LoadError, match=r"shape\.dat.*no such file"):
            LandmarkEyes(tmp_path / "shape.dat")
        with pytest.raises(LoadError, match="a folder"):
            LandmarkEyes(tmp_path)
        (tmp_path / "shape.dat").write_bytes(b"PK\x03\x04" + bytes(100))
        with pytest.raises(LoadError, match=r"shape\.dat.*dlib refuses"):
            LandmarkEyes(tmp_path / "shape.dat").find(np.zeros((200, 200, 3), np.uint8), BOX)


def drawn_face(angle: float, rng: np.random.Generator) -> tuple[np.ndarray, Box, list[tuple[float, float]]]:
    """An oval with two eyes and a nose, tilted by ``angle``; the five points as dlib's model has them."""
    cv2 = load_cv2("a test")
    picture = rng.integers(100, 130, (200, 200, 3), dtype=np.uint8)
    centre = np.array([100.0, 100.0]) + rng.uniform(-3, 3, 2)
    turn = math.radians(angle)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            centre[0] + x * math.cos(turn) - y * math.sin(turn),
            centre[1] + x * math.sin(turn) + y * math.cos(turn),
        )

    cv2.ellipse(picture, tuple(round(v) for v in at(0, 0)), (50, 65), angle, 0, 360, (200, 190, 180), -1)
    points = [at(30, -20), at(14, -20), at(-30, -20), at(-14, -20), at(0, 15)]  # dlib's order
    for outer, inner in ((0, 1), (2, 3)):
        middle = tuple(round((a + b) / 2) for a, b in zip(points[outer], points[inner], strict=True))
        cv2.ellipse(picture, middle, (9, 5), angle, 0, 360, (20, 20, 20), -1)
    cv2.circle(picture, tuple(round(v) for v in points[4]), 5, (90, 60, 60), -1)
    return picture, Box(45, 45, 155, 155), points
