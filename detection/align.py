"""Level eyes: faces turned in the plane of the picture are turned back before they are cut out.

A network that compares pixels has to learn every tilt of a head that it is shown; a head that is always upright leaves
it nothing to learn. The tilt is the angle of the line between the eyes,

    angle = atan2(right.y - left.y, right.x - left.x)

with "left" and "right" as seen in the picture, y downwards. The picture is turned by that angle around the middle of
the face's box, so the box stays where it is and every rule of ``detection.crop`` still holds.

Two ways to find the eyes:

- ``LandmarkEyes``: dlib's regression trees, which move 5 or 68 points step by step to where a face's features are. They
  need a model file that the user brings along. Precise.
- ``CascadeEyes``: OpenCV's Haar cascade for eyes, searched in the upper part of the box. Needs nothing, but takes a
  nostril for an eye now and then; so only a pair that could be two eyes counts, and otherwise nothing is turned.

Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR 2014.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from detection.boxes import Box
from detection.detectors.opencv_haar import load_cascade
from detection.images import check_rgb, to_grey
from detection.model_files import model_file, refused
from detection.optional import load_cv2, load_dlib
from minicnn.errors import LoadError, explain
from minicnn.shapes import Array

CASCADE = "haarcascade_eye.xml"
MODEL = "dlib's landmarks, shape_predictor_5_face_landmarks.dat or ..._68_..."
EYE_POINTS = {5: ((0, 1), (2, 3)), 68: (tuple(range(36, 42)), tuple(range(42, 48)))}
MAX_TILT = 30.0  # degrees: no detector here finds a head that is tilted further
SEARCHED = 200  # pixels: the width to which a face is scaled before its eyes are sought
UPPER_PART = 0.6  # of the box: below are mouth and nostrils
APART = (0.3, 0.7)  # how far apart eyes are, as a fraction of the box's width
REACH = 2.5  # how much of the picture is turned: enough for a crop with the largest margin, corners included

Point = tuple[float, float]


@dataclass(frozen=True)
class Eyes:
    """The middle of each eye as (x, y) in pixels of the photograph; ``left`` is the left one in the picture."""

    left: Point
    right: Point

    @property
    def angle(self) -> float:
        """The tilt in degrees: positive when the right eye is the lower one."""
        return math.degrees(math.atan2(self.right[1] - self.left[1], self.right[0] - self.left[0]))


class EyeFinder(Protocol):
    """Finds the eyes of a face. ``name`` is written into the manifest of every dataset."""

    name: str

    def find(self, rgb: Array, box: Box) -> Eyes | None:
        """The eyes of the face in ``box`` of an RGB picture, or None when there is no pair to be sure of."""
        ...


class LandmarkEyes:
    """Eyes by dlib's landmarks. ``model``: the file of a shape predictor with 5 or 68 points.

    Raises LoadError when the file is missing; what is in it shows when the first face is searched.
    """

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.model = model_file(model, MODEL)
        self.name = "landmarks"
        self._predictor: Any = None

    def find(self, rgb: Array, box: Box) -> Eyes | None:
        """See ``EyeFinder.find``. Raises LoadError for a file that is no shape predictor with 5 or 68 points."""
        check_rgb(rgb)
        dlib = load_dlib("Finding landmarks")
        if self._predictor is None:
            try:
                self._predictor = dlib.shape_predictor(self.model)
            except RuntimeError as error:
                raise refused(self.model, MODEL, error) from None
        # dlib's rectangles include their last row and column
        rectangle = dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1)
        shape = self._predictor(np.ascontiguousarray(rgb), rectangle)
        groups = EYE_POINTS.get(shape.num_parts)
        if groups is None:
            raise LoadError(f"'{self.model}': {explain('a model with 5 or 68 points', f'{shape.num_parts} points')}")
        points = [[(shape.part(i).x, shape.part(i).y) for i in group] for group in groups]
        first, second = (tuple(np.mean(group, axis=0).tolist()) for group in points)
        return plausible(first, second, box)


class CascadeEyes:
    """Eyes by OpenCV's cascade: of all pairs that could be eyes, the one the cascade is surest of."""

    def __init__(self) -> None:
        self.name = "eyes"
        self._cascade: Any = None

    def find(self, rgb: Array, box: Box) -> Eyes | None:
        """See ``EyeFinder.find``."""
        check_rgb(rgb)
        inside = box.clip(rgb.shape[1], rgb.shape[0])
        if inside is None:
            return None
        cv2 = load_cv2("Finding eyes")
        if self._cascade is None:
            self._cascade = load_cascade(CASCADE, "Finding eyes")
        bottom = min(inside.bottom, box.top + round(UPPER_PART * box.height))
        if bottom <= inside.top:
            return None
        part = to_grey(rgb[inside.top : bottom, inside.left : inside.right])
        scale = SEARCHED / box.width
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = cv2.equalizeHist(cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
        least, most = round(0.12 * SEARCHED), round(0.4 * SEARCHED)
        found, _, weights = self._cascade.detectMultiScale3(
            part, 1.05, 3, minSize=(least, least), maxSize=(most, most), outputRejectLevels=True
        )
        eyes = [
            ((inside.left + (x + w / 2) / scale, inside.top + (y + h / 2) / scale), float(weight))
            for (x, y, w, h), weight in zip(found, weights, strict=True)
        ]
        pairs = [
            (first[1] + second[1], pair)
            for first, second in itertools.combinations(eyes, 2)
            if (pair := plausible(first[0], second[0], box)) is not None
        ]
        return max(pairs, key=lambda pair: pair[0])[1] if pairs else None


def plausible(first: Point, second: Point, box: Box) -> Eyes | None:
    """The two points as eyes, in order, or None when they cannot be the eyes of the face in ``box``.

    They must lie on either side of the box's middle, as far apart as eyes are, and tilted by 30 degrees at most.
    """
    left, right = sorted((first, second))
    middle = (box.left + box.right) / 2
    distance = math.dist(left, right) / box.width
    eyes = Eyes(left, right)
    usable = left[0] < middle < right[0] and APART[0] <= distance <= APART[1] and abs(eyes.angle) <= MAX_TILT
    return eyes if usable else None


def level(rgb: Array, box: Box, angle: float) -> tuple[Array, Box]:
    """A picture in which the face of ``box`` is turned by ``-angle`` degrees around its middle, and its box there.

    Only the surroundings that a crop can reach come along; where they leave the picture, its outermost pixels are
    repeated, as ``detection.crop`` does.
    """
    check_rgb(rgb)
    height, width = rgb.shape[:2]
    around = box.square(REACH).clip(width, height)
    if around is None or angle == 0:
        return rgb, box
    cv2 = load_cv2("Turning a face")
    part = np.ascontiguousarray(rgb[around.top : around.bottom, around.left : around.right])
    moved = Box(box.left - around.left, box.top - around.top, box.right - around.left, box.bottom - around.top)
    # Pixel (0, 0) covers 0..1, its middle is at 0.5; OpenCV counts from the middle of the first pixel.
    centre = ((moved.left + moved.right - 1) / 2, (moved.top + moved.bottom - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, angle, 1.0)
    size = (part.shape[1], part.shape[0])
    turned: Array = cv2.warpAffine(part, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return turned, moved
