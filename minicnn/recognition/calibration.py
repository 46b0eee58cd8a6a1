"""The thresholds of a run, all at once, from faces that were held out.

Three questions need one each: is the most likely person likely enough (``probability``, softmax networks only)? Is the
nearest known face near enough (``distance``)? And are two faces near enough to be one person (``pair``)? The first two
are calibrated by ``unknown.calibrate``, on strangers or, without any, with everybody left out in turn; the third on the
pairs of different people among the held-out faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.recognition.identify import Gallery, check_labels, person_distances, probabilities
from minicnn.recognition.unknown import (
    LEFT_OUT,
    RATE,
    Threshold,
    calibrate,
    left_out_distances,
    left_out_probabilities,
)
from minicnn.recognition.verification import all_pairs
from minicnn.shapes import Array

STRANGERS = "people the network has never seen"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Faces the network was not trained on: embeddings (N, D), labels (N,), and logits (N, K) of softmax networks.

    For strangers, ``labels`` only tells them apart: they are numbers of other people than the network's.
    """

    embeddings: Array
    labels: Array
    logits: Array | None = None


class Confidences(NamedTuple):
    """How sure a network is of N faces: the distance to the nearest known face, the highest probability (softmax
    networks, else None), both (N,); and who they show, (N,). ``source`` says what kind of people they are.
    """

    distance: Array
    probability: Array | None
    labels: Array
    source: str


def confidences(gallery: Gallery, classes: int, faces: HeldOut, source: str = STRANGERS) -> Confidences:
    """How sure the network of ``gallery`` is that each face is one of its ``classes`` people."""
    distance = person_distances(faces.embeddings, gallery, classes).min(axis=1)
    probability = None if faces.logits is None else probabilities(faces.logits).max(axis=1)
    return Confidences(distance, probability, faces.labels, source)


def joined(parts: Sequence[Confidences]) -> Confidences:
    """What several networks of one kind said, as one."""
    shares = [part.probability for part in parts if part.probability is not None]
    return Confidences(
        np.concatenate([part.distance for part in parts]),
        np.concatenate(shares) if shares else None,
        np.concatenate([part.labels for part in parts]),
        parts[0].source,
    )


def calibrate_run(
    gallery: Gallery, classes: int, held_out: HeldOut, strangers: Confidences | None = None, rate: float = RATE
) -> dict[str, Threshold]:
    """Thresholds by kind, for ``unknown.save_thresholds``.

    Raises OptionError with fewer than two people held out and no strangers.
    """
    labels = held_out.labels
    check_labels(labels, len(held_out.embeddings), classes)
    people = len(np.unique(labels))
    if people < 2 and strangers is None:
        fix = "Everybody is left out in turn, which takes somebody else; or give a folder of strangers."
        raise OptionError(explain("held-out faces of at least two people", f"{people}", fix))
    found: dict[str, Threshold] = {}
    own = person_distances(held_out.embeddings, gallery, classes)
    if strangers is None:
        scores, known = left_out_distances(own, labels)
        count, source = people, LEFT_OUT
    else:
        scores, known = strangers.distance, own[np.arange(len(labels)), labels]
        count, source = len(np.unique(strangers.labels)), strangers.source
    found["distance"] = calibrate(scores, "distance", rate, known=known, people=count, source=source)
    if held_out.logits is not None:
        unlike, like = left_out_probabilities(held_out.logits, labels)
        if strangers is not None and strangers.probability is not None:
            unlike = strangers.probability
        found["probability"] = calibrate(unlike, "probability", rate, known=like, people=count, source=source)
    if len(set(labels.tolist())) > 1 and len(labels) > people:
        pairs = all_pairs(held_out.embeddings, labels)
        found["pair"] = calibrate(
            pairs.distances[~pairs.same],
            "pair",
            rate,
            known=pairs.distances[pairs.same],
            people=people,
            source="pairs of different people among the held-out faces",
        )
    return found
