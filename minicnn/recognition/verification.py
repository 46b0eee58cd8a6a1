"""Are these two faces the same person? Judged by pairs, as verification is in the literature.

Two faces are called the same person when their embeddings are at most a threshold apart. Over all thresholds:

    FAR(t) = share of pairs of different people at most t apart        false accept rate
    VAL(t) = share of pairs of the same person at most t apart         true accept rate, "validation rate" in FaceNet

- **ROC**: VAL over FAR. **EER**: where as large a share of different pairs is accepted as of same pairs refused,
  FAR = 1 - VAL; on the straight line between the two measured points around it.
- **VAL at FAR 1e-3**: VAL at the largest threshold with FAR <= 1e-3. One of n different pairs is already 1/n, so with
  fewer than 1,000 of them that rate cannot be measured. Then ``value`` is None and ``problem`` says why: a number would
  only look like one.
- **Folds** (LFW, "image-restricted"): accuracy on each of ten parts, with the threshold that is best on the other nine;
  mean, and standard error of the mean.

Pairs that share a face are not independent. The intervals people compute from the number of pairs are too narrow; those
of the ten folds, which share no people, are honest.

Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the Wild", 2007; Schroff, Kalenichenko and Philbin, "FaceNet",
CVPR 2015.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from minicnn.errors import LabelError, OptionError, ShapeError, explain
from minicnn.recognition.identify import check_embeddings, check_labels
from minicnn.recognition.optional import load_sklearn
from minicnn.recognition.unknown import check_rate
from minicnn.shapes import Array

MAX_FACES = 3000  # 4.5 million pairs, 36 MB; of more faces a random part is compared
ROC_POINTS = 400  # in reports


@dataclass(frozen=True, eq=False)
class Pairs:
    """``distances`` (P,) of pairs of faces, and whether each shows the ``same`` person, (P,) bool."""

    distances: Array
    same: Array

    def __post_init__(self) -> None:
        if self.distances.ndim != 1 or self.distances.shape != self.same.shape or self.same.dtype != np.bool_:
            received = f"shapes {self.distances.shape} and {self.same.shape}, dtype {self.same.dtype}"
            raise ShapeError(explain("distances (P,) and same (P,) of bools", received))
        if not np.isfinite(self.distances).all():
            raise ShapeError(explain("finite distances", "NaN or infinity"))
        if not self.same.any() or self.same.all():
            received = f"{int(self.same.sum())} same, {int((~self.same).sum())} different"
            fix = "Verification needs at least two people, one of them with two faces."
            raise LabelError(explain("pairs of the same person and of different people", received, fix))


@dataclass(frozen=True, eq=False)
class Roc:
    """Points of the curve, from the strictest threshold to the laxest: ``far`` and ``val`` rise, ``thresholds`` too."""

    far: Array
    val: Array
    thresholds: Array


@dataclass(frozen=True)
class ValAtFar:
    """VAL at a FAR: ``value`` with its ``threshold``, or None and the ``problem``."""

    far: float
    value: float | None
    threshold: float | None
    different_pairs: int
    problem: str | None = None


@dataclass(frozen=True)
class Folds:
    """Accuracy of each fold, the threshold chosen for it on the others, and the mean with its standard error."""

    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]
    mean: float
    standard_error: float


def all_pairs(embeddings: Array, labels: Array, *, seed: int = 0) -> Pairs:
    """Every pair of N faces, N * (N - 1) / 2 of them; of more than MAX_FACES faces, those of a random part.

    Raises LabelError where all pairs show the same person, or none does: then there is nothing to tell apart.
    """
    return Pairs(*pair_distances(embeddings, labels, seed=seed))


def pair_distances(embeddings: Array, labels: Array, *, seed: int = 0) -> tuple[Array, Array]:
    """``distances`` and ``same`` of those pairs, (P,) each, whatever they show."""
    check_embeddings(embeddings, "faces")
    check_labels(labels, len(embeddings))
    if len(embeddings) > MAX_FACES:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(embeddings))[:MAX_FACES])
        embeddings, labels = embeddings[drawn], labels[drawn]
    first, second = np.triu_indices(len(labels), k=1)  # the order in which pdist lists them
    return pdist(embeddings.astype(np.float64)), labels[first] == labels[second]


def roc(pairs: Pairs) -> Roc:
    """The curve, with a point for every distance that occurs, and the point (0, 0) before the first."""
    curve = load_sklearn("metrics", "Verification").roc_curve
    far, val, scores = curve(pairs.same, -pairs.distances, drop_intermediate=False)
    return Roc(far, val, -scores)  # scikit-learn starts with a threshold of infinity: nothing accepted


def equal_error_rate(curve: Roc) -> tuple[float, float]:
    """(rate, threshold) where FAR = 1 - VAL, 0..1. Between two points of the curve: on the line that joins them."""
    gap = curve.far - (1 - curve.val)  # from -1 to 1, never falling
    after = int(np.argmax(gap >= 0))
    before = after - 1  # exists: the curve starts at gap -1
    share = -gap[before] / (gap[after] - gap[before])
    rate = curve.far[before] + share * (curve.far[after] - curve.far[before])
    low, high = curve.thresholds[before], curve.thresholds[after]
    return float(rate), float(low + share * (high - low) if np.isfinite(low) else high)


def val_at_far(curve: Roc, pairs: Pairs, far: float = 1e-3) -> ValAtFar:
    """VAL at the largest threshold whose FAR is at most ``far``; see the module's docstring for when there is none."""
    check_rate(far)
    different = int((~pairs.same).sum())
    needed = math.ceil(1 / far - 1e-9)
    if different < needed:
        problem = f"FAR {far:g} needs at least {needed:,} pairs of different people; there are {different:,}"
        return ValAtFar(far, None, None, different, problem)
    allowed = int(np.flatnonzero(curve.far <= far)[-1])  # the first point, FAR 0, always is
    threshold = float(curve.thresholds[allowed])
    return ValAtFar(far, float(curve.val[allowed]), threshold if math.isfinite(threshold) else None, different)


