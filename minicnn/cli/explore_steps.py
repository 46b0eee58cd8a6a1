"""The steps of ``minicnn explore``: from words to a network, from a photograph to its input, and Keras beside it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from detection.align import EyeFinder, level
from detection.boxes import Box
from detection.crop import CropSettings, as_input, crop_face, faces_to_crops, standardise
from detection.detectors import Detector
from detection.images import decode_image, read_image
from detection.orl import load_orl, orl_detector
from detection.recognise import crop_settings, eye_finder
from minicnn.cli.networks import NETWORKS, architecture, no_network
from minicnn.cli.options import detector_maker
from minicnn.cli.runs import chosen_detector
from minicnn.errors import MinicnnError, OptionError, explain
from minicnn.explorer.beside import Beside
from minicnn.explorer.explorer import Subject
from minicnn.explorer.photo import Photo, Rectangle
from minicnn.explorer.replay import Replay
from minicnn.io.models import READABLE
from minicnn.models import build, load_vgg_face
from minicnn.recognition.run import Run
from minicnn.report.text import counted
from minicnn.saving import load_model
from minicnn.shapes import Array

RANDOM = "Its weights are random: it has learned nothing yet."
OURS, THEIRS = ("minicnn", "reference_keras"), ("keras", "tensorflow")  # packages
MOST_SAID = 400  # characters of a message of theirs: some list every argument


@dataclass(frozen=True, eq=False)
class Looking:
    """A network, and how a photograph becomes its input."""

    subject: Subject
    settings: CropSettings
    detector: Detector
    prepare: Callable[[Array], Array]  # crop, uint8 (size, size[, 3]) -> x (1, size, size, C)
    eyes: EyeFinder | None
    replay: Replay

    def photo(self, rgb: Array, name: str, detector: Detector | None = None) -> Photo:
        """The largest face of a picture, uint8 (H, W, 3). Raises NoFaceError where there is none."""
        faces = (detector or self.detector).detect(rgb)
        faces_to_crops(rgb, faces, self.settings, name)  # raises, with advice, where there is no face
        box = faces[0].box
        eyes = self.eyes.find(rgb, box) if self.eyes else None
        turned, moved = level(rgb, box, eyes.angle) if eyes else (rgb, box)
        crop = crop_face(turned, moved, self.settings)
        square = box.square(self.settings.margin)
        angle = eyes.angle if eyes else 0.0
        return Photo(name, rgb, _edges(box), _edges(square), crop, self.prepare(crop), len(faces), angle)

    def read(self, data: bytes, name: str) -> Photo:
        """The largest face in the bytes of a picture file. Raises ImageError or NoFaceError."""
        return self.photo(decode_image(data, name), name)

    def first(self, place: Path | None) -> Photo:
        """What is looked at first: a file, or without one a face of the AT&T/ORL set."""
        if place is not None:
            return self.photo(read_image(place), place.name)
        orl = load_orl()
        picture = orl.images[0].repeat(3).reshape(*orl.images[0].shape, 3)  # (H, W) -> (H, W, 3)
        return self.photo(picture, f"AT&T/ORL {orl.names[0]}", orl_detector())


def _edges(box: Box) -> Rectangle:
    return Rectangle(box.left, box.top, box.right, box.bottom)


def prepare_looking(
    word: str, weights: Path | None, detector: str | None, upsample: int, landmarks: Path | None
) -> Looking:
    """What ``word`` names: the folder of a run, a file with a network, or one of minicnn's networks.

    ``weights`` is a published file of VGG-Face. Raises LoadError, OptionError or ShapeError.
    """
    if weights is not None and word != "vgg-face":
        raise OptionError(explain("--weights with vgg-face", f"--weights with {word}", "Other networks bring theirs."))
    if Path(word).is_dir():
        return _run(Run.open(word), detector, upsample, landmarks)
    prepare: Callable[[Array], Array] = lambda crop: as_input([crop])  # noqa: E731  (one of three)
    if weights is not None:
        model, preprocess = load_vgg_face(weights)
        prepare = lambda crop: preprocess(crop[None])  # noqa: E731
        subject = Subject(model)
    elif word in NETWORKS:
        subject = Subject(build(architecture(word)), note=RANDOM)
    elif word.lower().endswith(READABLE):
        subject = Subject(load_model(word))
    else:
        raise no_network(word)
    shape = subject.model.shapes[0]
    if len(shape) != 3:
        raise OptionError(explain("a network that takes pictures (H, W, C)", f"{shape}"))
    made = detector_maker(detector or "dlib-hog", upsample)()
    return Looking(subject, crop_settings({}, shape), made, prepare, eye_finder(None), Replay())


def _run(run: Run, detector: str | None, upsample: int, landmarks: Path | None) -> Looking:
    """A run's network, given faces as in its training."""
    config = run.config
    classes = config.people if config.objective == "softmax" else ()
    known = f"Trained on {counted(len(config.people), 'person', 'people')} by {config.backend}."
    return Looking(
        Subject(run.model(), classes, known, embeds=config.objective == "triplet"),
        crop_settings(config.crop, config.input_shape),
        chosen_detector(config, detector, upsample, None),
        lambda crop: standardise(as_input([crop])),
        eye_finder(config.crop.get("align"), landmarks),
        Replay.of(run),
    )


def keras_beside(wanted: bool) -> Beside:
    """Keras's numbers, if they are wanted and Keras is installed; else a sentence that says why there are none."""
    if not wanted:
        return Beside(None, "Left out: --no-keras.")
    from reference_keras.backend import require_tensorflow

    try:
        require_tensorflow()
    except MinicnnError as error:
        return Beside(None, str(error))
    return Beside(_keras)


def _keras(model: Any, x: Array, dy: Array) -> Any:
    """Raises OptionError for a network that Keras or TensorFlow refuses, whatever they raise."""
    from reference_keras.inside import keras_inside  # takes seconds: in the background

    try:
        return keras_inside(model, x, dy)
    except MinicnnError:
        raise
    except Exception as error:
        if not _is_theirs(error):
            raise
        said = shorten(re.sub(r"\x1b\[\d*m", "", str(error)), MOST_SAID, placeholder=" …")  # Keras prints in bold
        received = f"{type(error).__name__}: {said.rstrip('.')}"
        fix = "minicnn's numbers do not need theirs."
        raise OptionError(explain("a network that Keras computes, on TensorFlow", received, fix)) from error


def _is_theirs(error: Exception) -> bool:
    """Whether it came from Keras or TensorFlow, rather than from a mistake in what asks them."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    packages = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames]
    return [name for name in packages if name in (*OURS, *THEIRS)][-1] in THEIRS
