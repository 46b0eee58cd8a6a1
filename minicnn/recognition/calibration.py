"""The thresholds of a run, from faces that were held out and from strangers.

Two questions need one each: is a face near enough to the person it was named after (``distance``)? And are two faces
near enough to be one person (``pair``)?

**Distances of different networks** do not compare as they are: trained twice, with other people or only another seed,
the faces of one person lie 0.24 apart here and 0.27 there. So a network's distances are divided by its ``scale``, the
median distance at which it finds held-out faces of people it knows. Strangers who were asked of several networks
(``left_out``) then speak in one unit, and the threshold that follows is turned back into the run's own distances.
``benchmarks/RECOGNITION.md`` says what that is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minicnn.recognition.identify import Gallery, check_labels, decide, person_distances
from minicnn.recognition.unknown import RATE, Threshold, calibrate
from minicnn.recognition.verification import pair_distances
from minicnn.shapes import Array

STRANGERS = "people the network has never seen"
HELD_OUT_PAIRS = "pairs of people the network knows, on held-out faces"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Faces the network was not trained on: embeddings (N, D), labels (N,), and logits (N, K) of softmax networks.

    For strangers, ``labels`` only tells them apart: they are numbers of other people than the network's.
    """

    embeddings: Array
    labels: Array
    logits: Array | None = None


class Strangers(NamedTuple):
    """How near N faces of strangers came to whom they were taken for, ``distance`` (N,), and different strangers to one
    another, ``pairs`` (P,), both in units of the network's ``scale``. ``labels`` (N,) tell the strangers apart,
    ``source`` says what kind of people they are.
    """

    distance: Array
    pairs: Array
    labels: Array
    source: str


def named_distances(gallery: Gallery, classes: int, faces: HeldOut) -> Array:
    """How far each face is from the nearest one of the person it is named after, (N,)."""
    return decide(person_distances(faces.embeddings, gallery, classes), faces.logits).distance


def scale(gallery: Gallery, classes: int, held_out: HeldOut) -> float:
    """The median of ``named_distances`` of people the network knows: its unit of distance, above 0."""
    check_labels(held_out.labels, len(held_out.embeddings), classes)
    return max(float(np.median(named_distances(gallery, classes, held_out))), float(np.finfo(np.float32).eps))


def ask_about(
    strangers: HeldOut, gallery: Gallery, classes: int, held_out: HeldOut, source: str = STRANGERS
) -> Strangers:
    """What the network of ``gallery`` makes of ``strangers``; ``held_out`` are faces of its own ``classes`` people."""
    unit, (_, different) = scale(gallery, classes, held_out), _pairs(strangers)
    return Strangers(named_distances(gallery, classes, strangers) / unit, different / unit, strangers.labels, source)


def joined(parts: Sequence[Strangers]) -> Strangers:
    """What several networks said, as one."""
    distance, pairs, labels = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Strangers(distance, pairs, labels, parts[0].source)


def calibrate_run(
    gallery: Gallery, classes: int, held_out: HeldOut, strangers: Strangers | None = None, rate: float = RATE
) -> dict[str, Threshold]:
    """Thresholds by kind, for ``unknown.update_thresholds``: without ``strangers`` only "pair", on pairs of known
    people, and not even that where no two of them were held out.

    Nothing but strangers can tell how near strangers come. To leave a person's own faces out of the comparison, in a
    network that was trained on that person, is not the same: it has learned to keep exactly those faces away from
    everybody else's.
    """
    unit = scale(gallery, classes, held_out)
    found: dict[str, Threshold] = {}
    if strangers is not None:
        found["distance"] = calibrate(
            strangers.distance * unit,
            "distance",
            rate,
            known=named_distances(gallery, classes, held_out),
            people=strangers.labels,
            source=strangers.source,
        )
    own, others = _pairs(held_out)
    if strangers is not None and len(strangers.pairs):
        different, labels, source = strangers.pairs * unit, strangers.labels, strangers.source
    elif len(others):
        different, labels, source = others, held_out.labels, HELD_OUT_PAIRS
    else:
        return found
    found["pair"] = calibrate(different, "pair", rate, known=own, source=source)
    found["pair"].measured["people"] = len(np.unique(labels))
    return found


def _pairs(faces: HeldOut) -> tuple[Array, Array]:
    """Distances of all pairs: (of one person, of different people). Either may be none: strangers often have one face
    each.
    """
    distances, same = pair_distances(faces.embeddings, faces.labels)
    return distances[same], distances[~same]
