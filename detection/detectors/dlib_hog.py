"""dlib's frontal face detector: histograms of oriented gradients and a linear classifier.

A face is described by how its edges run. Every cell of 8x8 pixels is summed up in a histogram of gradient directions
(HOG); a window of 10x10 cells slides over the picture, at ever smaller scales of it, and a linear support vector
machine gives each position a score: a dot product with learned weights. dlib has five such templates, one for faces
seen from the front and others for turned and tilted heads. Where windows overlap, the best one stays.

Cost: proportional to the number of pixels; about 20 ms per 500x500. ``upsample=1`` costs four times as much.
Limits: faces from about 80x80 pixels, upright, not in profile.

Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005; King, "Max-Margin Object
Detection", arXiv:1502.00046, 2015.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from detection.boxes import Box, Face, largest_first
from detection.images import check_rgb
from detection.optional import load_dlib
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.shapes import Array

MAX_UPSAMPLED_PIXELS = 200_000_000
_loaded = threading.local()


class DlibHog:
    """``upsample``: how often to double the picture first, 0 to 3; each time, faces of half the size come into reach.

    ``threshold``: the score a window needs; dlib's own is 0. Below, more faces are found and more that are none.
    """

    def __init__(self, upsample: int = 0, threshold: float = 0.0) -> None:
        if not isinstance(upsample, int) or isinstance(upsample, bool) or not 0 <= upsample <= 3:
            fix = "Each step doubles width and height; 1 is often enough."
            raise OptionError(explain("upsample as an integer from 0 to 3", repr(upsample), fix))
        if not isinstance(threshold, (int, float)) or not math.isfinite(threshold):
            raise OptionError(explain("threshold as a finite number", repr(threshold), "dlib's own is 0."))
        self.upsample, self.threshold = upsample, float(threshold)
        options = [f"upsample={upsample}"] * bool(upsample) + [f"threshold={threshold:g}"] * bool(threshold)
        self.name = " ".join(["dlib-hog", *options])

    def detect(self, rgb: Array) -> list[Face]:
        """See ``Detector.detect``. ``score`` is the classifier's margin: 0 is the border, clear faces reach 2."""
        check_rgb(rgb)
        detector = _load_detector()
        height, width = rgb.shape[:2]
        if width * height * 4**self.upsample > MAX_UPSAMPLED_PIXELS:
            received = f"{width}x{height} with upsample={self.upsample}"
            fix = "Upsample less, or make the picture smaller."
            raise ShapeError(explain(f"at most {MAX_UPSAMPLED_PIXELS // 10**6} upsampled megapixels", received, fix))
        found, scores, _ = detector.run(np.ascontiguousarray(rgb), self.upsample, self.threshold)
        return largest_first(
            [
                # dlib's rectangles include their last row and column
                Face(Box(face.left(), face.top(), face.right() + 1, face.bottom() + 1), float(score), self.name)
                for face, score in zip(found, scores, strict=True)
            ]
        )


def _load_detector() -> Any:
    """dlib's detector. Unpacking it takes half a second, so each thread keeps one: two must not share its pyramid."""
    dlib = load_dlib("Finding faces with dlib-hog")
    if not hasattr(_loaded, "detector"):
        _loaded.detector = dlib.get_frontal_face_detector()
    return _loaded.detector
