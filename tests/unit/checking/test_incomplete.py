"""Functions that return only some of the results: the report says so, or calls them wrong where all are asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minicnn.checking import CheckReport, check_layer
from tests.test_course import SCRIPTS, marked
from tests.unit.checking import learners


def dx_alone(dy, x, kernel):  # type: ignore[no-untyped-def]
    return dy @ kernel.T


def everything(dy, x, kernel):  # type: ignore[no-untyped-def]
    return dy @ kernel.T, x.T @ dy, dy.sum(axis=0)


def test_results_that_never_come_are_named() -> None:
    report = check_layer(dx_alone, "Dense", backward=True)
    assert report.ok  # as far as it goes
    assert report.not_returned == ("dkernel", "dbias")
    assert (
        str(report)
        .splitlines()[0]
        .endswith(f"right in {report.cases} of {report.cases} cases; not checked: dkernel, dbias.")
    )
    assert "It does not return dkernel, dbias: not checked." in str(report)
    assert "not checked: dkernel, dbias" in report._repr_html_()
    assert json.loads(json.dumps(report.to_dict()))["not_returned"] == ["dkernel", "dbias"]


def test_they_are_named_beside_a_mistake_too() -> None:
    report = check_layer(lambda dy, x: (None, x.T @ dy / len(x)), "Dense", backward=True)
    assert [diagnosis.name for diagnosis in report.diagnoses] == ["mean instead of sum over the batch"]
    assert report.not_returned == ("dx", "dbias")
    assert "It does not return dx, dbias" in str(report)


@pytest.mark.parametrize("complete", [False, True])
def test_a_function_that_returns_everything_hears_nothing_of_it(complete: bool) -> None:
    for function, layer in ((everything, "Dense"), (learners.relu_backward(), "ReLU")):
        report = check_layer(function, layer, backward=True, complete=complete)
        assert report.ok
        assert report.not_returned == ()
        assert "not return" not in str(report)
        assert "not checked" not in str(report)


def test_what_comes_in_some_cases_is_checked_there() -> None:
    """In inference the moving statistics stay what they are, so few would return them."""

    def batch_norm(training, **arguments):  # type: ignore[no-untyped-def]
        results = learners.batch_norm()(training=training, **arguments)
        return results if training else results[0]

    report = check_layer(batch_norm, "BatchNormalization")
    assert report.ok
    assert report.not_returned == ()


def test_a_function_that_always_fails_is_not_blamed_for_what_it_would_have_returned() -> None:
    report = check_layer(lambda dy, x: x.nothing, "Dense", backward=True, complete=True)
    assert report.not_returned == ()
    assert report.example is not None
    assert "AttributeError" in report.example.problem


def problem(report: CheckReport) -> str:
    assert not report.ok
    assert report.example is not None
    return report.example.problem


def test_where_all_are_asked_for_an_incomplete_answer_is_wrong() -> None:
    report = check_layer(dx_alone, "Dense", backward=True, complete=True)
    assert report.right == 0
    assert problem(report) == "It does not return dkernel, dbias; expected all of dx, dkernel, dbias."
    assert problem(report) in str(report)


def test_all_are_asked_for_in_every_case() -> None:
    def sometimes(dy, x, kernel):  # type: ignore[no-untyped-def]
        return everything(dy, x, kernel)[: 3 if len(x) == 1 else 2]

    assert check_layer(sometimes, "Dense", backward=True).ok
    report = check_layer(sometimes, "Dense", backward=True, complete=True)
    assert 0 < report.right < report.cases
    assert problem(report).startswith("It does not return dbias;")


def test_wrong_numbers_are_shown_before_what_is_missing() -> None:
    report = check_layer(lambda dy, kernel: np.ones_like(dy) @ kernel.T, "Dense", backward=True, complete=True)
    assert [diagnosis.name for diagnosis in report.diagnoses] == ["upstream gradient ignored"]
    assert report.example is not None
    assert report.example.result == "dx"
    assert report.not_returned == ("dkernel", "dbias")


#: exercises of notebook 4 that ask for three gradients, the number of each, and a right dx
DX_ALONE = [
    (1, "def dense_backward(dy, x, kernel):\n    return dy @ kernel.T"),
    (
        3,
        "def convolution_backward(dy, x, kernel):\n"
        "    dx, (OH, OW) = np.zeros_like(x), dy.shape[1:3]\n"
        "    for kh, kw in np.ndindex(*kernel.shape[:2]):\n"
        "        dx[:, kh : kh + OH, kw : kw + OW] += dy @ kernel[kh, kw].T\n"
        "    return dx",
    ),
]


@pytest.mark.parametrize(("place", "answer"), DX_ALONE, ids=["dense", "convolution"])
def test_the_course_asks_for_all_gradients(place: int, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = marked(SCRIPTS[3], place, answer, monkeypatch)
    assert problem(report).startswith("It does not return dkernel, dbias;")
