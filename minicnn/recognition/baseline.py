"""What a network has to beat: eigenfaces and a linear support vector machine, as of 1991 and 1995.

Faces as points in a space of pixels; the directions in which they differ most are the *eigenfaces*. Each face becomes
its coordinates along them, scaled to equal spread, and a linear SVM draws a plane between every two people. Fair to it:
it sees the same standardised crops as the network, and C, how much a face on the wrong side of a plane costs, is chosen
by cross-validation on the training faces.

Cost: one decomposition of (M, pixels); half a minute for 1,000 faces of 200x200.

Turk and Pentland, "Eigenfaces for Recognition", 1991; Cortes and Vapnik, "Support-Vector Networks", 1995.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import LabelError, ShapeError, explain
from minicnn.recognition.identify import check_labels
from minicnn.recognition.optional import load_sklearn
from minicnn.shapes import Array

COMPONENTS = 150
COSTS = (0.001, 0.01, 0.1, 1.0)
MOST_PARTS = 5


class Baseline(NamedTuple):
    """Whom it named, (N,) person numbers, and the settings that cross-validation chose."""

    predicted: Array
    components: int
    cost: float


def eigenfaces_svm(x_train: Array, y_train: Array, x_test: Array, *, seed: int = 0) -> Baseline:
    """Learn from ``x_train`` (M, H, W, C) of people ``y_train``, and name ``x_test`` (N, H, W, C).

    Raises ShapeError or LabelError for arrays that do not fit, or training faces of one person only.
    """
    purpose = "The baseline of an evaluation"
    decomposition, svm, pipeline, selection = (
        load_sklearn(module, purpose) for module in ("decomposition", "svm", "pipeline", "model_selection")
    )
    if x_train.ndim != 4 or x_train.shape[1:] != x_test.shape[1:] or not len(x_train) or not len(x_test):
        received = f"shapes {x_train.shape} and {x_test.shape}"
        raise ShapeError(explain("faces (M, H, W, C) and (N, H, W, C) of one size", received))
    check_labels(y_train, len(x_train))
    counts = np.unique(y_train, return_counts=True)[1]
    if len(counts) < 2:
        raise LabelError(explain("training faces of at least two people", f"{len(counts)}"))
    parts = int(min(MOST_PARTS, counts.min()))
    # what is left to learn from while a part is held out; centred, n faces span n - 1 directions
    smallest = len(x_train) if parts < 2 else int((counts - np.ceil(counts / parts)).sum())
    components = max(1, min(COMPONENTS, smallest - 1, int(np.prod(x_train.shape[1:]))))
    # All training faces lie in a space of M - 1 directions. Turned into it, they are as far apart as before and have
    # the same eigenfaces, but M numbers instead of 40,000; so cross-validation costs next to nothing.
    span = decomposition.PCA(min(len(x_train) - 1, int(np.prod(x_train.shape[1:]))), svd_solver="full")
    turned = span.fit_transform(_flat(x_train))
    machine: Any = pipeline.Pipeline(
        [
            ("eigenfaces", decomposition.PCA(components, whiten=True, svd_solver="full")),
            ("svm", svm.SVC(kernel="linear", class_weight="balanced", C=1.0)),
        ]
    )
    cost = 1.0
    if parts >= 2:  # with a single face of somebody nothing can be held out
        splits = selection.StratifiedKFold(parts, shuffle=True, random_state=seed)
        machine = selection.GridSearchCV(machine, {"svm__C": list(COSTS)}, cv=splits)
    machine.fit(turned, y_train)
    if parts >= 2:
        cost = float(machine.best_params_["svm__C"])
    predicted: Array = machine.predict(span.transform(_flat(x_test)))
    return Baseline(predicted.astype(np.int64), components, cost)


def _flat(x: Array) -> Array:
    flat: Array = x.reshape(len(x), -1)  # (N, H, W, C) -> (N, H*W*C)
    return flat
