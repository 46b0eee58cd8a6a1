"""The two cross-entropies for classes: cases, and what goes wrong in them.

Forward is the mean loss of a batch, a number; backward its gradient with respect to the predictions, which includes
the mean's 1 / N. Arguments have Keras's names: ``y_true``, ``y_pred``, ``from_logits``, ``label_smoothing``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.simple import instead
from minicnn.checking.subject import Arguments, Mistake, Results, Settings, Subject
from minicnn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from minicnn.shapes import Array

CLIP = 1e-7
CHOICES: dict[str, tuple[Any, ...]] = {
    "batch": (1, 2, 3),
    "classes": (2, 3, 5),
    "from_logits": (False, True),
    "label_smoothing": (0.0, 0.2),
    "kind": ("usual", "sure", "unscaled"),  # sure: probabilities of 0 and 1; unscaled: rows that do not sum to 1
}


def _grid(sparse: bool) -> Iterator[Settings]:
    for batch, classes, from_logits, smoothing in product(
        (1, 3), (2, 5), (False, True), (0.0,) if sparse else (0.0, 0.2)
    ):
        for kind in ("usual", "sure", "unscaled"):
            yield dict(zip(CHOICES, (batch, classes, from_logits, smoothing, kind), strict=True))


def _arguments(settings: Settings, rng: np.random.Generator, sparse: bool) -> Arguments:
    n, k, kind = settings["batch"], settings["classes"], settings["kind"]
    scores = rng.standard_normal((n, k)) * (2000.0 if kind == "sure" else 1.0)
    labels = rng.integers(0, k, n)
    if settings["from_logits"]:
        predictions = scores
        labels = (scores.argmax(axis=1) + 1) % k if kind == "sure" else labels  # sure, and wrong
    elif kind == "sure":
        predictions = np.eye(k)[(labels + 1) % k]
    else:
        predictions = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        predictions *= rng.uniform(0.7, 0.9, (n, 1)) if kind == "unscaled" else 1.0
    a = {
        "y_true": labels if sparse else np.eye(k)[labels],
        "y_pred": predictions,
        "from_logits": settings["from_logits"],
    }
    return a if sparse else a | {"label_smoothing": settings["label_smoothing"]}


def _targets(a: Arguments) -> Array:
    """(N, K): one-hot, smoothed."""
    k = a["y_pred"].shape[1]
    y = np.eye(k)[a["y_true"]] if a["y_true"].ndim == 1 else a["y_true"]
    s = a.get("label_smoothing", 0.0)
    smoothed: Array = y * (1 - s) + (s / k if not a.get("others_only") else (1 - y) * s / (k - 1))
    return smoothed


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    softmax: Array = e / e.sum(axis=1, keepdims=True)
    return softmax


def _log_probabilities(a: Arguments) -> Array:
    """(N, K): the logarithm of the probabilities that are compared with the targets."""
    p, sparse = a["y_pred"], a["y_true"].ndim == 1
    if a["from_logits"] and not a.get("as_probabilities"):
        if a.get("unshifted"):
            logs: Array = np.log(np.exp(p) / np.exp(p).sum(axis=1, keepdims=True))
            return logs
        shifted = p - p.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return logs
    if a.get("softmax_again"):
        p = _softmax(p)
    rescaled = not a.get("as_they_are")
    if rescaled and not sparse:
        p = p / p.sum(axis=1, keepdims=True)
    c = p if a.get("unclipped") else np.clip(p, CLIP, 1 - CLIP)
    logs = np.log(c) - (np.log(c.sum(axis=1, keepdims=True)) if sparse and rescaled else 0.0)
    return logs


def _forward(a: Arguments) -> Results:
    with np.errstate(all="ignore"):
        logs, targets = _log_probabilities(a), _targets(a)
        each = -np.where(targets != 0, targets * logs, 0.0 * logs if a.get("unclipped") else 0.0).sum(axis=1)
    loss = {"mean": each.mean(), "sum": each.sum(), "elements": each.mean() / logs.shape[1]}[a.get("reduce", "mean")]
    return {"loss": np.asarray(loss * a.get("factor", 1.0))}


def _backward(a: Arguments) -> Results:
    n = 1 if a.get("reduce") == "sum" else len(a["y_pred"])
    targets, p, sparse = _targets(a), a["y_pred"], a["y_true"].ndim == 1
    if a["from_logits"] or a.get("as_logits"):
        return {"dy_pred": (_softmax(p) if a["from_logits"] else p) / n - targets / n}
    if sparse:
        c, total = np.clip(p, CLIP, 1 - CLIP), 1.0
    else:
        total = p.sum(axis=1, keepdims=True)
        c = np.clip(p / total, CLIP, 1 - CLIP)
    outside = (p / total < CLIP) | (p / total > 1 - CLIP)
    if a.get("simple"):
        return {"dy_pred": -targets / c / n}
    if sparse:
        gradient = np.where(outside, 0.0, 1 / c.sum(axis=1, keepdims=True) - targets / c)
    else:
        dq = np.where(outside, 0.0, -targets / c)
        gradient = (dq - (dq * p / total).sum(axis=1, keepdims=True)) / total
    return {"dy_pred": gradient / n}


def _twin(a: Arguments) -> CategoricalCrossentropy | SparseCategoricalCrossentropy:
    if a["y_true"].ndim == 1:
        return SparseCategoricalCrossentropy(a["from_logits"])
    return CategoricalCrossentropy(a["from_logits"], a["label_smoothing"])


SUM = instead(
    "sum instead of mean",
    "The losses of the batch are added up. Keras divides by their number: sum_over_batch_size.",
    reduce="sum",
)
SMOOTHING = (
    instead(
        "label smoothing ignored",
        "Targets are used as they are; with smoothing s they become y * (1 - s) + s / K.",
        label_smoothing=0.0,
    ),
    instead(
        "label smoothing over the others",
        "s is shared by the K - 1 wrong classes. Keras shares it among all K: y * (1 - s) + s / K.",
        others_only=True,
    ),
)
LOGITS = instead(
    "from_logits ignored",
    "Logits are taken for probabilities: their logarithm is taken as it is.",
    as_probabilities=True,
)
FORWARD = (
    SUM,
    instead(
        "mean over the classes too",
        "It divides by N * K. A sample has one loss, the sum over its classes.",
        reduce="elements",
    ),
    instead("sign", "The logarithm of a probability is negative; the loss is minus that.", factor=-1.0),
    instead("logarithm to base 2", "log2 instead of the natural logarithm.", factor=1 / np.log(2)),
    LOGITS,
    instead(
        "softmax applied again", "Probabilities (from_logits=False) go through a softmax once more.", softmax_again=True
    ),
    instead(
        "not clipped", "The logarithm of 0 is -inf. Keras clips probabilities to [1e-7, 1 - 1e-7].", unclipped=True
    ),
    instead(
        "probabilities not rescaled",
        "Rows that do not sum to 1 are used as they are; Keras divides each by its sum first.",
        as_they_are=True,
    ),
    instead(
        "maximum not subtracted",
        "exp overflows for large logits; use x - max - log(sum(exp(x - max))).",
        unshifted=True,
    ),
)
BACKWARD = (
    instead(
        "not divided by the batch",
        "The loss is the mean over N samples, so each gradient has a factor 1 / N.",
        reduce="sum",
    ),
    instead(
        "gradient of logits for probabilities",
        "p - y is the gradient with respect to the logits. For probabilities it is -y / p, and what comes of "
        "rescaling.",
        as_logits=True,
    ),
    instead(
        "rescaling forgotten",
        "-y / p leaves out that Keras divides probabilities by their sum, and that no gradient flows where it clips.",
        simple=True,
    ),
    Mistake(
        "sign",
        "The gradient points the other way: softmax - y for logits.",
        after=lambda results, a: {"dy_pred": -results["dy_pred"]},
    ),
)

LOSSES = tuple(
    Subject(
        layer="SparseCategoricalCrossentropy" if sparse else "CategoricalCrossentropy",
        direction="backward" if backward else "forward",
        results=("dy_pred",) if backward else ("loss",),
        choices=CHOICES,
        grid=partial(_grid, sparse),
        arguments=partial(_arguments, sparse=sparse),
        formula=_backward if backward else _forward,
        twin=_twin,
        mistakes=(*(BACKWARD if backward else FORWARD), *(() if sparse else SMOOTHING)),
        defaults={"from_logits": False} if sparse else {"from_logits": False, "label_smoothing": 0.0},
    )
    for sparse, backward in product((False, True), (False, True))
)
