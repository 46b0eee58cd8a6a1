"""The page of an evaluation, with everything in it and with everything missing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from minicnn.recognition.evaluation import classification, unknown_rates
from minicnn.recognition.unknown import calibrate
from minicnn.recognition.verification import Pairs, verify_pairs
from minicnn.report import recognition_plots
from minicnn.report.evaluation import EvaluationPictures, NamedWrongly, evaluation_page
from minicnn.report.pictures import picture
from tests.unit.report.test_pages import ENVIRONMENT, HOSTILE, Page


def found(*, whole: bool) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    people = (HOSTILE, "$Bob$", "Cleo")
    labels = np.arange(30) % 3
    scores = rng.normal(size=(30, 3)) + 2 * np.eye(3)[labels]
    same = rng.random(300) < 0.3
    threshold = calibrate(rng.random(100), "distance", 0.1, known=rng.random(50), people=np.arange(100) % 4)
    data: dict[str, Any] = {
        "run": "runs/friends",
        "dataset": f"faces/{HOSTILE}",
        "part": "test",
        "engine": "minicnn",
        "model": "face-cnn",
        "objective": "triplet",
        "people": people,
        "classification": classification(scores, labels, people),
        "verification": {"problem": "Only one person."},
        "lfw": None,
        "unknown": {"problem": "No threshold was calibrated."},
        "confidences": {"known": [], "strangers": []},
        "baseline": {"problem": "not asked for"},
        "mistakes": [],
        "notes": [],
        "command": f"minicnn evaluate '{HOSTILE}'",
        "environment": ENVIRONMENT,
        "threads": {"minicnn": 2, "tensorflow": "not used"},
        "seconds": 12.0,
    }
    if whole:
        known, strangers = rng.random(30) / 2, 0.2 + rng.random(40)
        data |= {
            "verification": verify_pairs(Pairs(rng.random(300) + 0.5 * ~same, same)),
            "lfw": {"accuracies": (0.8, 0.9), "thresholds": (0.5, 0.6), "mean": 0.85, "standard_error": 0.05}
            | {"used": 40, "missing": 3, "missing_counted_wrong": 0.79},
            "unknown": unknown_rates(threshold, known, np.arange(30) > 4, strangers, np.arange(40) % 4),
            "confidences": {"known": known.tolist(), "strangers": strangers.tolist()},
            "baseline": {"accuracy": 0.7, "right": 21, "interval": (0.5, 0.85), "components": 20, "cost": 0.1},
            "notes": [f"{HOSTILE} is a stranger."],
        }
    return data


def pictures() -> EvaluationPictures:
    face = picture(np.zeros((8, 8)), f"a face {HOSTILE}", HOSTILE)
    wrong = [NamedWrongly(face, HOSTILE, "$Bob$", [face, face]), NamedWrongly(face, "Cleo", HOSTILE, [])]
    return EvaluationPictures(wrong, more=3)


@pytest.fixture(params=[True, False], ids=["whole", "bare"], scope="module")
def html(request: pytest.FixtureRequest) -> str:
    return evaluation_page(found(whole=request.param), pictures() if request.param else EvaluationPictures())


def test_it_is_one_file_that_loads_nothing(html: str) -> None:
    seen = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|\bsrcset\b", re.sub(r'"data:image/png;base64,[^"]*"', "", html))
    assert not list(seen.all("script")) + list(seen.all("link")) + list(seen.all("iframe"))
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in seen.all("img"))


def test_it_can_be_read_without_eyes(html: str) -> None:
    seen = Page(html)
    assert all(image["alt"] for image in seen.all("img"))
    assert all(element["aria-label"] for name, element in seen.elements if element.get("role") in ("img", "region"))
    assert all(svg["aria-hidden"] == "true" for svg in seen.all("svg"))
    assert all(header["scope"] in ("col", "row", "colgroup") for header in seen.all("th"))
    assert len(list(seen.all("caption"))) == len(list(seen.all("table")))
    ids = [str(attributes["id"]) for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_hostile_names_are_text(html: str) -> None:
    assert "<script" not in html
    assert HOSTILE in Page(html).text


def test_the_numbers_are_there() -> None:
    data = found(whole=True)
    text = Page(evaluation_page(data, pictures())).text
    named = data["classification"]
    for words in (
        f"{named['right']} of 30",
        f"{100 * data['verification']['eer']:.1f} %",
        "cannot be measured",
        "85.0 % ± 5.0 %",
        "20 eigenfaces",
        "And 3 more.",
        "no. faces precision",
    ):
        assert words in text, words


def test_what_is_missing_is_said() -> None:
    text = Page(evaluation_page(found(whole=False), EvaluationPictures())).text
    for words in ("Only one person.", "No threshold was calibrated.", "not asked for", "None."):
        assert words in text


def test_plots_survive_extreme_numbers() -> None:
    assert "<path" in recognition_plots.roc_curve([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], 0.0)
    assert "<path" in recognition_plots.roc_curve([0.0, 1.0], [0.0, 1.0], 1.0)
    assert "<svg" in recognition_plots.confidences([], [], None)
    assert "<svg" in recognition_plots.confidences([0.4, 0.4], [np.inf], 0.4)
    assert "<svg" in recognition_plots.fold_accuracies([0.5, 1.0], 0.75)
