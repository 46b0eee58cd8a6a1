"""How a loss explains itself: what one row of predictions costs, and the gradient that the backward pass starts with.

    cross-entropy from logits     loss = -sum over k of t[k] * log p[k]      dlogits[k] = (p[k] - t[k]) / N
    ... from probabilities        the same with p clipped                    dp[k]: see ``minicnn.ops.losses``
    binary cross-entropy          the mean over k of K yes-or-no answers     dlogits[k] = (p[k] - t[k]) / (K N)
    mean squared error            the mean over k of (p[k] - t[k])**2        dp[k] = 2 (p[k] - t[k]) / (K N)
    mean absolute error           the mean over k of |p[k] - t[k]|           dp[k] = sign(p[k] - t[k]) / (K N)
    Huber's                       squared / 2 near t, absolute beyond        dp[k] = p[k] - t[k], cut off, / (K N)

N is the number of losses that are averaged; t is what should have come, label smoothing included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from minicnn.errors import OptionError, explain
from minicnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from minicnn.ops.losses import EPSILON
from minicnn.ops.targets import answers, class_indices, distributions, like
from minicnn.shapes import Array
from minicnn.study.explanation import Factor, Index, Terms, Worked
from minicnn.study.places import at
from minicnn.study.use import worked_out


@dataclass(frozen=True, eq=False)
class Row:
    """The row of predictions that is explained: ``p`` and its targets ``t``, (K,) float64; ``count`` losses in all."""

    t: Array
    p: Array
    of: str  # the name of the value that the predictions are
    positions: Array  # of p in that value
    count: int

    def prediction(self) -> Factor:
        return Factor("p", self.p, self.of, self.positions)

    def mean(self, times: float = 1.0, over: int = 1) -> Factor:
        """What one number counts in the mean: ``times`` / (``over`` * N)."""
        return worked_out(f"{times:g}/{over * self.count}", times / (over * self.count))


Rows = Callable[[Any, Row], Worked]
Entries = Callable[[Any, Row, int], Worked]


def explain_loss(loss: Loss, targets: Array, predictions: Array, place: Index, of: str) -> Worked:
    """What the row ``place`` (N, ...) of ``predictions``, the value called ``of``, costs. Raises OptionError."""
    return _rule(loss)[0](loss, _row(loss, targets, predictions, place, of))


def explain_loss_gradient(loss: Loss, targets: Array, predictions: Array, place: Index, of: str) -> Worked:
    """The entry ``place`` of the gradient of the mean loss by ``predictions``. Raises OptionError for other losses."""
    return _rule(loss)[1](loss, _row(loss, targets, predictions, place[:-1], of), place[-1])


def explain_scores_gradient(loss: Loss, targets: Array, probabilities: Array, place: Index) -> Worked:
    """The same for the scores that a final softmax made ``probabilities`` of: softmax and cross-entropy as one step.

    Raises OptionError for another loss, and where a probability was clipped: no gradient flows there.
    """
    if not isinstance(loss, (CategoricalCrossentropy, SparseCategoricalCrossentropy)) or loss.from_logits:
        raise OptionError(explain("a cross-entropy from probabilities, behind a softmax", repr(loss)))
    row = _row(loss, targets, probabilities, place[:-1], "")
    _, passes = _clip(row.p)
    if not (passes | ((row.t == 0) & isinstance(loss, CategoricalCrossentropy))).all():
        fix = "Explain the loss and the softmax one by one."
        raise OptionError(explain("probabilities that the loss does not clip", f"{row.p}", fix))
    return Worked("dx[k] = (p[k] - t[k]) / N, p = softmax(x)", _difference(row, place[-1], row.p))


def _rule(loss: Loss) -> tuple[Rows, Entries]:
    if type(loss) not in RULES:
        names = ", ".join(kind.__name__ for kind in RULES)
        raise OptionError(explain(f"a loss that can be taken apart row by row: {names}", type(loss).__name__))
    return RULES[type(loss)]


def _row(loss: Any, targets: Array, predictions: Array, place: Index, of: str) -> Row:
    if isinstance(loss, SparseCategoricalCrossentropy):
        t = np.arange(predictions.shape[-1]) == class_indices(targets, predictions)[place]
    elif isinstance(loss, CategoricalCrossentropy):
        t = distributions(targets, predictions, loss.label_smoothing)[place]
    elif isinstance(loss, BinaryCrossentropy):
        t = answers(targets, predictions, loss.label_smoothing)[place]
    else:
        t = like(targets, predictions)[place]
    p = predictions[place].astype(np.float64)
    positions = at(*place, np.arange(len(p)))
    return Row(t.astype(np.float64), p, of, positions, predictions.size // len(p))


def _difference(row: Row, k: int, p: Array, over: int = 1) -> tuple[Terms, ...]:
    """(p[k] - t[k]) / (over * N)"""
    mean = row.mean(over=over)
    return Terms.of(worked_out("p", p[k]), mean), Terms.of(worked_out("-t", -row.t[k]), mean)


def _clip(p: Array) -> tuple[Array, Array]:
    """Probabilities as the loss sees them, and where it was not clipped: elsewhere no gradient flows."""
    return np.clip(p, EPSILON, 1 - EPSILON), (p >= EPSILON) & (p <= 1 - EPSILON)


# -- cross-entropy -----------------------------------------------------------------------------------------------------


def _crossentropy(loss: Any, row: Row) -> Worked:
    if loss.from_logits:
        formula, costs = "loss = -sum over k of t[k] * log p[k], p = softmax(logits)", -log_softmax(row.p)
    elif isinstance(loss, SparseCategoricalCrossentropy):
        clipped, _ = _clip(row.p)
        formula = "loss = -sum over k of t[k] * log(c[k] / sum of c), c = p clipped"
        costs = np.log(clipped.sum()) - np.log(clipped)
    else:
        formula, costs = "loss = -sum over k of t[k] * log p[k], p clipped", -np.log(_clip(row.p / row.p.sum())[0])
    return Worked(formula, (Terms.chosen(worked_out("-log p", costs), worked_out("t", row.t)),))


def _crossentropy_gradient(loss: Any, row: Row, k: int) -> Worked:
    if loss.from_logits:
        return Worked("dlogits[k] = (p[k] - t[k]) / N, p = softmax(logits)", _difference(row, k, softmax(row.p)))
    if isinstance(loss, SparseCategoricalCrossentropy):
        clipped, passes = _clip(row.p)
        flows = worked_out("not clipped", passes[k])
        total = Terms.of(worked_out("1/sum of p", 1 / clipped.sum()), flows, row.mean())
        target = Terms.of(worked_out("-t/p", -row.t[k] / clipped[k]), flows, row.mean())
        return Worked("dp[k] = (1 / sum of p - t[k] / p[k]) / N, 0 where p was clipped", (total, target))
    S = row.p.sum()
    q = row.p / S
    clipped, passes = _clip(q)
    slopes = worked_out("dq[j]/dp[k]", (np.eye(len(q))[k] - q) / S)
    costs = worked_out("-t[j]/q[j]", np.where(passes, -row.t / clipped, 0))
    formula = "dp[k] = sum over j of -t[j]/q[j] * ((1 if j = k else 0) - q[j]) / sum(p) / N, q = p / sum(p)"
    return Worked(formula, (Terms.of(costs, slopes, worked_out(f"1/{row.count}", np.full(len(q), 1 / row.count))),))


# -- yes or no, and numbers --------------------------------------------------------------------------------------------


def _binary(loss: Any, row: Row) -> Worked:
    K = len(row.p)
    if loss.from_logits:
        yes, no = -log_expit(row.p), -log_expit(-row.p)
    else:
        clipped, _ = _clip(row.p)
        yes, no = -np.log(clipped), -np.log(1 - clipped)
    share = worked_out(f"1/{K}", np.full(K, 1 / K))
    groups = (
        Terms.of(worked_out("t", row.t), worked_out("-log p", yes), share),
        Terms.of(worked_out("(1 - t)", 1 - row.t), worked_out("-log(1 - p)", no), share),
    )
    return Worked("loss = -mean over k of t[k] * log p[k] + (1 - t[k]) * log(1 - p[k])", groups)


def _binary_gradient(loss: Any, row: Row, k: int) -> Worked:
    K = len(row.p)
    if loss.from_logits:
        return Worked("dlogits[k] = (p[k] - t[k]) / (K N), p = sigmoid(logits)", _difference(row, k, expit(row.p), K))
    clipped, passes = _clip(row.p)
    flows = worked_out("not clipped", passes[k])
    no = Terms.of(worked_out("(1 - t)/(1 - p)", (1 - row.t[k]) / (1 - clipped[k])), flows, row.mean(over=K))
    yes = Terms.of(worked_out("-t/p", -row.t[k] / clipped[k]), flows, row.mean(over=K))
    return Worked("dp[k] = ((1 - t[k]) / (1 - p[k]) - t[k] / p[k]) / (K N), 0 where clipped", (no, yes))


def _mean_of(formula: str, *factors: Factor) -> Worked:
    """loss = mean over k of the product of the factors, (K,) each."""
    K = len(factors[0].values)
    share = worked_out(f"1/{K}", np.full(K, 1 / K))
    return Worked(f"loss = mean over k of {formula}", (Terms.of(*factors, share),))


def _squares(loss: Any, row: Row) -> Worked:
    difference = worked_out("p - t", row.p - row.t)
    return _mean_of("(p[k] - t[k])**2", difference, difference)


def _squares_gradient(loss: Any, row: Row, k: int) -> Worked:
    twice = row.mean(2, over=len(row.p))
    groups = Terms.of(worked_out("p", row.p[k]), twice), Terms.of(worked_out("-t", -row.t[k]), twice)
    return Worked("dp[k] = 2 * (p[k] - t[k]) / (K N)", groups)


def _sizes(loss: Any, row: Row) -> Worked:
    return _mean_of("|p[k] - t[k]|", worked_out("|p - t|", np.abs(row.p - row.t)))


def _sizes_gradient(loss: Any, row: Row, k: int) -> Worked:
    sign = worked_out("sign(p - t)", np.sign(row.p[k] - row.t[k]))
    return Worked("dp[k] = sign(p[k] - t[k]) / (K N)", (Terms.of(sign, row.mean(over=len(row.p))),))


def _huber(loss: Any, row: Row) -> Worked:
    d = loss.delta
    size = np.abs(row.p - row.t)
    near = np.minimum(size, d)  # near * (size - near / 2): size**2 / 2 up to d, d * size - d**2 / 2 beyond
    cut, rest = worked_out(f"min(|p - t|, {d:g})", near), worked_out("|p - t| - half of that", size - near / 2)
    return _mean_of(f"c * (|p[k] - t[k]| - c / 2), c = |p[k] - t[k]| cut off at {d:g}", cut, rest)


def _huber_gradient(loss: Any, row: Row, k: int) -> Worked:
    d = loss.delta
    cut = worked_out(f"p - t, cut off at {d:g}", np.clip(row.p[k] - row.t[k], -d, d))
    formula = f"dp[k] = (p[k] - t[k], cut off at -{d:g} and {d:g}) / (K N)"
    return Worked(formula, (Terms.of(cut, row.mean(over=len(row.p))),))


RULES: dict[type[Loss], tuple[Rows, Entries]] = {
    CategoricalCrossentropy: (_crossentropy, _crossentropy_gradient),
    SparseCategoricalCrossentropy: (_crossentropy, _crossentropy_gradient),
    BinaryCrossentropy: (_binary, _binary_gradient),
    MeanSquaredError: (_squares, _squares_gradient),
    MeanAbsoluteError: (_sizes, _sizes_gradient),
    Huber: (_huber, _huber_gradient),
}
