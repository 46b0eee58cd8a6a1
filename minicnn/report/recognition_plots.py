"""Plots of an evaluation: the ROC curve, and how sure the network was of people it knows and of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minicnn.report.plots import BAD, GOOD, INK, KERAS, LINE, MUTED, OURS, Drawing

BINS = 30


def roc_curve(far: Sequence[float], val: Sequence[float], eer: float) -> str:
    """VAL over FAR on a logarithmic axis, where the strict thresholds are, and the diagonal on which the EER lies."""
    rates = np.asarray(far, float)
    positive = rates[rates > 0]
    least = min(0.1, float(positive.min()))  # the curve ends at FAR 1
    with Drawing(5.4, 3.6, "roc") as (axes, drawing):
        diagonal = np.geomspace(least, 1, 200)
        axes.plot(diagonal, 1 - diagonal, color=LINE, linewidth=1, label="FAR = 1 − VAL")
        axes.step(np.maximum(rates, least), val, where="post", color=OURS, linewidth=2)
        axes.scatter([max(eer, least)], [1 - eer], color=INK, s=22, zorder=3, label=f"EER {100 * eer:.1f} %")
        axes.set(xscale="log", xlim=(least, 1), ylim=(0, 1.02))
        axes.set(xlabel="FAR: different people taken for one", ylabel="VAL: same person recognised")
        axes.legend(loc="lower right")
    return drawing.svg


def confidences(known: Sequence[float], others: Sequence[float], threshold: float | None) -> str:
    """Two histograms, each of area 1: the distances of faces that were named rightly, and of strangers."""
    values = np.concatenate([np.asarray(known, float), np.asarray(others, float)])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    with Drawing(5.4, 3.3, "confidences") as (axes, drawing):
        for numbers, colour, label in ((known, GOOD, "people it knows"), (others, BAD, "strangers")):
            if len(numbers):
                shares = np.histogram(numbers, edges)[0] / len(numbers)
                axes.stairs(100 * shares, edges, color=colour, fill=True, alpha=0.35)
                axes.stairs(100 * shares, edges, color=colour, linewidth=1.4, label=label)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 2.5)), label="threshold")
        axes.set(xlabel="distance to the nearest face of the person named", ylabel="faces, %")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return drawing.svg


def fold_accuracies(accuracies: Sequence[float], mean: float) -> str:
    """The accuracy of each fold, and their mean."""
    with Drawing(5.4, 2.6, "folds") as (axes, drawing):
        axes.bar(range(1, len(accuracies) + 1), [100 * a for a in accuracies], color=OURS, width=0.7)
        axes.axhline(100 * mean, color=KERAS, linewidth=1.2, label=f"mean {100 * mean:.1f} %")
        axes.axhline(50, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), label="guessing")
        axes.set(xlabel="fold", ylabel="right, %", ylim=(0, 103))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="lower right")
    return drawing.svg
