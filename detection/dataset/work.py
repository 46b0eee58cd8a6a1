"""One photograph to its crop and what is to be written down about it: what each worker process does.

A photograph that cannot be used is no error here but a record with a reason. What would fail for every photograph (a
library that is missing, a model file that is none, a full disk) is raised.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from detection.align import EyeFinder, level
from detection.boxes import Face
from detection.crop import crop_face
from detection.dataset.faces import candidates, look
from detection.dataset.hashes import perceptual_hash
from detection.dataset.journal import Find, Record
from detection.dataset.settings import BuildSettings, DetectorMaker
from detection.dataset.sources import Photo, crop_path
from detection.detectors import Detector
from detection.images import read_image, write_image
from minicnn.errors import ImageError, ShapeError, explain
from minicnn.shapes import Array

GONE = 0, 0  # the state of a file that is not there
CANDIDATES = ".candidates"  # hidden, so that no list of pictures sees it


class Worker:
    """Reads photographs below ``root`` and writes crops below ``folder``. Detector and eye finder are made once."""

    def __init__(self, root: Path, folder: Path, settings: BuildSettings, make_detector: DetectorMaker) -> None:
        self.root, self.folder, self.settings = root, folder, settings
        self._detector: Detector = make_detector()
        self._eyes: EyeFinder | None = settings.eye_finder()

    def process(self, photo: Photo) -> Record:
        """Find, choose, align and cut out the face of one photograph; what came of it.

        Raises OSError when the disk refuses the crop, and what is wrong with the detector or a model file.
        """
        path = self.root / photo.source
        record = Record(photo.source, photo.person, *file_state(path))
        try:
            rgb = read_image(path)
            height, width = rgb.shape[:2]
            record = replace(record, sha256=_digest(path), phash=perceptual_hash(rgb), width=width, height=height)
            faces = [face for face in self._detector.detect(rgb) if face.box.clip(width, height)]
            record = replace(record, faces=len(faces))
            if not faces:
                return replace(record, reason=explain("at least one face", f"none in {width}x{height} pixels"))
            chosen = candidates(faces, self.settings.policy, (width, height), photo.source)
        except (ImageError, ShapeError) as error:  # ShapeError: too large for this detector
            reason = str(error).removeprefix(f"'{path}': ").removeprefix(f"'{photo.source}': ")
            return replace(record, reason=reason)
        except MemoryError:
            return replace(record, reason="needs more memory than there is: make it smaller first")
        return replace(record, finds=self._cut_out(rgb, chosen, photo))

    def _cut_out(self, rgb: Array, faces: Sequence[Face], photo: Photo) -> tuple[Find, ...]:
        """Write the crop of every face: of the only one where it belongs, of several where they wait to be chosen."""
        finds = []
        for number, face in enumerate(faces, start=1):
            crop, alignment, angle = self._aligned(rgb, face)
            name = crop_path(photo)
            if len(faces) > 1:
                name = f"{CANDIDATES}/{crop_path(photo, f'-{number}.png')}"
            save_crop(self.folder / name, crop)
            seen = look(crop) if self.settings.policy == "alike" else ""
            box = (face.box.left, face.box.top, face.box.right, face.box.bottom)
            finds.append(Find(box, round(face.score, 4), face.detector, alignment, round(angle, 2), name, seen))
        return tuple(finds)

    def _aligned(self, rgb: Array, face: Face) -> tuple[Array, str, float]:
        """The crop, what found its eyes, and by how many degrees it was turned."""
        eyes = self._eyes.find(rgb, face.box) if self._eyes else None
        if self._eyes is None or eyes is None:
            return crop_face(rgb, face.box, self.settings.crop), "none", 0.0
        return crop_face(*level(rgb, face.box, eyes.angle), self.settings.crop), self._eyes.name, eyes.angle


def save_crop(path: Path, crop: Array) -> None:
    """Write a crop, and the folders above it if need be. Raises OSError when the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_image(path, crop)
    except ImageError as error:
        refusal = error.__context__  # write_image words it for one picture; here it ends the run
        if isinstance(refusal, OSError):
            raise OSError(refusal.errno or errno.EIO, refusal.strerror or str(refusal), str(path)) from None
        raise


def file_state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds; zeros for a file that is gone."""
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return GONE
    return info.st_size, info.st_mtime_ns


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:  # it was read a moment ago
        raise ImageError(explain("a readable picture file", error.strerror)) from None
