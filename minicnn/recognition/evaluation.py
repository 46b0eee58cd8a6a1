"""How well are people named? Accuracy, per person, who is taken for whom, and which faces lie behind the mistakes.

Everything starts from one array: ``scores`` (N, K), the higher the more alike, be they logits or minus distances
(``identify``). Counting is scikit-learn's; with people who were never predicted, precision is given as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.metrics import SparseTopKCategoricalAccuracy
from minicnn.recognition.identify import Gallery, check_labels, distances
from minicnn.recognition.optional import load_sklearn
from minicnn.recognition.unknown import Threshold, interval, interval_by_people
from minicnn.shapes import Array

TOP = 5
NEIGHBOURS = 3


def classification(scores: Array, labels: Array, people: Sequence[str]) -> dict[str, Any]:
    """Accuracy with its 95 % interval, top-5, a row per person, confusion counts, as plain data.

    ``top5`` is None with five people or fewer, where it would be 1 whatever the network says. ``confusion[i][j]`` is
    how often person i was taken for person j. People without a face in ``labels`` have no row.
    """
    metrics = load_sklearn("metrics", "Evaluating a network")
    if scores.ndim != 2 or scores.shape != (len(labels), len(people)) or scores.size == 0:
        expected = f"scores (N, {len(people)}) for N = {len(labels)} faces, at least one"
        raise ShapeError(explain(expected, f"shape {scores.shape}"))
    if np.isnan(scores).any():
        raise ShapeError(explain("scores that are numbers", "NaN", "The network has diverged: train it again."))
    check_labels(labels, len(scores), len(people))
    predicted = scores.argmax(axis=1)
    every = np.arange(len(people))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    right = int((predicted == labels).sum())
    shown = [int(person) for person in every if support[person]]
    return {
        "faces": len(labels),
        "right": right,
        "accuracy": right / len(labels),
        "interval": interval(right, len(labels)),
        "top5": top_k(scores, labels) if len(people) > TOP else None,
        "macro_f1": float(np.mean([f1[person] for person in shown])),
        "per_person": [
            {
                "person": people[person],
                "number": person + 1,
                "faces": int(support[person]),
                "precision": float(precision[person]),
                "recall": float(recall[person]),
                "f1": float(f1[person]),
            }
            for person in shown
        ],
        "confusion": metrics.confusion_matrix(labels, predicted, labels=every).tolist(),
        "predicted": predicted.tolist(),
        "labels": labels.tolist(),
    }


def top_k(scores: Array, labels: Array, k: int = TOP) -> float:
    """How often fewer than k people score higher than the right one, 0..1."""
    metric = SparseTopKCategoricalAccuracy(k)
    # people without a gallery face are infinitely far away, and the metric counts a row with infinities as a miss
    lowest = np.min(scores, where=np.isfinite(scores), initial=0.0)
    metric.update(labels, np.where(np.isneginf(scores), lowest - 1.0, scores))
    return metric.result()


def mistakes(
    scores: Array, labels: Array, embeddings: Array, gallery: Gallery, neighbours: int = NEIGHBOURS
) -> list[dict[str, Any]]:
    """The faces that were named wrongly, the clearest mistakes first, with the nearest training faces.

    Each: ``face`` its row, ``label``, ``predicted``, ``margin`` (how much higher the wrong person scored), ``nearest``
    the rows of the gallery faces most alike, with their ``distances``.
    """
    predicted = scores.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    if not len(wrong):
        return []
    margins = scores[wrong, predicted[wrong]] - scores[wrong, labels[wrong]]
    every = distances(embeddings[wrong], gallery.embeddings)
    nearest = np.argsort(every, axis=1, kind="stable")[:, :neighbours]
    return [
        {
            "face": int(wrong[i]),
            "label": int(labels[wrong[i]]),
            "predicted": int(predicted[wrong[i]]),
            "margin": float(margins[i]),
            "nearest": nearest[i].tolist(),
            "distances": every[i, nearest[i]].tolist(),
        }
        for i in np.argsort(-margins, kind="stable")
    ]


def unknown_rates(
    threshold: Threshold, known: Array, right: Array, strangers: Array | None, people: Array
) -> dict[str, Any]:
    """What a threshold does on faces it was not calibrated on.

    ``known`` (N,) are the distances of the test faces, ``right`` (N,) whether they were named rightly: how many get
    their own name, a wrong one, or "unknown". ``strangers`` (S,) are the distances of people the network does not know,
    ``people`` (S,) tells these apart, for a 95 % interval of their rate (``unknown.interval_by_people``).
    """
    passed = threshold.accepts(known)
    named, wrong = int((passed & right).sum()), int((passed & ~right).sum())
    found: dict[str, Any] = {
        "kind": threshold.kind,
        "value": threshold.value,
        "rate": threshold.rate,
        "calibration": threshold.measured,
        "faces": len(known),
        "named_rightly": named,
        "named_wrongly": wrong,
        "called_unknown": len(known) - named - wrong,
    }
    if strangers is not None and len(strangers):
        passed_too = threshold.accepts(strangers)
        accepted = int(passed_too.sum())
        found |= {
            "strangers": len(strangers),
            "strangers_named": accepted,
            "false_accept_rate": accepted / len(strangers),
            "strangers_people": len(np.unique(people)),
            "false_accept_interval": interval_by_people(passed_too, people),
        }
    return found
