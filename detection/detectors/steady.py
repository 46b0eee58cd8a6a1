"""The same face, found several times: the middle of several answers is steadier than one.

A sliding window stops only at certain places and sizes. dlib's is 80 pixels wide, moves in steps of 8 and sees the
picture at sizes that differ by a factor of 1.2: of two photographs of one face, taken a moment apart, the boxes may
differ by a tenth of the face. A network that compares faces would have to learn to ignore that.

So look at several copies of the picture, enlarged a little differently and each also mirrored: the same face falls
between other steps in each of them, and the errors are in every direction. Their median hardly moves, and one copy that
went wrong does not move it at all.

The enlargements are 1.3 times 1.2 to the power 0, 1/4, 1/2 and 3/4: spread evenly between two sizes that the window
sees anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.boxes import Box, Face, largest_first
from detection.detectors.base import Detector
from detection.images import check_rgb
from detection.optional import load_cv2
from minicnn.errors import OptionError, explain
from minicnn.shapes import Array

STEP = 1.2  # between the sizes at which dlib looks
SCALES = tuple(1.3 * STEP ** (k / 4) for k in range(4))
SAME_FACE = 0.4  # intersection over union from which two finds are of one face


class Steady:
    """``Steady(DlibHog())``: every face that was found in at least half of the copies, where their median says it is.

    ``scales`` are the sizes of the copies, each a factor from 0.1 to 10; every one is also looked at mirrored. A face's
    ``score`` is the median too. Faces stay apart as long as their boxes share less than 40 % of the area they cover
    together.
    """

    def __init__(self, detector: Detector, scales: Sequence[float] = SCALES) -> None:
        if not scales or not all(0.1 <= scale <= 10 for scale in scales):
            raise OptionError(explain("scales, at least one, each from 0.1 to 10", repr(scales), "(1.3, 1.4, 1.5)."))
        self.detector, self.scales = detector, tuple(scales)
        self.name = f"{detector.name}, median of {2 * len(self.scales)}"

    def detect(self, rgb: Array) -> list[Face]:
        """See ``Detector.detect``. Costs what the detector costs on each copy: with ``SCALES``, 16 times as much."""
        check_rgb(rgb)
        groups: list[list[Face]] = []  # one for each face
        for scale in self.scales:
            for mirrored in (False, True):
                _sort_in(groups, self._look(rgb, scale, mirrored))
        return largest_first([self._median(group) for group in groups if len(group) >= len(self.scales)])

    def _look(self, rgb: Array, scale: float, mirrored: bool) -> list[Face]:
        """What the detector finds in one copy, in pixels of the picture itself."""
        height, width = rgb.shape[:2]
        size = (max(1, round(scale * width)), max(1, round(scale * height)))
        copy = load_cv2("Scaling a picture").resize(rgb, size)
        across, down = size[0] / width, size[1] / height  # the exact factors, after rounding
        faces = []
        for face in self.detector.detect(np.ascontiguousarray(copy[:, ::-1]) if mirrored else copy):
            left, right = (edge / across for edge in (face.box.left, face.box.right))
            if mirrored:
                left, right = width - right, width - left
            faces.append(_face((left, face.box.top / down, right, face.box.bottom / down), face.score, self.name))
        return faces

    def _median(self, group: list[Face]) -> Face:
        edges = np.median([(f.box.left, f.box.top, f.box.right, f.box.bottom) for f in group], axis=0)
        return _face(edges, float(np.median([face.score for face in group])), self.name)


def _sort_in(groups: list[list[Face]], faces: list[Face]) -> None:
    """Put each face to the group it overlaps most, or into one of its own."""
    for face in faces:
        best = max(groups, key=lambda group: face.box.iou(group[0].box), default=None)
        if best is not None and face.box.iou(best[0].box) >= SAME_FACE:
            best.append(face)
        else:
            groups.append([face])


def _face(edges: Sequence[float] | Array, score: float, name: str) -> Face:
    left, top, right, bottom = (round(float(edge)) for edge in edges)
    return Face(Box(left, top, max(right, left + 1), max(bottom, top + 1)), score, name)
