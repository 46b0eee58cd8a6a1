"""Many photographs at once: find the faces of all of them, and keep going when one cannot be used.

A folder of photographs nearly always has one that is damaged, or that shows nobody. That one is reported, with the
reason; the others are not lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detection.boxes import Face
from detection.crop import CropSettings, FaceCrop, faces_to_crops
from detection.detectors.base import Detector
from detection.headers import refuse
from detection.images import kinds, look_through, read_image
from minicnn.errors import ImageError, ShapeError, explain
from minicnn.shapes import Array

# What lies beside photographs and is none, as anybody can see: nobody wants to hear that it was passed over.
NO_PICTURES = (".csv", ".db", ".htm", ".html", ".ini", ".json", ".log", ".md", ".txt", ".xml", ".yaml", ".yml")


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Searched:
    """A photograph in which faces were looked for.

    ``rgb`` uint8 (H, W, 3); None when it could not be read, or is too large for the detector: no face was looked for.
    ``problem`` says why there is nothing to use; None when there is. ``crops`` is empty unless crops were asked for.
    """

    photo: Path
    rgb: Array | None
    faces: tuple[Face, ...] = ()
    crops: tuple[FaceCrop, ...] = ()
    problem: str | None = None


def find_photos(
    place: str | os.PathLike[str], results: Path | None = None, say: Callable[[str], None] = lambda what: None
) -> list[Path]:
    """A photograph -> itself; a folder -> every picture in it and below, sorted. Raises ImageError for an empty folder.

    Pictures in the folder ``results`` are left out, should that lie in ``place``: an earlier run wrote them. Whether a
    file *is* a photograph shows when it is read. ``say`` hears how many files were passed over for their suffixes, for
    a telephone's pictures may be of a kind that cannot be read, and which folders cannot be read.
    """
    path = Path(place)
    if not path.is_dir():
        return [path]
    own = results.resolve() if results else None
    photos, others = (
        [file for file in files if own is None or not file.resolve().is_relative_to(own)]
        for files in look_through(path, lambda _, unread: say(f"Passed over: {unread}"))
    )
    if not photos:
        fix = "Write results into another folder."
        raise refuse(str(path), "pictures besides those where results go", f"only those in '{results}'", fix)
    passed = [file for file in others if file.suffix.lower() not in NO_PICTURES]
    if passed:
        many = f"{len(passed)} files were" if len(passed) > 1 else "1 file was"
        linked = any(os.path.islink(file) for file in passed)
        fix = "A link that leads out of the folder is not followed: copy what it leads to." if linked else ""
        fix = f"{fix} Pictures of other kinds can be converted to JPEG or PNG.".strip()
        say(f"{many} passed over: {kinds(passed)}. {fix}")
    return photos


def detect_in(photo: Path, rgb: Array, detector: Detector) -> list[Face]:
    """The faces of a photograph that was read. Raises ImageError, naming it, when it is too large for the detector."""
    try:
        return detector.detect(rgb)
    except ShapeError as error:
        raise ImageError(f"'{photo}': {error}") from None


def search_photos(
    photos: Iterable[Path], detector: Detector, settings: CropSettings | None = None
) -> Iterator[Searched]:
    """Look for faces in one photograph after the other, and with ``settings`` cut them out.

    A photograph that cannot be read, is too large for the detector, or has no face (or too many, for policy "only"), is
    not an error here: it comes with a ``problem``. What is wrong with the detector or the settings is raised.
    """
    for photo in photos:
        try:
            rgb = read_image(photo)
            faces = detect_in(photo, rgb, detector)
        except ImageError as error:
            yield Searched(photo, None, problem=str(error))
            continue
        if not faces:
            nothing = explain("at least one face", f"none in {rgb.shape[1]}x{rgb.shape[0]} pixels")
            yield Searched(photo, rgb, problem=f"'{photo}': {nothing}")
            continue
        try:
            crops = faces_to_crops(rgb, faces, settings, os.fspath(photo)) if settings else []
        except ImageError as error:  # too many faces, for policy "only"
            yield Searched(photo, rgb, tuple(faces), problem=str(error))
            continue
        yield Searched(photo, rgb, tuple(faces), tuple(crops))
