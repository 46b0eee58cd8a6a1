"""Who is it? Scores per person, and the courage to say "unknown".

A network trained with softmax gives a score for each person it knows (logits). An embedding gives a point on the unit
sphere, and the score of a person is minus the distance to the nearest of that person's faces in the gallery:

    score[n, k] = -min over gallery faces j of person k of |embedding[n] - gallery[j]|        in [-2, 0]

Either way the best person is the one with the highest score. How much that means is the *confidence*: the softmax
probability in the first case, the distance in the second. A threshold on it (``unknown``) decides whether the answer
is that person or nobody: index -1.

Cost: one matrix product of (N, D) with the gallery (M, D); 2,000 faces against 10,000 of 128 numbers take 50 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax

from minicnn.errors import LabelError, OptionError, ShapeError, explain
from minicnn.recognition.unknown import Threshold
from minicnn.shapes import Array

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Gallery:
    """The known faces: embeddings (M, D), each of length 1, and the person 0..K-1 that each shows, (M,).

    Raises ShapeError or LabelError when they do not fit one another.
    """

    embeddings: Array
    labels: Array

    def __post_init__(self) -> None:
        check_embeddings(self.embeddings, "gallery")
        check_labels(self.labels, len(self.embeddings))


@dataclass(frozen=True, eq=False)
class Answers:
    """For N faces: ``index`` the person, or -1 for unknown; ``best`` the most alike person all the same; and how
    sure, in the units of ``kind``: a "probability" (more is surer) or a "distance" (less is surer). All (N,).
    """

    index: Array
    best: Array
    confidence: Array
    kind: str


def check_embeddings(embeddings: Array, name: str) -> None:
    """Raise ShapeError unless ``embeddings`` is (N, D) with finite numbers and N, D >= 1."""
    array = np.asarray(embeddings)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(explain(f"{name} as embeddings (N, D), at least one", f"shape {array.shape}"))
    if not np.isfinite(array).all():
        fix = "The network has diverged: train it again with a smaller learning rate."
        raise ShapeError(explain(f"{name} with finite numbers", "NaN or infinity", fix))


def check_labels(labels: Array, count: int, classes: int | None = None) -> None:
    """Raise LabelError unless ``labels`` are ``count`` integers from 0 (to ``classes`` - 1)."""
    array = np.asarray(labels)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise LabelError(explain(f"labels as {count} integers", f"shape {array.shape}, dtype {array.dtype}"))
    if count and (array.min() < 0 or (classes is not None and array.max() >= classes)):
        allowed = ">= 0" if classes is None else f"from 0 to {classes - 1}"
        raise LabelError(explain(f"labels {allowed}", f"{array.min()} to {array.max()}"))


def distances(embeddings: Array, gallery: Array) -> Array:
    """Euclidean distances of every embedding to every gallery face, (N, D), (M, D) -> (N, M) float64, 0..2."""
    check_embeddings(embeddings, "faces")
    check_embeddings(gallery, "gallery")
    if embeddings.shape[1] != gallery.shape[1]:
        fix = "Were both made by the same network?"
        raise ShapeError(explain(f"embeddings of {gallery.shape[1]} numbers", f"{embeddings.shape[1]}", fix))
    found: Array = cdist(embeddings.astype(np.float64), gallery.astype(np.float64))
    return found


def person_distances(embeddings: Array, gallery: Gallery, classes: int) -> Array:
    """The distance to the nearest gallery face of each person, (N, D) -> (N, K); inf for people without a face."""
    check_labels(gallery.labels, len(gallery.embeddings), classes)
    every = distances(embeddings, gallery.embeddings)
    nearest = np.full((len(embeddings), classes), np.inf)
    for person in np.unique(gallery.labels):
        nearest[:, person] = every[:, gallery.labels == person].min(axis=1)
    return nearest


def probabilities(logits: Array) -> Array:
    """Softmax of scores (N, K) along the last axis, in float64, where 1 - 1e-9 is still less than 1."""
    exact = np.asarray(logits, np.float64)
    if exact.ndim != 2 or exact.size == 0:
        raise ShapeError(explain("logits (N, K), at least one", f"shape {exact.shape}"))
    shares: Array = softmax(exact, axis=1)
    return shares


def decide_by_probability(logits: Array, threshold: Threshold | None = None) -> Answers:
    """Name faces by a softmax network's scores (N, K). Without a threshold nobody is unknown."""
    shares = probabilities(logits)
    best = shares.argmax(axis=1)
    return _answers(best, shares[np.arange(len(best)), best], "probability", threshold)


def decide_by_distance(
    embeddings: Array, gallery: Gallery, classes: int, threshold: Threshold | None = None
) -> Answers:
    """Name faces by the nearest face of the gallery. Without a threshold nobody is unknown."""
    nearest = person_distances(embeddings, gallery, classes)
    best = nearest.argmin(axis=1)
    return _answers(best, nearest[np.arange(len(best)), best], "distance", threshold)


def agreement(first: Answers, second: Answers) -> float:
    """The share of faces that two engines give the same name, "unknown" included, 0..1."""
    if first.index.shape != second.index.shape:
        raise ShapeError(explain("answers about the same faces", f"{len(first.index)} and {len(second.index)}"))
    return float(np.mean(first.index == second.index))


def _answers(best: Array, confidence: Array, kind: str, threshold: Threshold | None) -> Answers:
    if threshold is None:
        return Answers(best.copy(), best, confidence, kind)
    if threshold.kind != kind:
        raise OptionError(explain(f"a threshold on the {kind}", f"one on the {threshold.kind}"))
    return Answers(np.where(threshold.accepts(confidence), best, UNKNOWN), best, confidence, kind)
