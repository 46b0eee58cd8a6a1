"""Find a person again: photographs ranked by how near their nearest face is to the one that is sought.

Finding faces and embedding them takes a second per photograph; comparing takes nothing. So what a photograph gave is
kept in the user's cache, one small file each. Its name is a hash of everything that decides the content: the
photograph's bytes, the network's file, and all settings. A photograph that was moved is still known, one that was
edited is not, and nothing ever has to be declared out of date. A damaged file is made again; a cache that cannot be
written to makes searches slow, not impossible.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.boxes import Box, Face
from detection.collect import detect_in
from detection.crop import ADVICE
from detection.detectors import Detector
from detection.images import read_image
from detection.regular_files import open_regular
from minicnn.errors import ImageError, LoadError, MinicnnError, NoFaceError, explain
from minicnn.io.npz import read_arrays, write_arrays
from minicnn.recognition.identify import distances
from minicnn.shapes import Array

FORMAT, VERSION = "minicnn embeddings", 1


@dataclass(frozen=True, eq=False)
class Embedded:
    """The faces of a photograph, largest first, and their embeddings (n, D); n = 0 when nobody is on it."""

    faces: tuple[Face, ...]
    embeddings: Array


@dataclass(frozen=True)
class Match:
    """A photograph, its face that is nearest to the one that is sought, and their distance, 0..2."""

    photo: Path
    face: Face
    distance: float


class EmbeddingCache:
    """``settings`` is whatever decides the embeddings besides the photograph: the network's hash, crop, detector.

    ``hits`` counts the photographs that were known. ``folder=None`` keeps nothing.
    """

    def __init__(self, folder: Path | None, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.settings = json.dumps(settings, sort_keys=True, default=str)
        self.hits = 0

    def key(self, photo: Path) -> str:
        """SHA-256 of content and settings, in hexadecimal. Raises ImageError for what is no readable file."""
        with open_regular(photo, "picture") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(f"{FORMAT} {VERSION} {content} {self.settings}".encode()).hexdigest()

    def load(self, key: str) -> Embedded | None:
        """What is known under a key; None when there is nothing, or nothing that could be right."""
        if self.folder is None:
            return None
        try:
            arrays, metadata = read_arrays(self._path(key))
            boxes, embeddings = arrays["boxes"], arrays["embeddings"]
            right = (metadata["format"], metadata["version"], metadata["key"]) == (FORMAT, VERSION, key)
            fits = (
                boxes.shape == (len(embeddings), 4)
                and embeddings.ndim == 2
                and len(metadata["detectors"]) == len(boxes)
            )
            if not (right and fits and np.isfinite(embeddings).all()):
                return None
            faces = tuple(
                Face(Box(*map(int, box)), float(score), str(detector))
                for box, score, detector in zip(boxes, arrays["scores"], metadata["detectors"], strict=True)
            )
        except (MinicnnError, LookupError, TypeError, ValueError, OSError):
            return None
        self.hits += 1
        return Embedded(faces, embeddings)

    def save(self, key: str, found: Embedded) -> None:
        """Keep it. A folder that refuses is no reason to fail."""
        if self.folder is None:
            return
        edges = [(f.box.left, f.box.top, f.box.right, f.box.bottom) for f in found.faces]
        arrays = {
            "boxes": np.array(edges, np.int64).reshape(-1, 4),
            "scores": np.array([f.score for f in found.faces], np.float64),
            "embeddings": np.asarray(found.embeddings, np.float32),
        }
        detectors = [f.detector for f in found.faces]
        metadata = {"format": FORMAT, "version": VERSION, "key": key, "detectors": detectors}
        with suppress(OSError, MinicnnError):
            self._path(key).parent.mkdir(parents=True, exist_ok=True)
            write_arrays(self._path(key), arrays, metadata)

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.npz"


class Searcher:
    """``embed`` takes an RGB picture and its faces and gives embeddings (n, D) of length 1."""

    def __init__(
        self, detector: Detector, embed: Callable[[Array, tuple[Face, ...]], Array], cache: EmbeddingCache
    ) -> None:
        self.detector, self.embed, self.cache = detector, embed, cache

    def embedded(self, photo: Path) -> Embedded:
        """The faces of a photograph, from the cache if it is known.

        Raises ImageError for what is no picture, or one too large for the detector.
        """
        key = self.cache.key(photo)
        known = self.cache.load(key)
        if known is not None:
            return known
        rgb = read_image(photo)
        faces = tuple(detect_in(photo, rgb, self.detector))
        found = Embedded(faces, self.embed(rgb, faces) if faces else np.zeros((0, 1), np.float32))
        self.cache.save(key, found)
        return found

    def largest(self, photo: Path) -> tuple[Face, Array]:
        """The largest face of a photograph and its embedding (1, D). Raises NoFaceError when there is none."""
        found = self.embedded(photo)
        if not found.faces:
            raise NoFaceError(f"'{photo}': {explain('at least one face', 'none', ADVICE)}")
        return found.faces[0], found.embeddings[:1]

    def matches(self, sought: Array, photos: Iterable[Path]) -> Iterator[Match | tuple[Path, str]]:
        """A Match for each photograph, or (photo, problem) for one that has no face or cannot be searched."""
        for photo in photos:
            try:
                found = self.embedded(photo)
            except ImageError as error:
                yield photo, str(error)
                continue
            if not found.faces:
                yield photo, f"'{photo}': {explain('at least one face', 'none')}"
                continue
            apart = distances(sought, found.embeddings)[0]  # (1, n) -> (n,)
            nearest = int(apart.argmin())
            yield Match(photo, found.faces[nearest], float(apart[nearest]))


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal. Raises LoadError when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LoadError(f"Cannot load '{path}': {error.strerror}.") from error
