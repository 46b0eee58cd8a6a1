"""From a photograph to what a network sees: one square crop of one size per face.

**The rule for every crop, at the border or not.** The square around the detector's box, enlarged by the margin, is cut
out; where it leaves the picture, the picture's outermost pixels are repeated. So the face always sits in the middle at
the same scale. The alternatives all show the network something that is not there: a black or white border is the
strongest edge in the crop, a mirrored one gives a second chin, and a square that is pushed back inside or made smaller
moves the face or changes its size.

**Scaling.** Shrinking averages the pixels that fall together (``INTER_AREA``): nothing aliases. Enlarging interpolates
cubically (``INTER_CUBIC``): smooth, yet sharper than linear.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detection.boxes import Box, Face
from detection.detectors.base import Detector
from detection.headers import refuse
from detection.images import check_rgb, read_image, to_grey
from detection.optional import load_cv2
from minicnn.errors import DtypeError, NoFaceError, OptionError, ShapeError, explain
from minicnn.shapes import Array, check_array

COLOURS = ("grey", "rgb")
POLICIES = ("largest", "only", "all")
MAX_SIZE = 4096
MAX_MARGIN = 1.0
#: what to try where faces were missed: for whoever typed a command, opened its page, or wrote the call
ADVICE = (
    "Faces may be too small (dlib-hog needs about 80 pixels, and half of that if the command is started with "
    "--upsample 1; in Python, upsample=1), turned or tilted; another detector (--detector) may see them."
)
FLAT = 1e-6  # a standard deviation below it is no picture, for pixels 0..1


@dataclass(frozen=True)
class CropSettings:
    """How faces are cut out. Raises OptionError for values outside the allowed ones.

    size:   rows and columns of a crop in pixels, 1 to 4096
    colour: "grey" for crops (size, size), "rgb" for (size, size, 3); both uint8 0..255
    margin: what is added on each side, as a fraction of the box's longer side, 0 to 1. dlib's box runs from the
            eyebrows to the chin and from cheek to cheek
    policy: which faces of a photograph: the "largest", the "only" one (several are an error), or "all"
    """

    size: int = 200
    colour: str = "grey"
    margin: float = 0.1
    policy: str = "largest"

    def __post_init__(self) -> None:
        whole = isinstance(self.size, int) and not isinstance(self.size, bool)
        if not whole or not 1 <= self.size <= MAX_SIZE:
            raise OptionError(explain(f"size as an integer from 1 to {MAX_SIZE}", repr(self.size)))
        if self.colour not in COLOURS:
            raise OptionError(explain(f"colour as one of {', '.join(COLOURS)}", repr(self.colour)))
        if not isinstance(self.margin, (int, float)) or not 0 <= self.margin <= MAX_MARGIN:
            fix = "0.1 adds a tenth of the face on every side."
            raise OptionError(explain(f"margin as a number from 0 to {MAX_MARGIN:g}", repr(self.margin), fix))
        if self.policy not in POLICIES:
            raise OptionError(explain(f"policy as one of {', '.join(POLICIES)}", repr(self.policy)))


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class FaceCrop:
    """A crop, the face it shows (its box is in pixels of the whole photograph), and the photograph's name."""

    crop: Array
    face: Face
    photo: str


def crop_face(rgb: Array, box: Box, settings: CropSettings | None = None) -> Array:
    """Cut ``box`` out of an RGB picture and scale it: uint8 (size, size), or (size, size, 3) for colour "rgb".

    The module's docstring has the rule. Raises OptionError when no pixel of the box lies in the picture.
    """
    check_rgb(rgb)
    settings = settings or CropSettings()
    height, width = rgb.shape[:2]
    if box.clip(width, height) is None:
        fix = "Was the box found in another picture, or in one of another size?"
        raise OptionError(explain(f"a box that meets the picture of {width}x{height}", box, fix))
    square = box.square(settings.margin)
    rows = np.clip(np.arange(square.top, square.bottom), 0, height - 1)
    columns = np.clip(np.arange(square.left, square.right), 0, width - 1)
    patch = rgb[rows[:, None], columns]  # (H, W, 3) -> (side, side, 3); a row or column outside repeats the nearest
    if settings.colour == "grey":
        patch = to_grey(patch)
    cv2 = load_cv2("Scaling a crop")
    shrinks = settings.size < square.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    crop: Array = cv2.resize(patch, (settings.size, settings.size), interpolation=interpolation)
    return crop


