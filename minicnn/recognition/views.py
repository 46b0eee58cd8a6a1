"""Several views of one picture: a network is asked about each, and the mean of its answers counts.

A detector's box is too large here and too small there, and which it is should not decide who somebody is. So a picture
is shown as it is, a little nearer and a little farther, and each of these also mirrored: six
views, for six times the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minicnn.augmentation import Choices, affine_maps, warp
from minicnn.ops.activations import softmax
from minicnn.shapes import Array

ZOOMS = (0.0, -0.1, 0.1)
PART = 64  # pictures at a time: six views of all of a large gallery would not fit into memory


def views(x: Array) -> Iterator[Array]:
    """Pictures (N, H, W, C) in six views of the same shape; the first is the picture as it is."""
    n, (height, width) = len(x), x.shape[1:3]
    for zoom in ZOOMS:
        for flip in (False, True):
            still = np.zeros(n)
            choices = Choices(np.full(n, flip), np.zeros((n, 2)), still, still + zoom, still + 1)
            yield warp(x, affine_maps(choices, height, width))


def parts_in_views(x: Array) -> Iterator[Iterator[Array]]:
    """``views`` of a part of the pictures, then of the next part."""
    for start in range(0, len(x), PART):
        yield views(x[start : start + PART])


def mean_logits(logits: Sequence[Array]) -> Array:
    """Scores (N, K) whose softmax is the mean of the views' softmax: what is averaged are probabilities."""
    shares = np.mean([softmax(scores.astype(np.float64))[0] for scores in logits], axis=0)
    found: Array = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    return found


def mean_embedding(embeddings: Sequence[Array]) -> Array:
    """The views' embeddings (N, D), each of length 1, added up; the sum is not of length 1 yet."""
    total: Array = np.sum(embeddings, axis=0)
    return total