def best_threshold(distances: Array, same: Array) -> float:
    """The threshold that judges most pairs rightly; of several, the middle of the first gap that does.

    All P + 1 ways to cut the sorted distances in two are tried, in O(P log P).
    """
    order = np.argsort(distances, kind="stable")
    sorted_distances, sorted_same = distances[order], same[order]
    # cut c accepts the c smallest: right are the same ones among them and the different ones behind
    right = np.concatenate([[0], np.cumsum(np.where(sorted_same, 1, -1))])
    possible = np.concatenate([[True], np.diff(sorted_distances) > 0, [True]])  # equal distances cannot be told apart
    cut = int(np.argmax(np.where(possible, right, right.min() - 1)))
    if cut == 0:
        return float(np.nextafter(sorted_distances[0], -np.inf))
    if cut == len(sorted_distances):
        return float(sorted_distances[-1])
    middle = float(sorted_distances[cut - 1] + (sorted_distances[cut] - sorted_distances[cut - 1]) / 2)
    return min(middle, float(np.nextafter(sorted_distances[cut], -np.inf)))  # neighbours: the mean may round up


def folds(distances: Array, same: Array, fold: Array) -> Folds:
    """The protocol of LFW: ``fold`` (P,) says to which part each pair belongs.

    Over n folds: mean = sum(a_i) / n, standard error = s / sqrt(n), s being the standard deviation with n - 1 below.
    """
    parts = np.unique(fold)
    if len(parts) < 2:
        fix = "The threshold for one fold is chosen on the others."
        raise OptionError(explain("pairs of at least two folds", f"{len(parts)}", fix))
    accuracies, thresholds = [], []
    for part in parts:
        here = fold == part
        threshold = best_threshold(distances[~here], same[~here])
        accuracies.append(float(np.mean((distances[here] <= threshold) == same[here])))
        thresholds.append(threshold)
    error = float(np.std(accuracies, ddof=1) / math.sqrt(len(parts)))
    return Folds(tuple(accuracies), tuple(thresholds), float(np.mean(accuracies)), error)


def verify_pairs(pairs: Pairs, far: float = 1e-3) -> dict[str, Any]:
    """Everything above as plain data: counts, ROC (thinned to about ROC_POINTS points), EER, VAL at ``far``."""
    curve = roc(pairs)
    rate, threshold = equal_error_rate(curve)
    shown = np.unique(np.linspace(0, len(curve.far) - 1, min(ROC_POINTS, len(curve.far))).round().astype(int))
    return {
        "same_pairs": int(pairs.same.sum()),
        "different_pairs": int((~pairs.same).sum()),
        "eer": rate,
        "eer_threshold": threshold,
        "val_at_far": asdict(val_at_far(curve, pairs, far)),
        "roc": {"far": curve.far[shown].tolist(), "val": curve.val[shown].tolist()},
    }
