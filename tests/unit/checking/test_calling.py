"""What a learner's function may do wrong beside computing wrongly: explained in words, never with a traceback."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from minicnn.checking import CheckReport, check_layer
from minicnn.errors import OptionError


def problem(function: Any, layer: str = "Dense", *, backward: bool = False) -> str:
    report = check_layer(function, layer, backward=backward)
    assert not report.ok
    assert report.example is not None
    assert report.example.problem in str(report)
    return report.example.problem


def raising(x, kernel):  # type: ignore[no-untyped-def]
    return x.no_such_thing


def test_an_exception_with_the_line_it_came_from() -> None:
    text = problem(raising)
    assert "AttributeError" in text
    assert "no_such_thing" in text
    assert f"in line {raising.__code__.co_firstlineno + 1}: return x.no_such_thing" in text


def test_a_function_that_wants_to_end_the_program() -> None:
    """With exit code 0, which would say that every case is right."""

    def leave(x):  # type: ignore[no-untyped-def]
        raise SystemExit(0)

    assert "It raises SystemExit: 0" in problem(leave, "ReLU")


def test_none() -> None:
    assert "returns None" in problem(lambda x, kernel: None)


def test_integers_and_complex_numbers() -> None:
    assert "cuts every number off" in problem(lambda x, kernel: (x @ kernel).astype(int))
    assert "dtype complex128" in problem(lambda x, kernel: (x @ kernel) * (1 + 0j))
    assert "dtype" in problem(lambda x, kernel: "text")


def test_writing_into_an_argument() -> None:
    def careless(x, kernel):  # type: ignore[no-untyped-def]
        x *= 2
        return x @ kernel / 2

    assert "writes into its argument x" in problem(careless)


def test_too_many_results_and_none_of_the_right_name() -> None:
    assert "returns 4 things" in problem(lambda dy: (dy, dy, dy, dy), backward=True)
    assert "without any of dx, dkernel, dbias" in problem(lambda dy: {"grad": dy}, backward=True)


@pytest.mark.parametrize(
    ("key", "hint"), [("dkernal", "Is 'dkernal' dkernel?"), ("dk", "expected only dx, dkernel, dbias"), (3, "'3'")]
)
def test_a_gradient_under_another_name_is_not_dropped(key: Any, hint: str) -> None:
    """The gradient of the kernel is wrong here, and nobody would hear of it."""
    text = problem(lambda dy, x, kernel: {"dx": dy @ kernel.T, key: np.zeros_like(kernel)}, backward=True)
    assert f"a dict with '{key}'" in text
    assert hint in text
    assert "Is 'dkernal' dkernel?" in problem(lambda dy, x: {"dkernal": x.T @ dy}, backward=True)


def test_a_wrong_shape_names_both() -> None:
    report = check_layer(lambda x, kernel: (x @ kernel)[..., None, None], "Dense")
    assert report.example is not None
    assert report.example.found_shape == (*report.example.true_shape, 1, 1)
    assert f"expected {report.example.true_shape}" in str(report)


def test_nan_is_wrong() -> None:
    report = check_layer(lambda x, kernel: x @ kernel * np.nan, "Dense")
    assert report.unexplained == ("y",)
    assert "yours nan" in str(report)


def test_a_cache_beside_the_output_is_fine() -> None:
    assert check_layer(lambda x, kernel, bias: (x @ kernel + bias, {"x": x}), "Dense").ok


def test_what_is_left_out_of_a_backward_pass_is_not_checked() -> None:
    assert check_layer(lambda dy, kernel: dy @ kernel.T, "Dense", backward=True).ok
    assert check_layer(lambda dy, x: {"dkernel": x.T @ dy}, "Dense", backward=True).ok
    assert check_layer(lambda dy, x: (None, x.T @ dy), "Dense", backward=True).ok


def test_a_view_of_an_argument_is_noted() -> None:
    report = check_layer(lambda x: x.reshape(len(x), -1), "Flatten")
    assert report.ok
    assert "shares its memory with x" in str(report)


def test_options_it_does_not_take_have_their_default() -> None:
    def conv(x, kernel):  # type: ignore[no-untyped-def]
        n, h, w, _ = x.shape
        kh, kw, _, filters = kernel.shape
        y = np.zeros((n, h - kh + 1, w - kw + 1, filters))
        for i, j in np.ndindex(y.shape[1:3]):
            y[:, i, j] = np.tensordot(x[:, i : i + kh, j : j + kw], kernel, 3)
        return y

    report = check_layer(conv, "Conv2D")
    assert report.ok
    assert report.cases >= 5
    assert report.not_taken == ("strides", "padding", "dilation_rate", "bias")


def test_one_number_for_both_axes() -> None:
    seen = set()

    def pool(x, size, stride=None):  # type: ignore[no-untyped-def]
        seen.add((size, stride))
        raise RuntimeError("the arguments were all that this test wanted to see")

    check_layer(pool, "MaxPooling2D")
    assert (3, 1) in seen
    assert all(isinstance(size, int) and (stride is None or isinstance(stride, int)) for size, stride in seen)


def test_keywords_of_any_name_get_everything() -> None:
    seen: set[str] = set()

    def greedy(**arguments):  # type: ignore[no-untyped-def]
        seen.update(arguments)
        return arguments["x"]

    check_layer(greedy, "ZeroPadding2D")
    assert seen == {"x", "padding"}


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x, kernal: x, "Is 'kernal' kernel?"),
        (lambda a, b: a, "Rename the arguments"),
        (lambda: 1, "Rename the arguments"),
        (3, "without ()"),
    ],
)
def test_arguments_that_nobody_can_give(function: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words.replace("?", r"\?").replace("()", r"\(\)")):
        check_layer(function, "Conv2D")


def test_time_is_limited() -> None:
    import time

    def slow(x, kernel, bias):  # type: ignore[no-untyped-def]
        time.sleep(0.02)
        return x @ kernel + bias

    report = check_layer(slow, "Dense", seconds=0.05)
    assert report.stopped
    assert report.cases < 24
    assert "time was up" in str(report)


def test_prints_and_warnings_of_the_function_stay_inside(capsys: pytest.CaptureFixture[str]) -> None:
    def noisy(x):  # type: ignore[no-untyped-def]
        print("noise")
        return np.log(x * 0) * 0 + np.maximum(x, 0)

    assert not check_layer(noisy, "ReLU").ok
    assert capsys.readouterr().out == ""


def test_the_report_as_data_and_in_a_notebook() -> None:
    report = check_layer(lambda x, kernel, bias: x @ kernel, "Dense")
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is False
    assert data["diagnoses"][0]["mistakes"][0]["name"] == "bias missing"
    assert data["example"]["arrays"]["x"]
    assert "BIAS MISSING" in report._repr_html_()
    assert "&lt;lambda&gt;" in report._repr_html_()
    assert isinstance(report, CheckReport)
