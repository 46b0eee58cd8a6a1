"""The rule that decides who is right. Checked on numbers small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reference_keras.reports import ArrayReport, LayerReport
from reference_keras.tolerance import U, layer_limit, max_error, network_limit, rms


def test_the_error_is_relative_to_the_largest_number_of_the_referee() -> None:
    assert max_error(np.array([1.0, -7.5]), np.array([1.5, -8.0])) == 0.5 / 8


def test_a_referee_of_zeros_makes_the_error_absolute() -> None:
    assert max_error(np.array([0.0, 0.25]), np.zeros(2)) == 0.25


def test_nan_and_inf_must_stand_in_the_same_places() -> None:
    referee = np.array([1.0, np.nan, np.inf, -np.inf])
    assert max_error(referee.astype(np.float32), referee) == 0
    assert max_error(np.array([1.0, np.nan, np.inf, np.inf]), referee) == math.inf
    assert max_error(np.array([1.0, 2.0, np.inf, -np.inf]), referee) == math.inf
    assert max_error(np.array([np.nan, np.nan, np.inf, -np.inf]), referee) == math.inf


def test_another_shape_is_infinitely_wrong() -> None:
    assert max_error(np.zeros((2, 1)), np.zeros(2)) == math.inf


def test_limits_follow_keras_down_to_a_few_roundings() -> None:
    assert layer_limit(1e-3) == 2e-3
    assert layer_limit(0.0) == 8 * U
    assert layer_limit(1e-3, "im2col") == layer_limit(1e-3, "winograd_2x2") == 2e-3
    assert layer_limit(1e-3, "winograd") == 8e-3
    assert layer_limit(0.0, "winograd") == 128 * U
    assert layer_limit(1e-3, "winograd_6x6") == 4e-3
    assert layer_limit(0.0, "winograd_6x6") == 32 * U
    assert layer_limit(0.0, "direct", "winograd_6x6", None) == 32 * U


def test_a_network_may_be_half_again_as_far_from_the_truth_as_keras() -> None:
    assert network_limit(1e-3, 1.0, large_tiles=False) == 1.5e-3
    assert network_limit(1e-3, 1.0, large_tiles=True) == 2e-3
    assert network_limit(0.0, 4.0, large_tiles=True) == 4 * U


def test_rms() -> None:
    assert rms(np.array([3.0, -4.0, 0.0, 0.0])) == 2.5


def array(**changes: float | str) -> ArrayReport:
    facts = {"name": "dx", "shape": (2,), "ours": 1e-7, "keras": 1e-7, "limit": 5e-7}
    return ArrayReport(**facts | {"float64": 1e-15, "float64_limit": 1e-11} | changes)


def layer(*arrays: ArrayReport) -> LayerReport:
    return LayerReport("conv1", "Conv2D", (5, 5, 1), (3, 3, 2), 20, "im2col", arrays)


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e-10])
def test_a_float64_difference_is_wrong_whatever_float32_says(value: float) -> None:
    report = layer(array(), array(name="dkernel", float64=value))
    assert not report.ok
    assert report.worst.name == "dkernel"
    assert [("wrong" in text, "dkernel" in text, "'conv1'" in text) for text in report.failures()] == [(True,) * 3]


@pytest.mark.parametrize("value", [math.inf, math.nan, 6e-7])
def test_a_rounding_error_above_the_limit_is_imprecise(value: float) -> None:
    report = layer(array(ours=value), array(name="y"))
    assert not report.ok
    assert [("imprecise" in text, "dx" in text) for text in report.failures()] == [(True, True)]


def test_a_good_report_has_no_failures_and_says_so_in_json() -> None:
    report = layer(array(), array(name="y"))
    assert report.ok
    assert list(report.failures()) == []
    assert report.to_dict()["ok"] is True
    assert [entry["ok"] for entry in report.to_dict()["arrays"]] == [True, True]
