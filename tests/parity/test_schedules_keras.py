"""Schedules against Keras, at every kind of step: the first, within, at each boundary and beyond the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import schedules

keras = pytest.importorskip("keras", reason="compares with Keras")
pytest.importorskip("tensorflow", reason="compares with Keras on TensorFlow")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6, "staircase": True}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.001}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.02, "power": 2.5}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.01, "power": 0.5, "cycle": True},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [5], "values": [0.1, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 10, 20], "values": [0.1, 0.3, 0.05, 0.2]}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 15, "alpha": 0.2, "warmup_target": 0.3, "warmup_steps": 6},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 15, "warmup_target": 0.3, "warmup_steps": 0}),
]


@pytest.mark.parametrize(("kind", "arguments"), CASES)
def test_every_step(kind: str, arguments: dict[str, Any]) -> None:
    ours = schedules.get({"class_name": kind, "config": arguments})
    # A plain Python float would pass through float32 on its way into TensorFlow.
    exact = {name: np.float64(value) if isinstance(value, float) else value for name, value in arguments.items()}
    if kind == "PiecewiseConstantDecay":
        exact["values"] = [np.float64(value) for value in arguments["values"]]
    theirs = getattr(keras.optimizers.schedules, kind)(**exact)
    rates = [ours(step) for step in range(45)]
    assert rates == pytest.approx([float(theirs(step)) for step in range(45)], rel=1e-12, abs=1e-15)
    assert len(set(rates)) > 1


@pytest.mark.parametrize(("kind", "arguments"), CASES)
def test_our_config_makes_the_keras_schedule(kind: str, arguments: dict[str, Any]) -> None:
    ours = schedules.get({"class_name": kind, "config": arguments})
    theirs = getattr(keras.optimizers.schedules, kind)(**ours.config())
    assert [ours(step) for step in (0, 4, 30)] == pytest.approx(
        [float(theirs(s)) for s in (0, 4, 30)], rel=1e-5, abs=1e-8
    )
