"""Face detectors: one small file each, one protocol, one table.

    detector = make_detector("dlib-hog", upsample=1)
    for face in detector.detect(read_image("party.jpg")):
        print(face.box, face.score)

A new detector is a file with a class that has a ``name`` and ``detect``, and one line in ``DETECTORS``; or in
``WITH_MODEL`` when it needs a file that the user has to bring: ``make_detector("dlib-cnn", model="mmod.dat")``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from detection.detectors.base import Detector
from detection.detectors.dlib_cnn import DlibCnn
from detection.detectors.dlib_hog import DlibHog
from detection.detectors.first_found import FirstFound
from detection.detectors.opencv_haar import OpencvHaar
from detection.detectors.steady import Steady
from minicnn.errors import OptionError, did_you_mean, explain

__all__ = [
    "DETECTORS",
    "WITH_MODEL",
    "Detector",
    "DlibCnn",
    "DlibHog",
    "FirstFound",
    "OpencvHaar",
    "Steady",
    "make_detector",
]

DETECTORS: dict[str, Callable[..., Detector]] = {
    "dlib-hog": DlibHog,
    "opencv-haar": OpencvHaar,
}
WITH_MODEL: dict[str, Callable[..., Detector]] = {"dlib-cnn": DlibCnn}


def make_detector(name: str, **options: Any) -> Detector:
    """The detector called ``name``, one of ``DETECTORS`` or ``WITH_MODEL``, with its own options.

    Raises OptionError for unknown names and options.
    """
    detectors = DETECTORS | WITH_MODEL
    if name not in detectors:
        expected = f"a detector, one of {', '.join(detectors)}"
        raise OptionError(explain(expected, repr(name), did_you_mean(name, detectors)))
    known = inspect.signature(detectors[name]).parameters
    for option in options:
        if option not in known:
            raise OptionError(explain(f"an option of {name}: {', '.join(known)}", repr(option)))
    return detectors[name](**options)
