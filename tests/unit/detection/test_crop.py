"""Crops: the border rule, both directions of scaling, the policies, and the batch a network takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.boxes import Box, Face
from detection.crop import CropSettings, as_input, crop_face, crop_photo, standardise
from detection.images import to_grey, write_image
from minicnn.errors import DtypeError, ImageError, NoFaceError, OptionError, ShapeError
from tests.unit.detection.pictures import gradient

PICTURE = gradient(40, 60)


class Finds:
    """A detector that has made up its mind."""

    name = "told"

    def __init__(self, *boxes: Box) -> None:
        self.faces = [Face(box, 1.0, self.name) for box in boxes]

    def detect(self, rgb: np.ndarray) -> list[Face]:
        return self.faces


class TestCropFace:
    @given(st.integers(-9, 55), st.integers(-9, 35), st.integers(10, 30), st.sampled_from([0, 0.25, 1]))
    def test_unscaled_crops_are_windows_of_the_picture_with_its_edges_repeated(self, left, top, side, margin) -> None:
        padded = np.pad(PICTURE, ((99, 99), (99, 99), (0, 0)), mode="edge")
        box = Box(left, top, left + side, top + side)
        square = box.square(margin)
        expected = padded[square.top + 99 : square.bottom + 99, square.left + 99 : square.right + 99]
        crop = crop_face(PICTURE, box, CropSettings(size=square.width, colour="rgb", margin=margin))
        np.testing.assert_array_equal(crop, expected)

    def test_shrinking_averages(self, rng) -> None:
        noise = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        crop = crop_face(noise, Box(0, 0, 40, 40), CropSettings(size=10, colour="rgb", margin=0))
        means = noise.reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))  # (40, 40, 3) -> (10, 4, 10, 4, 3) -> (10, 10, 3)
        assert np.abs(crop - means).max() <= 0.51

    def test_enlarging_keeps_a_straight_slope_straight(self) -> None:
        slope = np.repeat(np.tile(np.arange(0, 200, 10, dtype=np.uint8), (20, 1))[:, :, None], 3, axis=2)
        crop = crop_face(slope, Box(0, 0, 20, 20), CropSettings(size=100, margin=0)).astype(int)
        assert np.abs(np.diff(crop[:, 10:-10], axis=1) - 2).max() <= 1  # 10 levels per pixel, 5 times larger
        assert (np.diff(crop, axis=0) == 0).all()

    @pytest.mark.parametrize("size", [1, 7, 200])
    def test_grey_and_rgb(self, size) -> None:
        box = Box(10, 5, 40, 35)
        grey = crop_face(PICTURE, box, CropSettings(size=size))
        rgb = crop_face(PICTURE, box, CropSettings(size=size, colour="rgb"))
        assert grey.shape == (size, size)
        assert rgb.shape == (size, size, 3)
        assert grey.dtype == rgb.dtype == np.uint8
        assert np.abs(to_grey(rgb).astype(int) - grey).max() <= 2  # two roundings in another order

    def test_the_default_is_a_grey_crop_of_200(self) -> None:
        assert crop_face(PICTURE, Box(10, 5, 40, 35)).shape == (200, 200)

    def test_a_box_that_misses_the_picture_is_an_error(self) -> None:
        with pytest.raises(OptionError, match=r"60x40.*another picture"):
            crop_face(PICTURE, Box(60, 0, 70, 10))

    @pytest.mark.parametrize(
        "option",
        [{"size": 0}, {"size": 5000}, {"size": 2.0}, {"colour": "gray"}, {"margin": -0.1}, {"margin": float("nan")},
         {"margin": "0.1"}, {"policy": "best"}],
    )  # fmt: skip
    def test_impossible_settings_are_refused(self, option) -> None:
        with pytest.raises(OptionError, match=next(iter(option))):
            CropSettings(**option)


class TestPolicies:
    large, small = Box(0, 0, 30, 30), Box(35, 5, 55, 25)

    def test_largest(self) -> None:
        (crop,) = crop_photo(PICTURE, Finds(self.large, self.small))
        assert crop.face.box == self.large
        np.testing.assert_array_equal(crop.crop, crop_face(PICTURE, self.large))

    def test_all(self) -> None:
        crops = crop_photo(PICTURE, Finds(self.large, self.small), CropSettings(policy="all"))
        assert [crop.face.box for crop in crops] == [self.large, self.small]

    def test_only(self, tmp_path) -> None:
        settings = CropSettings(policy="only")
        assert len(crop_photo(PICTURE, Finds(self.small), settings)) == 1
        write_image(tmp_path / "pair.png", PICTURE)
        with pytest.raises(ImageError, match=r"pair\.png'.*exactly one face.*Received: 2 faces"):
            crop_photo(tmp_path / "pair.png", Finds(self.large, self.small), settings)

    @pytest.mark.parametrize("policy", ["largest", "only", "all"])
    def test_no_face_names_the_photo_and_what_to_try(self, tmp_path, policy) -> None:
        write_image(tmp_path / "sea.png", PICTURE)
        with pytest.raises(
            NoFaceError, match=r"sea\.png'.*none in 60x40 pixels.*started with --upsample 1; in Python, upsample=1"
        ):
            crop_photo(tmp_path / "sea.png", Finds(), CropSettings(policy=policy))

    def test_an_array_or_its_file(self, tmp_path) -> None:
        write_image(tmp_path / "a.png", PICTURE)
        (from_file,) = crop_photo(tmp_path / "a.png", Finds(self.small))
        (from_array,) = crop_photo(PICTURE, Finds(self.small))
        np.testing.assert_array_equal(from_file.crop, from_array.crop)
        assert from_file.photo == str(tmp_path / "a.png")


class TestAsInput:
    def test_grey_gets_a_channel_axis_and_255_becomes_1(self) -> None:
        batch = as_input([np.full((4, 5), level, np.uint8) for level in (0, 51, 255)])
        assert batch.shape == (3, 4, 5, 1)
        assert batch.dtype == np.float32
        np.testing.assert_array_equal(batch[:, 0, 0, 0], np.array([0, 51, 255], np.float32) / np.float32(255))

    def test_rgb_and_float64(self) -> None:
        batch = as_input(PICTURE[None], np.float64)
        assert batch.dtype == np.float64
        np.testing.assert_array_equal(batch, PICTURE[None] / 255)

    def test_what_is_no_batch_of_crops(self) -> None:
        with pytest.raises(ShapeError, match="no crop at all"):
            as_input([])
        with pytest.raises(ShapeError, match=r"\(2, 2\), \(3, 3\)"):
            as_input([np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8)])
        with pytest.raises(ShapeError, match="batch axis"):
            as_input(np.zeros((4, 5), np.uint8))
        with pytest.raises(ShapeError, match="H, W, 3"):
            as_input(np.zeros((1, 4, 5, 4), np.uint8))
        with pytest.raises(DtypeError, match="uint8"):
            as_input(np.zeros((1, 4, 5)))


class TestStandardise:
    def test_mean_0_and_deviation_1_for_each_picture(self) -> None:
        x = np.random.default_rng(0).uniform(0.2, 0.9, (3, 8, 9, 2)) * np.array([0.1, 0.5, 1]).reshape(3, 1, 1, 1)
        y = standardise(x)
        np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), 0, atol=1e-14)
        np.testing.assert_allclose(y.std(axis=(1, 2, 3)), 1)
        np.testing.assert_allclose(y[1], (x[1] - x[1].mean()) / x[1].std())

    def test_light_makes_no_difference(self) -> None:
        x = np.random.default_rng(1).random((2, 8, 8, 1), np.float32)
        y = standardise(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(standardise(np.float32(0.4) * x + np.float32(0.3)), y, atol=1e-5)

    def test_an_empty_crop_stays_empty(self) -> None:
        x = np.stack([np.zeros((6, 6, 1)), np.full((6, 6, 1), 0.1)]).astype(np.float32)
        np.testing.assert_array_equal(standardise(x), np.zeros_like(x))

    def test_what_is_no_batch(self) -> None:
        with pytest.raises(ShapeError, match="H, W, C"):
            standardise(np.zeros((6, 6)))
        with pytest.raises(DtypeError):
            standardise(np.zeros((1, 6, 6, 1), np.uint8))
