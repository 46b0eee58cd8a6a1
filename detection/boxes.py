"""Where a face is: a rectangle of pixels, and what a detector said about it.

Boxes are half-open, like Python's slices: a box covers the columns ``left <= x < right`` and the rows
``top <= y < bottom``, so ``picture[box.top:box.bottom, box.left:box.right]`` is what it shows and ``right - left`` is
its width. Pixels are counted from the upper left corner. A box may reach outside its picture: a detector may find a
face whose chin is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minicnn.errors import OptionError, explain


@dataclass(frozen=True, order=True)
class Box:
    """The columns ``left <= x < right`` and the rows ``top <= y < bottom``, in whole pixels; never empty.

    Raises OptionError for coordinates that are no integers, or a box without a pixel in it.
    """

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        edges = (self.left, self.top, self.right, self.bottom)
        if not all(isinstance(edge, (int, np.integer)) and not isinstance(edge, bool) for edge in edges):
            raise OptionError(explain("box edges (left, top, right, bottom) as integers", edges, "Round them first."))
        if self.right <= self.left or self.bottom <= self.top:
            fix = "Boxes are half-open: right and bottom lie one past the last pixel."
            raise OptionError(explain("a box with left < right and top < bottom", edges, fix))
        for name, edge in zip(("left", "top", "right", "bottom"), edges, strict=True):
            object.__setattr__(self, name, int(edge))  # NumPy's integers wrap around; Python's do not

    @property
    def width(self) -> int:
        """Columns in the box."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows in the box."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Pixels in the box."""
        return self.width * self.height

    def intersection(self, other: Box) -> Box | None:
        """The pixels in both boxes, or None when they share none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    def iou(self, other: Box) -> float:
        """Intersection over union, the usual measure of agreement: 0 without a common pixel, 1 for the same box."""
        common = self.intersection(other)
        shared = common.area if common else 0
        return shared / (self.area + other.area - shared)

    def clip(self, width: int, height: int) -> Box | None:
        """The part inside a picture of ``width`` x ``height`` pixels, or None when the box lies outside altogether."""
        return self.intersection(Box(0, 0, width, height))

    def square(self, margin: float = 0.0) -> Box:
        """The square around the same centre: the longer side, plus ``margin`` times that side on each side.

            side = round((1 + 2 * margin) * max(width, height))

        Where the centre falls between two pixels, the square moves half a pixel to the upper left.
        """
        if not math.isfinite(margin) or margin < 0:
            raise OptionError(explain("margin as a number >= 0", repr(margin), "0.2 adds a fifth on every side."))
        side = round((1 + 2 * margin) * max(self.width, self.height))
        left = (self.left + self.right - side) // 2
        top = (self.top + self.bottom - side) // 2
        return Box(left, top, left + side, top + side)


@dataclass(frozen=True)
class Face:
    """One find of a detector.

    ``score`` is how sure the detector was, in its own units: scores of different detectors do not compare.
    ``detector`` is the name of the one that found it.
    """

    box: Box
    score: float
    detector: str


def largest_first(faces: list[Face]) -> list[Face]:
    """Sorted by area, largest first; equal areas by score, best first, then by position: always the same order."""
    return sorted(faces, key=lambda face: (-face.box.area, -face.score, face.box))
