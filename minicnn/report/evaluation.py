"""The page of ``minicnn evaluate``: how well a run recognises people, and which faces it got wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minicnn.report import plots, recognition_plots
from minicnn.report.page import _markup, render
from minicnn.report.pictures import Picture


@dataclass(frozen=True)
class NamedWrongly:
    """A face, who it is, who it was taken for, and the training faces that are most alike."""

    face: Picture
    person: str
    taken_for: str
    nearest: Sequence[Picture]


@dataclass(frozen=True)
class EvaluationPictures:
    """The gallery of mistakes. ``more`` is how many others there are."""

    mistakes: Sequence[NamedWrongly] = ()
    more: int = 0


def evaluation_page(found: Mapping[str, Any], pictures: EvaluationPictures) -> str:
    """``found`` is what ``minicnn evaluate --json`` prints."""
    named, verification, unknown = found["classification"], found["verification"], found["unknown"]
    drawn = {}
    if "accuracy" in named:
        drawn["confusion"] = plots.confusion(named["labels"], named["predicted"], len(found["people"]))
    if "eer" in verification:
        curve = verification["roc"]
        drawn["roc"] = recognition_plots.roc_curve(curve["far"], curve["val"], verification["eer"])
    if "value" in unknown:
        shown = found["confidences"]
        drawn["confidences"] = recognition_plots.confidences(shown["known"], shown["strangers"], unknown["value"])
    if found["lfw"]:
        drawn["folds"] = recognition_plots.fold_accuracies(found["lfw"]["accuracies"], found["lfw"]["mean"])
    return render(
        "evaluation.html.j2",
        title=f"How well {found['run']} recognises people",
        data=found,
        pictures=pictures,
        plots=_markup(drawn),
    )
