"""From pictures to names: find faces, cut them out as for the training, ask the network.

    recogniser = Recogniser(identifier.answers, people, detector, CropSettings(**run.config.crop))
    for face in recogniser.faces(read_image("party.jpg")):
        print(face.face.box, face.label)

The network comes in as a function from standardised crops to answers, so this file knows neither of the engines.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.align import CascadeEyes, EyeFinder, LandmarkEyes, level
from detection.boxes import Face
from detection.crop import CropSettings, as_input, crop_face, standardise
from detection.detectors import Detector, FirstFound, Steady, make_detector
from detection.detectors.steady import SCALES
from minicnn.errors import OptionError, explain
from minicnn.recognition.identify import Answers
from minicnn.shapes import Array

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Named:
    """A face and who it is: ``name``, None for unknown; ``best``, the most alike person all the same.

    ``distance`` is that to the nearest known face of ``best``, which decides whether it is somebody unknown;
    ``probability`` the share of ``best`` among the known people, None where the network gives none.
    """

    face: Face
    name: str | None
    best: str
    distance: float
    probability: float | None = None

    @property
    def label(self) -> str:
        """What is written beside the face: "Anna 97 %", "Anna 0.43" (a distance), or "unknown"."""
        if self.name is None:
            return UNKNOWN
        if self.probability is None:
            return f"{self.name} {self.distance:.2f}"
        return f"{self.name} {math.floor(100 * self.probability)} %"  # 99.6 % is not yet certain

    def to_dict(self) -> dict[str, Any]:
        """For JSON and CSV; the box in pixels, right and bottom exclusive."""
        return {
            "name": self.name if self.name is not None else UNKNOWN,
            "known": self.name is not None,
            "best": self.best,
            **({} if self.probability is None else {"probability": self.probability}),
            "distance": self.distance,
            **dataclasses.asdict(self.face.box),
            "score": self.face.score,
            "detector": self.face.detector,
        }


class Recogniser:
    """``answers`` takes standardised crops (N, H, W, C); ``people`` are the names of its indices.

    ``eyes`` levels faces before they are cut out, for networks that were trained on levelled ones.
    """

    def __init__(
        self,
        answers: Callable[[Array], Answers],
        people: Sequence[str],
        detector: Detector,
        settings: CropSettings,
        eyes: EyeFinder | None = None,
    ) -> None:
        self.answers, self.people, self.detector, self.eyes = answers, tuple(people), detector, eyes
        self.settings = dataclasses.replace(settings, policy="all")

    def faces(self, rgb: Array) -> tuple[Named, ...]:
        """Every face of an RGB picture, uint8 (H, W, 3), largest first."""
        faces = self.detector.detect(rgb)
        return self.named(faces, self.answers(self.inputs(rgb, faces))) if faces else ()

    def named(self, faces: Sequence[Face], answers: Answers) -> tuple[Named, ...]:
        """Faces and the answers about them, put together."""
        shares = [None] * len(faces) if answers.probability is None else answers.probability.tolist()
        return tuple(
            Named(face, self.people[index] if index >= 0 else None, self.people[best], distance, share)
            for face, index, best, distance, share in zip(
                faces, answers.index.tolist(), answers.best.tolist(), answers.distance.tolist(), shares, strict=True
            )
        )

    def inputs(self, rgb: Array, faces: Sequence[Face]) -> Array:
        """What the network sees of them: standardised crops, float32 (N, H, W, C)."""
        return face_inputs(rgb, faces, self.settings, self.eyes)


def face_inputs(rgb: Array, faces: Sequence[Face], settings: CropSettings, eyes: EyeFinder | None = None) -> Array:
    """Faces of one picture as a network sees them: levelled (if ``eyes``), cut out, standardised; (N, H, W, C)."""
    crops = []
    for face in faces:
        found = eyes.find(rgb, face.box) if eyes else None
        picture, box = level(rgb, face.box, found.angle) if found else (rgb, face.box)
        crops.append(crop_face(picture, box, settings))
    return standardise(as_input(crops))


# -- as for the training ---------------------------------------------------------------------------------------------


def crop_settings(crop: Mapping[str, Any], input_shape: Sequence[int]) -> CropSettings:
    """The CropSettings of a run's config. What it does not say follows from the network's input shape."""
    rows, columns, channels = input_shape
    if rows != columns or channels not in (1, 3):
        fix = "Crops are square, grey (1 channel) or RGB (3)."
        raise OptionError(explain("a network whose input is NxNx1 or NxNx3", tuple(input_shape), fix))
    given = {name: crop[name] for name in ("size", "colour", "margin") if name in crop}
    return CropSettings(**{"size": rows, "colour": "grey" if channels == 1 else "rgb"} | given)


def eye_finder(align: str | None, landmarks: Path | None = None) -> EyeFinder | None:
    """What levelled the faces of a run: "none" (or nothing), "eyes", or "landmarks" with the file that it takes."""
    if not align or align == "none":
        return None
    if align == "eyes":
        return CascadeEyes()
    if align == "landmarks" and landmarks is not None:
        return LandmarkEyes(landmarks)
    fix = "Give --landmarks FILE, the model its training faces were levelled with."
    raise OptionError(explain("a way to level faces that is known here", repr(align), fix))


def detector_named(name: str) -> Detector:
    """A detector from the name it gives itself: "dlib-hog", "dlib-hog upsample=1, then opencv-haar min_neighbors=3".

    Raises OptionError for one that takes more than its name says, such as the file of a model.
    """
    detectors = [_one_detector(part, name) for part in name.split(", then ")]
    return detectors[0] if len(detectors) == 1 else FirstFound(*detectors)


def _one_detector(part: str, name: str) -> Detector:
    plain = part.removesuffix(f", median of {2 * len(SCALES)}")
    kind, *options = plain.split() or [""]
    try:
        pairs = [option.split("=") for option in options]
        detector = make_detector(
            kind, **{key: int(value) if _is_whole(value) else float(value) for key, value in pairs}
        )
    except (ValueError, TypeError):  # OptionError is a ValueError: not one of DETECTORS
        fix = "Choose one with --detector."
        raise OptionError(explain("a detector that can be made from its name alone", repr(name), fix)) from None
    return detector if plain == part else Steady(detector)


def _is_whole(value: str) -> bool:
    return value.isascii() and value.isdigit()
