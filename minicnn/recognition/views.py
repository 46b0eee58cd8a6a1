"""Several views of one picture: a network is asked about each, and the mean of its answers counts.

A detector's box is too large here and too small there, and which it is should not decide who somebody is. So a picture
is shown as it is, a little nearer and a little farther, and each of these also mirrored: six
views, for six times the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


def mean_logits(logits: Callable[[Array], Array], x: Array) -> Array:
    """Scores (N, K) whose softmax is the mean of the views' softmax: what is averaged are probabilities."""
    parts = [x[start : start + PART] for start in range(0, len(x), PART)]
    shares = [np.mean([softmax(logits(view).astype(np.float64))[0] for view in views(part)], axis=0) for part in parts]
    found: Array = np.log(np.maximum(np.concatenate(shares), np.finfo(np.float64).tiny))
    return found


def mean_embedding(embed: Callable[[Array], Array], x: Array) -> Array:
    """Embeddings (N, D) of the views, added up; not yet of length 1."""
    parts = [x[start : start + PART] for start in range(0, len(x), PART)]
    return np.concatenate([np.sum([embed(view) for view in views(part)], axis=0) for part in parts])
