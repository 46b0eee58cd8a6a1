"""Who is it? Scores per person, and the courage to say "unknown".

A network trained with softmax gives a score for each person it knows (logits). An embedding gives a point on the unit
sphere, and the score of a person is minus the distance to the nearest of that person's faces in the gallery:

    score[n, k] = -min over gallery faces j of person k of |embedding[n] - gallery[j]|        in [-2, 0]

Either way the best person is the one with the highest score. Whether it is that person or nobody one knows (index -1)
is decided by the distance to the nearest face of that person, in both cases: a threshold on it (``unknown``). A softmax
cannot say it, for its probabilities are shares among the people it knows, and a stranger who is a little like one of
them and not at all like the others gets nearly all. ``benchmarks/RECOGNITION.md`` has a measurement of both.

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
    """For N faces: ``index`` the person, or -1 for unknown; ``best`` the most alike person all the same; the
    ``distance`` to the nearest face of ``best``; and its ``probability``, None without a softmax. All (N,).
    """

    index: Array
    best: Array
    distance: Array
    probability: Array | None = None


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


def decide(nearest: Array, logits: Array | None = None, threshold: Threshold | None = None) -> Answers:
    """Name faces by a softmax network's scores (N, K), or else by the nearest face of the gallery; and call unknown who
    is farther than ``threshold`` from every face of that name.

    ``nearest`` (N, K) are ``person_distances``. Without a threshold nobody is unknown.
    """
    if logits is not None and logits.shape != nearest.shape:
        raise ShapeError(explain(f"scores {nearest.shape}, one for each distance", f"shape {logits.shape}"))
    shares = None if logits is None else probabilities(logits)
    best = nearest.argmin(axis=1) if shares is None else shares.argmax(axis=1)
    rows = np.arange(len(best))
    distance = nearest[rows, best]
    if threshold is not None and threshold.kind != "distance":
        raise OptionError(explain("a threshold on the distance", f"one on the {threshold.kind}"))
    index = best.copy() if threshold is None else np.where(threshold.accepts(distance), best, UNKNOWN)
    return Answers(index, best, distance, None if shares is None else shares[rows, best])


def agreement(first: Answers, second: Answers) -> float:
    """The share of faces that two engines give the same name, "unknown" included, 0..1."""
    if first.index.shape != second.index.shape:
        raise ShapeError(explain("answers about the same faces", f"{len(first.index)} and {len(second.index)}"))
    return float(np.mean(first.index == second.index))
