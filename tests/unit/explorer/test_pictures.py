"""Numbers as pictures: a sign is a hue, a size is opacity, and what is no number cannot be overlooked."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from minicnn.explorer.pictures import BROKEN, CELL, NEGATIVE, POSITIVE, limit_of, map_png, photo_png, sheet_png, shrink


def rgba(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_sign_is_a_hue_and_size_is_opacity() -> None:
    pixels = rgba(map_png(np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]]), 2.0))[0]
    assert [tuple(pixel[:3]) for pixel in pixels[[0, 1]]] == [NEGATIVE] * 2
    assert [tuple(pixel[:3]) for pixel in pixels[[3, 4]]] == [POSITIVE] * 2
    opacity = pixels[:, 3].tolist()
    assert opacity[0] == opacity[4] == 255
    assert opacity[1] == opacity[3] == pytest.approx(255 * 0.5**0.6, abs=2)
    assert opacity[2] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_magenta(value: float) -> None:
    pixel = rgba(map_png(np.array([[value, 1.0]]), 1.0))[0, 0]
    assert tuple(pixel) == (*BROKEN, 255)


def test_a_map_has_a_pixel_for_each_number(rng: np.random.Generator) -> None:
    assert rgba(map_png(rng.normal(size=(5, 9)), 1.0)).shape == (5, 9, 4)


def test_a_sheet_has_its_maps_side_by_side_in_reading_order() -> None:
    planes = [np.full((2, 3), float(k)) for k in range(10)]
    opacity = rgba(sheet_png(planes, 9.0))[:, :, 3]
    assert opacity.shape == (4, 24)
    first_of_each = opacity[::2, ::3].reshape(-1)
    assert (np.diff(first_of_each[:10].astype(int)) > 0).all()
    assert (first_of_each[10:] == 0).all()


def test_maps_among_others_are_made_small_by_means(rng: np.random.Generator) -> None:
    plane = rng.normal(size=(4 * CELL, 2 * CELL))
    small = shrink(plane, CELL)
    assert small.shape == (CELL, CELL // 2)
    assert np.allclose(small, plane.reshape(CELL, 4, CELL // 2, 4).mean(axis=(1, 3)), atol=1e-6)
    assert shrink(plane[:5, :5], CELL) is not small
    assert shrink(plane[:5, :5], CELL).shape == (5, 5)


def test_the_scale_is_the_largest_number_and_never_zero() -> None:
    assert limit_of(np.array([1.0, -3.0, np.nan, np.inf])) == 3.0
    assert limit_of(np.zeros(3)) == 1.0


def test_a_large_photograph_is_sent_smaller() -> None:
    photo = np.zeros((100, 2000, 3), np.uint8)
    assert rgba(photo_png(photo)).shape[:2] == (64, 1280)
    assert rgba(photo_png(photo[:, :50])).shape[:2] == (100, 50)
