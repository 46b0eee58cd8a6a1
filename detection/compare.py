"""Several detectors on the same photographs: who finds a face, who misses it, and how long each takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from detection.detectors import Detector
from detection.images import read_image
from minicnn.errors import ImageError, OptionError, ShapeError, explain
from minicnn.shapes import Array


@dataclass(frozen=True)
class Score:
    """Photographs with at least one ``found`` face and ``missed`` ones without; ``several``: with more than one.

    ``alone``: in which only this detector found a face. It saw better than the others, or saw what is not there.
    ``seconds`` per photograph, the median, after a first one that loads the detector.
    """

    detector: str
    found: int
    missed: int
    several: int
    alone: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """How many ``photographs`` were looked at, a score per detector, and what could not be read."""

    photographs: int
    scores: tuple[Score, ...]
    unreadable: tuple[str, ...]


def compare_detectors(photos: Iterable[Path], detectors: Sequence[Detector]) -> Comparison:
    """Look for faces in every photograph with every detector, one after the other in this process.

    A photograph that cannot be read takes no part; one that is too large for a detector counts as missed. Raises
    OptionError without a detector, ImageError when there is no readable photograph.
    """
    if not detectors:
        raise OptionError(explain("at least one detector", "none"))
    counts: list[tuple[int, ...]] = []  # per photograph: faces by each detector
    times: list[list[float]] = [[] for _ in detectors]
    unreadable = []
    for photo in photos:
        try:
            rgb = read_image(photo)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        if not counts:
            for detector in detectors:
                _count(detector, rgb)  # loads what it needs
        found = []
        for detector, spent in zip(detectors, times, strict=True):
            began = time.perf_counter()
            found.append(_count(detector, rgb))
            spent.append(time.perf_counter() - began)
        counts.append(tuple(found))
    if not counts:
        raise ImageError(explain("at least one photograph that can be read", "; ".join(unreadable) or "none at all"))
    scores = []
    for index, (detector, spent) in enumerate(zip(detectors, times, strict=True)):
        own = [faces[index] for faces in counts]
        seen = sum(number > 0 for number in own)
        alone = sum(faces[index] > 0 and sum(number > 0 for number in faces) == 1 for faces in counts)
        several = sum(number > 1 for number in own)
        scores.append(Score(detector.name, seen, len(own) - seen, several, alone, median(spent)))
    return Comparison(len(counts), tuple(scores), tuple(unreadable))


def _count(detector: Detector, rgb: Array) -> int:
    try:
        return len(detector.detect(rgb))
    except ShapeError:  # too large for this detector
        return 0
