"""Histograms count everything once; dead units are those that never answer."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, StateError
from minicnn.layers import Dense, Flatten
from minicnn.sequential import Sequential
from minicnn.study import dead_units, explain_gradient, gradient_histograms, histogram, trace, weight_histograms
from tests.unit.study.networks import network, photos


def test_histograms_count_everything_once() -> None:
    values = np.array([0.0, 0.1, 0.9, 1.0, np.nan, np.inf])
    found = histogram(values, bins=2)
    assert found.counts.tolist() == [2, 2]
    assert found.edges.tolist() == [0, 0.5, 1]
    assert (found.mean, found.broken) == (0.5, 2)
    assert found.to_dict()["counts"] == [2, 2]
    assert histogram(np.array([np.nan])).counts.sum() == 0
    with pytest.raises(OptionError):
        histogram(values, bins=0)


@pytest.mark.parametrize("value", [0.0, 1.0, -7.0, 1e20, -3e-300])
@pytest.mark.parametrize("steps", [0, 1, 30])
def test_numbers_that_hardly_differ_are_counted_too(value: float, steps: int) -> None:
    """The gradients of a bias are often equal but for rounding: there is no room for 50 edges between them."""
    values = np.array([value, value + steps * np.spacing(value)])
    found = histogram(values)
    assert found.counts.sum() == 2
    assert found.edges[0] <= values.min() <= values.max() <= found.edges[-1]
    assert (np.diff(found.edges) > 0).all()


def test_histograms_of_a_network() -> None:
    model = Sequential([Flatten(name="flat"), Dense(3, name="scores")], input_shape=(2, 2, 1), dtype="float64")
    weights = weight_histograms(model, bins=5)
    assert weights.keys() == model.weights.keys()
    assert weights["scores/kernel"].counts.sum() == 12
    forward = trace(model, np.ones((4, 2, 2, 1)))
    with pytest.raises(StateError):
        gradient_histograms(forward)
    found = gradient_histograms(forward.backward(np.ones((4, 3))))
    assert found.keys() == {"scores/kernel", "scores/bias", "input_layer", "flat", "scores"}
    assert found["scores/bias"].mean == 4


def test_dead_units_are_those_that_never_answer(rng: np.random.Generator) -> None:
    model = network()
    assert dead_units(model, photos(rng, 8)) == {"relu2": []}
    model.parameters["conv2/bias"][[1, 3]] = -100
    assert dead_units(model, photos(rng, 8)) == {"relu2": [1, 3]}
    gradient = explain_gradient(model, photos(rng), "conv2", (0, 0, 0, 1), of="kernel", dy=np.eye(3)[:2])
    assert gradient.value == gradient.total == 0
    with pytest.raises(OptionError, match="ReLU"):
        dead_units(Sequential([Flatten()], input_shape=(2, 2, 1)), np.ones((1, 2, 2, 1)))
