"""Schedules: their values where one can work them out by hand, and what makes no schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import schedules
from minicnn.errors import OptionError
from minicnn.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

ALL = [
    ExponentialDecay(0.1, 10, 0.5),
    InverseTimeDecay(0.1, 10, 0.5, staircase=True),
    PolynomialDecay(0.1, 10, power=2.0, cycle=True),
    PiecewiseConstantDecay([5, 8], [0.1, 0.01, 0.001]),
    CosineDecay(0.1, 10, 0.01, warmup_target=0.5, warmup_steps=4),
]


def test_values_by_hand() -> None:
    assert ExponentialDecay(0.1, 10, 0.5)(20) == pytest.approx(0.025)
    assert ExponentialDecay(0.1, 10, 0.5, staircase=True)(19) == pytest.approx(0.05)
    assert InverseTimeDecay(0.1, 10, 1)(10) == pytest.approx(0.05)
    assert InverseTimeDecay(0.1, 10, 1, staircase=True)(9) == 0.1
    assert PolynomialDecay(0.1, 10, 0.0)(5) == pytest.approx(0.05)
    assert PolynomialDecay(0.1, 10, 0.02)(999) == 0.02
    assert PolynomialDecay(0.1, 10, 0.0, cycle=True)(15) == pytest.approx(0.1 * (1 - 15 / 20))
    assert [PiecewiseConstantDecay([2], [0.1, 0.01])(step) for step in range(5)] == [0.1, 0.1, 0.1, 0.01, 0.01]
    assert CosineDecay(0.1, 10)(5) == pytest.approx(0.05)
    assert CosineDecay(0.1, 10, alpha=0.2)(99) == pytest.approx(0.02)
    warm = CosineDecay(0.0, 10, warmup_target=0.4, warmup_steps=4)
    assert [warm(step) for step in (0, 2, 4, 9, 14, 99)] == pytest.approx([0, 0.2, 0.4, 0.2, 0, 0])


@given(st.integers(0, 10**6))
def test_a_rate_is_never_negative_nor_above_its_peak(step: int) -> None:
    for schedule in ALL:
        assert 0 <= schedule(step) <= 0.5
        assert isinstance(schedule(step), float)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_config_makes_the_same_schedule(schedule: LearningRateSchedule) -> None:
    again = schedules.get({"class_name": type(schedule).__name__, "config": schedule.config()})
    assert repr(again) == repr(schedule)
    assert [again(step) for step in range(30)] == [schedule(step) for step in range(30)]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (ExponentialDecay, (0.1, 0, 0.5), "decay_steps as a finite number > 0"),
        (ExponentialDecay, (-0.1, 10, 0.5), "initial_learning_rate"),
        (ExponentialDecay, (0.1, 10, 0.5, "no"), "staircase"),
        (InverseTimeDecay, (0.1, 10, float("nan")), "decay_rate"),
        (PolynomialDecay, (0.1, 10, 0.0, -1), "power"),
        (PiecewiseConstantDecay, ([], [0.1]), "at least one"),
        (PiecewiseConstantDecay, ([5, 3], [0.1, 0.2, 0.3]), "increasing"),
        (PiecewiseConstantDecay, ([5], [0.1]), "2"),
        (PiecewiseConstantDecay, (5, [0.1]), "lists"),
        (CosineDecay, (0.1, 10, 2.0), "alpha"),
        (CosineDecay, (0.1, 10, 0.0, None, 5), "warmup_target"),
    ],
)
def test_arguments_that_make_no_schedule(kind: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        kind(*arguments)


def test_unknown_and_incomplete_ones() -> None:
    with pytest.raises(OptionError, match="CosineDecay"):
        schedules.get({"class_name": "LinearDecay", "config": {}})
    with pytest.raises(OptionError, match="decay_steps"):
        schedules.get({"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1}})


def test_a_rate_that_grows_beyond_all_numbers_is_infinite() -> None:
    assert ExponentialDecay(0.1, 1, 2.0)(1100) == math.inf
    assert ExponentialDecay(0.0, 1, 2.0)(1100) == 0