def faces_to_crops(rgb: Array, faces: Sequence[Face], settings: CropSettings | None, photo: str) -> list[FaceCrop]:
    """The crops of those ``faces`` (largest first) that the policy asks for. ``photo`` names the picture in errors.

    Raises NoFaceError when there is no face, ImageError when the policy is "only" and there are several.
    """
    settings = settings or CropSettings()
    if not faces:
        height, width = rgb.shape[:2]
        raise NoFaceError(f"'{photo}': {explain('at least one face', f'none in {width}x{height} pixels', ADVICE)}")
    if settings.policy == "only" and len(faces) > 1:
        fix = "Choose policy 'largest' or 'all', or crop the photograph."
        raise refuse(photo, "exactly one face (policy 'only')", f"{len(faces)} faces", fix)
    chosen = faces if settings.policy == "all" else faces[:1]
    return [FaceCrop(crop_face(rgb, face.box, settings), face, photo) for face in chosen]


def crop_photo(
    photo: str | os.PathLike[str] | Array, detector: Detector, settings: CropSettings | None = None
) -> list[FaceCrop]:
    """Find and cut out the faces of one photograph, a path or an RGB array uint8 (H, W, 3); largest first.

    Raises ImageError for a file that is no usable picture (or, with policy "only", shows several faces) and NoFaceError
    when the detector finds no face.
    """
    if isinstance(photo, (str, os.PathLike)):
        rgb, name = read_image(photo), os.fspath(photo)
    else:
        rgb, name = photo, "the picture"
    return faces_to_crops(rgb, detector.detect(rgb), settings, name)


def as_input(crops: Array | Sequence[Array], dtype: Any = np.float32) -> Array:
    """Crops as a network takes them: uint8 (N, H, W) or (N, H, W, 3) -> float (N, H, W, C), ``crop / 255``, in 0..1.

    Grey crops get a channel axis, C = 1. Raises DtypeError or ShapeError for anything that is no batch of crops.
    """
    shapes = sorted({np.shape(crop) for crop in crops})
    if len(shapes) != 1:
        received = ", ".join(map(str, shapes)) or "no crop at all"
        raise ShapeError(explain("crops (at least one) of one shape", received, "Crop them with one CropSettings."))
    batch = np.asarray(crops)
    if batch.dtype != np.uint8:
        raise DtypeError(explain("crops as uint8, 0..255", f"dtype {batch.dtype}", "Do not scale them beforehand."))
    if batch.ndim == 3:
        batch = batch[..., None]  # (N, H, W) -> (N, H, W, 1)
    if batch.ndim != 4 or batch.shape[3] not in (1, 3):
        fix = "A single crop needs a batch axis: as_input([crop])."
        raise ShapeError(explain("crops (N, H, W) or (N, H, W, 3)", f"shape {np.shape(crops)}", fix))
    scaled: Array = batch.astype(dtype) / np.asarray(255, dtype)
    return scaled


def standardise(x: Array) -> Array:
    """Every picture with mean 0 and standard deviation 1: (x - mean) / std, over all its pixels and channels.

    For recognition: light that is twice as strong doubles every pixel, and a brighter exposure adds to all of them.
    Both are gone afterwards, so a network need not learn that they say nothing about who it is. A picture of one grey
    level, such as the empty crop of a face that was not found, becomes all zeros.

    ``x`` (N, H, W, C), float32 or float64; mean and deviation are computed in float64. Raises ShapeError or DtypeError
    for anything else.
    """
    check_array(x, "x", 4, "(N, H, W, C)")
    exact = x.astype(np.float64)
    exact -= exact.mean(axis=(1, 2, 3), keepdims=True)
    deviation = exact.std(axis=(1, 2, 3), keepdims=True)
    flat = deviation < FLAT  # what rounding leaves of a constant
    scaled: Array = np.where(flat, 0.0, exact / np.where(flat, 1.0, deviation)).astype(x.dtype)
    return scaled
