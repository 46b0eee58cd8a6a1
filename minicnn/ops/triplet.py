"""The triplet loss: two pictures of one person must be closer than pictures of two people, by a margin.

A triplet is an anchor a, a positive p (another picture of the same person) and a negative n (somebody else). With the
squared distance D(i, j) = |e_i - e_j|**2 between embeddings,

    loss of a triplet = max(0, D(a, p) - D(a, n) + margin)

**Which triplets?** Nearly all of them cost nothing after a while, so one negative is chosen for each pair (a, p). The
hardest negative of all, the one closest to the anchor, is often a mislabelled or odd picture, and training on these
collapses: every face moves to one point. *Semi-hard* negatives are farther away than the positive, but perhaps not by
the margin. The nearest of them is chosen; where every negative is closer than the positive, the farthest is.

    loss of anchor a = mean over its positives p of max(0, D(a, p) - D(a, n(a, p)) + margin)

The choice is a constant for the gradient: it changes in jumps. So every loss is a weighted sum of distances, and with
the weights W(a, j) and S = W + W^T,

    de_i = 2 * sum over j of S(i, j) * (e_i - e_j)

Cost: O(N**2 D) for N embeddings of D numbers, and a sort per anchor.
Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", 2015.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import LabelError, ShapeError, explain
from minicnn.ops.checks import check_upstream
from minicnn.shapes import Array, check_array


class TripletCache(NamedTuple):
    """The embeddings, and how much each distance D(a, j) counts in the loss of anchor a."""

    embeddings: Array  # (N, D)
    weights: Array  # (N, N)


def squared_distances(embeddings: Array) -> Array:
    """(N, D) -> (N, N): |e_i - e_j|**2.

    From differences: |e_i|**2 + |e_j|**2 - 2 e_i e_j would lose every digit where two faces are alike.
    """
    distances = np.empty((len(embeddings), len(embeddings)), embeddings.dtype)
    for row, anchor in zip(distances, embeddings, strict=True):
        np.square(embeddings - anchor).sum(axis=1, out=row)
    return distances


def semi_hard_negatives(distances: Array, labels: Array) -> Array:
    """For each anchor a (rows) and positive p (columns) the index of its negative; -1 where a and p are no such pair.

    ``distances`` (N, N), ``labels`` (N,). Of equal distances the first counts. A person who is alone in the batch has
    no pairs, and neither has anybody in a batch of one person.
    """
    chosen = np.full(distances.shape, -1, np.int64)
    for a, row in enumerate(distances):
        same = labels == labels[a]
        negatives = np.flatnonzero(~same)
        same[a] = False
        positives = np.flatnonzero(same)
        if not len(negatives) or not len(positives):
            continue
        order = negatives[np.argsort(row[negatives], kind="stable")]
        place = np.searchsorted(row[order], row[positives], side="right")  # the first one beyond the positive
        farthest = negatives[row[negatives].argmax()]
        chosen[a, positives] = np.where(place < len(order), order[np.minimum(place, len(order) - 1)], farthest)
    return chosen


def triplet_semi_hard(labels: Array, embeddings: Array, margin: float) -> tuple[Array, TripletCache]:
    """Labels (N,) integers, embeddings (N, D) -> one loss per anchor (N,), and the cache for the backward pass.

    Anchors without a positive have the loss 0. Raises LabelError for a batch in which no triplet can be formed, and
    ShapeError or DtypeError for arrays that do not fit.
    """
    check_array(embeddings, "embeddings", 2, "(N, D)")
    labels = np.asarray(labels)
    if labels.shape == (len(embeddings), 1):
        labels = labels[:, 0]  # (N, 1) -> (N,)
    if labels.shape != (len(embeddings),):
        raise ShapeError(explain(f"a label for each of the {len(embeddings)} embeddings", f"shape {labels.shape}"))
    distances = squared_distances(embeddings)
    negatives = semi_hard_negatives(distances, labels)
    anchors, positives = np.nonzero(negatives >= 0)
    if not len(anchors):
        fix = "PeopleBatches makes batches of several people with several pictures each."
        raise LabelError(explain("two people, one of them with two pictures", f"{np.unique(labels).size} people", fix))
    opposed = negatives[anchors, positives]
    hinge = np.maximum(distances[anchors, positives] - distances[anchors, opposed] + margin, 0)
    pairs = np.bincount(anchors, minlength=len(labels))
    share = (1 / np.maximum(pairs, 1)).astype(embeddings.dtype)
    losses = np.zeros(len(labels), embeddings.dtype)
    np.add.at(losses, anchors, hinge.astype(embeddings.dtype) * share[anchors])
    active = np.where(hinge > 0, share[anchors], 0)
    weights = np.zeros_like(distances)
    np.add.at(weights, (anchors, positives), active)
    np.subtract.at(weights, (anchors, opposed), active)
    return losses, TripletCache(embeddings, weights)


def triplet_semi_hard_backward(dlosses: Array, cache: TripletCache) -> Array:
    """(N,) -> (N, D): the gradient with respect to the embeddings. Raises ShapeError, DtypeError."""
    embeddings, weights = cache
    dlosses = check_upstream(dlosses, (len(embeddings),), embeddings.dtype)
    both = dlosses[:, None] * weights
    both = both + both.T
    dembeddings: Array = 2 * (both.sum(axis=1, keepdims=True) * embeddings - np.einsum("ij,jd->id", both, embeddings))
    return dembeddings
