"""What a dataset is made with: everything that decides what its crops look like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from detection.align import CascadeEyes, EyeFinder, LandmarkEyes
from detection.crop import CropSettings
from detection.dataset.faces import POLICIES
from detection.detectors import Detector
from minicnn.errors import OptionError, explain

ALIGNMENTS = ("eyes", "none")

#: makes a detector in a worker process, so it must be picklable: ``functools.partial(make_detector, "dlib-hog")``
DetectorMaker = Callable[[], Detector]


@dataclass(frozen=True)
class BuildSettings:
    """How photographs become crops. Raises OptionError for values outside the allowed ones.

    crop:      size, colour and margin; its policy is not used
    policy:    which face of a photograph, see ``detection.dataset.faces``
    align:     "eyes" levels them, with OpenCV's cascade unless ``landmarks`` is given; "none" leaves heads as they are
    landmarks: the file of dlib's shape predictor, 5 or 68 points
    """

    crop: CropSettings = field(default_factory=CropSettings)
    policy: str = "alike"
    align: str = "eyes"
    landmarks: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise OptionError(explain(f"policy as one of {', '.join(POLICIES)}", repr(self.policy)))
        if self.align not in ALIGNMENTS:
            raise OptionError(explain(f"align as one of {', '.join(ALIGNMENTS)}", repr(self.align)))
        if self.landmarks is not None and self.align == "none":
            fix = "Leave one of them away."
            raise OptionError(explain("landmarks only where faces are aligned", "landmarks and align 'none'", fix))

    def eye_finder(self) -> EyeFinder | None:
        """What finds the eyes; None where nothing is aligned. Raises LoadError for a landmark file that is missing."""
        if self.align == "none":
            return None
        return CascadeEyes() if self.landmarks is None else LandmarkEyes(self.landmarks)

    def as_dict(self, detector: Detector) -> dict[str, Any]:
        """For the manifest, and to tell whether a run that goes on is the run that began."""
        return describe(self.crop, self.eye_finder(), detector) | {"policy": self.policy}


def describe(crop: CropSettings, eyes: EyeFinder | None, detector: Detector) -> dict[str, Any]:
    """How faces are found and cut out: what all crops of a dataset have in common, whichever face was chosen.

    Files are described by their content. Raises OSError for one that cannot be read.
    """
    described = asdict(crop)
    del described["policy"]
    described["align"] = eyes.name if eyes else "none"
    if isinstance(eyes, LandmarkEyes):
        described["landmarks_sha256"] = _digest(eyes.model)
    described["detector"] = detector.name
    model = getattr(detector, "model", None)
    return described | ({"model_sha256": _digest(model)} if model else {})


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
