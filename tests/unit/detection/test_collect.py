"""A folder of photographs, one of which cannot be used: the others are not lost, and that one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import detection.detectors.dlib_hog as dlib_hog
from detection.boxes import Box, Face
from detection.collect import find_photos, search_photos
from detection.detectors import DlibHog
from detection.images import list_images, look_through, write_image
from minicnn.errors import ImageError, ShapeError
from tests.unit.detection.dataset.people import photo


class Narrow:
    """A detector that finds a face in every picture of at most ``width`` pixels, and takes no wider ones."""

    name = "narrow"

    def __init__(self, width: int = 20) -> None:
        self.width = width

    def detect(self, rgb: np.ndarray) -> list[Face]:
        if rgb.shape[1] > self.width:
            raise ShapeError(f"Expected at most {self.width} columns. Received: {rgb.shape[1]}.")
        return [Face(Box(1, 2, 9, 9), 0.5, self.name)]


def write_row(folder: Path, *widths: int) -> list[Path]:
    for number, width in enumerate(widths):
        write_image(folder / f"{number}.png", np.full((10, width), 90, np.uint8))
    return sorted(folder.iterdir())


class TestTooLarge:
    def test_the_others_are_searched(self, tmp_path) -> None:
        photos = write_row(tmp_path, 12, 30, 14)
        first, large, last = search_photos(photos, Narrow())
        assert (first.problem, last.problem) == (None, None)
        assert (len(first.faces), len(last.faces)) == (1, 1)
        assert large.problem == f"'{photos[1]}': Expected at most 20 columns. Received: 30."
        assert (large.rgb, large.faces) == (None, ())  # no face was looked for: advice on finding more is of no use

    def test_a_limit_of_dlib(self, tmp_path, monkeypatch) -> None:
        write_image(tmp_path / "a.png", photo(0, 0))
        write_image(tmp_path / "b.png", photo(1, 0).repeat(2, axis=0).repeat(2, axis=1))
        monkeypatch.setattr(dlib_hog, "MAX_UPSAMPLED_PIXELS", photo(0, 0).size)
        a, b = search_photos(find_photos(tmp_path), DlibHog())
        assert len(a.faces) == 1
        assert b.problem is not None
        assert b.problem.startswith(f"'{tmp_path / 'b.png'}': Expected at most")
        assert "Upsample less, or make the picture smaller." in b.problem


class TestAFolderThatCannotBeRead:
    def test_it_is_said_and_the_others_are_listed(self, closed, tmp_path) -> None:
        for name in ("open", "closed"):
            (tmp_path / name).mkdir()
            write_row(tmp_path / name, 12)
        closed.append(tmp_path / "closed")
        said: list[str] = []
        assert find_photos(tmp_path, say=said.append) == [tmp_path / "open" / "0.png"]
        assert said == [
            f"Passed over: '{tmp_path / 'closed'}': Expected a folder that can be read. Received: Permission denied. "
            "Check its permissions."
        ]

    def test_pictures_that_are_not_all_listed_are_an_error(self, closed, tmp_path) -> None:
        (tmp_path / "closed").mkdir()
        write_row(tmp_path / "closed", 12)
        write_image(tmp_path / "a.png", np.full((10, 10), 90, np.uint8))
        assert len(list_images(tmp_path)) == 2
        closed.append(tmp_path / "closed")
        with pytest.raises(ImageError, match=r"closed.*can be read\. Received: Permission denied"):
            list_images(tmp_path)

    def test_nothing_else_there_is_an_error(self, closed, tmp_path) -> None:
        (tmp_path / "closed").mkdir()
        closed.append(tmp_path / "closed")
        with pytest.raises(ImageError, match=r"closed.*can be read\. Received: Permission denied"):
            look_through(tmp_path, lambda error: None)
        closed.append(tmp_path)
        with pytest.raises(ImageError, match=r"can be read\. Received: Permission denied"):
            find_photos(tmp_path)
