"""OpenCV's Haar cascade: the detector that made face detection fast.

Sums of rectangles, one subtracted from another, see that eyes are darker than cheeks. With an integral image (each
entry the sum of everything above and to the left) such a sum costs four additions whatever its size. Boosting chose a
few thousand of these features and arranged them in stages: most windows fail the first, which has a handful, so nearly
all of a picture is dismissed almost for free. Windows that pass every stage are grouped where they overlap.

Faster than HOG on large pictures and finds smaller faces, but it misses more and invents more.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001; Lienhart and Maydt,
"An Extended Set of Haar-like Features for Rapid Object Detection", ICIP 2002.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detection.boxes import Box, Face, largest_first
from detection.images import to_grey
from detection.optional import load_cv2
from minicnn.errors import MissingDependencyError, OptionError, explain
from minicnn.shapes import Array

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.1  # each scale is 10 % larger than the last: OpenCV's own choice


class OpencvHaar:
    """``min_neighbors``: how many overlapping windows make a face, at least 1. More: fewer faces, fewer mistakes."""

    def __init__(self, min_neighbors: int = 5) -> None:
        if not isinstance(min_neighbors, int) or isinstance(min_neighbors, bool) or min_neighbors < 1:
            raise OptionError(explain("min_neighbors as an integer >= 1", repr(min_neighbors), "5 is a good start."))
        self.min_neighbors = min_neighbors
        self.name = "opencv-haar" if min_neighbors == 5 else f"opencv-haar min_neighbors={min_neighbors}"
        self._cascade: Any = None

    def detect(self, rgb: Array) -> list[Face]:
        """See ``Detector.detect``. ``score`` is the sum of the last stage's votes; a few units to a few hundred."""
        grey = to_grey(rgb)
        if self._cascade is None:
            self._cascade = load_cascade(CASCADE, "Finding faces with opencv-haar")
        boxes, _, weights = self._cascade.detectMultiScale3(
            grey, SCALE_STEP, self.min_neighbors, outputRejectLevels=True
        )
        return largest_first(
            [
                Face(Box(int(x), int(y), int(x + width), int(y + height)), float(weight), self.name)
                for (x, y, width, height), weight in zip(boxes, weights, strict=True)
            ]
        )


def load_cascade(name: str, purpose: str) -> Any:
    """One of the cascades that OpenCV brings along. Raises MissingDependencyError when there is none to load."""
    cv2 = load_cv2(purpose)
    if not hasattr(cv2, "CascadeClassifier"):
        raise MissingDependencyError(
            explain("OpenCV 4, which has Haar cascades", f"OpenCV {cv2.__version__}", "pip install 'minicnn[faces]'.")
        )
    path = Path(cv2.data.haarcascades, name)
    # Through memory: OpenCV's own reader stumbles over folder names outside ASCII on some systems.
    storage = cv2.FileStorage(path.read_text(encoding="utf-8"), cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    cascade = cv2.CascadeClassifier()
    if not cascade.read(storage.getFirstTopLevelNode()):
        fix = "Reinstall opencv-python-headless."
        raise MissingDependencyError(explain(f"OpenCV's cascade '{path}'", "a file it cannot read", fix))
    return cascade
