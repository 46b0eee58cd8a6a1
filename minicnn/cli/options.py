"""Arguments and options that several commands share, so that the same thing has one name and one explanation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from detection.dataset.settings import BuildSettings
    from detection.detectors import Detector

# -- photographs and the faces in them --------------------------------------------------------------------------------

Place = Annotated[Path, typer.Argument(metavar="PHOTO|FOLDER", help="A photograph, or a folder of them.")]
DetectorName = Annotated[str, typer.Option("--detector", help="dlib-hog, opencv-haar or dlib-cnn.")]
Upsample = Annotated[
    int, typer.Option(help="How often dlib doubles the picture first, 0 to 3; each time it finds faces half as large.")
]
DetectorModel = Annotated[Path | None, typer.Option("--model", metavar="FILE", help="The weights of dlib-cnn.")]

# -- how faces are cut out --------------------------------------------------------------------------------------------

Size = Annotated[int, typer.Option(help="Rows and columns of a crop, in pixels.")]
Colour = Annotated[str, typer.Option(help="grey or rgb.")]
Margin = Annotated[float, typer.Option(help="Added on each side, as a fraction of the face.")]
Align = Annotated[str, typer.Option(help="Level the eyes: eyes or none.")]
Landmarks = Annotated[
    Path | None, typer.Option(metavar="FILE", help="dlib's shape predictor (.dat), to find eyes with.")
]

# -- datasets and runs ------------------------------------------------------------------------------------------------

DatasetFolder = Annotated[
    Path, typer.Argument(metavar="DATASET", help="A folder of crops per person, as `minicnn dataset` makes it.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training.")]
Backend = Annotated[str, typer.Option(help="The engine that computes: minicnn or keras.")]
Objective = Annotated[
    str, typer.Option(help="softmax: a score per person. triplet: an embedding; the nearest known face counts.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="What else a recipe has: augment.rotate=20, label_smoothing=0."),
]
RunDetector = Annotated[
    str | None, typer.Option("--detector", help="dlib-hog, opencv-haar or dlib-cnn; without it, as for the training.")
]
RunLandmarks = Annotated[
    Path | None, typer.Option(metavar="FILE", help="dlib's landmarks, for runs whose faces were levelled with them.")
]


# -- what they choose -------------------------------------------------------------------------------------------------


def detector_maker(name: str, upsample: int, model: Path | None = None) -> Callable[[], Detector]:
    """What makes the detector of the options, here or in another process; each says itself which options it has."""
    from detection.detectors import make_detector

    options: dict[str, Any] = {"upsample": upsample} if upsample else {}
    return partial(make_detector, name, **options, **({"model": str(model)} if model else {}))


def build_settings(
    size: int, colour: str, margin: float, policy: str, align: str, landmarks: Path | None
) -> BuildSettings:
    """How photographs become crops."""
    from detection.crop import CropSettings
    from detection.dataset.settings import BuildSettings

    return BuildSettings(CropSettings(size, colour, margin), policy, align, str(landmarks) if landmarks else None)
