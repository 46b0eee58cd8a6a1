"""dlib's convolutional detector: a small network that slides over the picture, trained with the max-margin loss.

A few convolutions make the picture smaller and score every position of every scale at once; non-maximum suppression
keeps the best of each heap. It sees what HOG does not: heads turned to the side, tilted, or half hidden. On a processor
it takes far longer.

The weights are a file of their own, ``mmod_human_face_detector.dat``, which dlib's author publishes. No package that
this project installs brings it, so the detector works only where its file is given.

King, "Max-Margin Object Detection", arXiv:1502.00046, 2015.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from detection.boxes import Box, Face, largest_first
from detection.images import check_rgb
from detection.model_files import model_file, refused
from detection.optional import load_dlib
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.shapes import Array

MAX_UPSAMPLED_PIXELS = 16_000_000  # each becomes many numbers on the way
MODEL = "dlib's mmod_human_face_detector.dat"


class DlibCnn:
    """``model``: the file with its weights. ``upsample``: how often to double the picture first, 0 to 3.

    Raises OptionError without a model, LoadError when that file is missing; what is in it shows when the first picture
    is searched.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, upsample: int = 0) -> None:
        if model is None:
            fix = f"Give the path of {MODEL}, or use dlib-hog, which needs none."
            raise OptionError(explain("a model file for dlib-cnn", "none", fix))
        if not isinstance(upsample, int) or isinstance(upsample, bool) or not 0 <= upsample <= 3:
            fix = "Each step doubles width and height; 1 is often enough."
            raise OptionError(explain("upsample as an integer from 0 to 3", repr(upsample), fix))
        self.model, self.upsample = model_file(model, MODEL), upsample
        self.name = f"dlib-cnn upsample={upsample}" if upsample else "dlib-cnn"
        self._network: Any = None

    def detect(self, rgb: Array) -> list[Face]:
        """See ``Detector.detect``. ``score`` is the network's margin; higher is surer."""
        check_rgb(rgb)
        height, width = rgb.shape[:2]
        if width * height * 4**self.upsample > MAX_UPSAMPLED_PIXELS:
            received = f"{width}x{height} with upsample={self.upsample}"
            fix = "Upsample less, or make the picture smaller."
            raise ShapeError(explain(f"at most {MAX_UPSAMPLED_PIXELS // 10**6} upsampled megapixels", received, fix))
        if self._network is None:
            dlib = load_dlib("Finding faces with dlib-cnn")
            try:
                self._network = dlib.cnn_face_detection_model_v1(self.model)
            except RuntimeError as error:
                raise refused(self.model, MODEL, error) from None
        found = self._network(np.ascontiguousarray(rgb), self.upsample)
        return largest_first([_face(find, self.name) for find in found])


def _face(find: Any, name: str) -> Face:
    box = find.rect  # dlib's rectangles include their last row and column
    return Face(Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1), float(find.confidence), name)
