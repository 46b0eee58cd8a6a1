"""Promises that hold for every network: written to a file it comes back, and its gradients are the measured ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from minicnn.gradcheck import check_directions
from minicnn.layers.base import Context
from minicnn.losses import CategoricalCrossentropy
from minicnn.model import Model
from tests.architectures import CLASSES, graphs, pictures, rows

KINDS = pytest.mark.parametrize("kind", [rows, graphs], ids=["rows", "graphs"])


@KINDS
def test_a_network_comes_back_from_its_file(kind: object) -> None:
    @settings(max_examples=40)
    @given(kind())  # type: ignore[operator]
    def check(model: Model) -> None:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model.npz")
            loaded = type(model).load(Path(folder) / "model.npz")
        assert loaded.config() == model.config()
        assert loaded.weights.keys() == model.weights.keys()
        assert all(np.array_equal(loaded.weights[address], array) for address, array in model.weights.items())
        np.testing.assert_array_equal(loaded(pictures(model)), model(pictures(model)))

    check()


@KINDS
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_gradients_are_the_measured_ones(kind: object, training: bool) -> None:
    @settings(max_examples=40)
    @given(kind())  # type: ignore[operator]
    def check(model: Model) -> None:
        x = pictures(model)
        y = np.random.default_rng(3).dirichlet(np.ones(CLASSES), len(x))
        report = check_directions(
            model, CategoricalCrossentropy(from_logits=True), x, y, context=Context(training=training, seed=1)
        )
        assert report.passed(1e-6), report

    check()


def test_one_wrong_gradient_among_many_is_noticed() -> None:
    """A direction leads through all weights at once, so a mistake anywhere shows."""

    class Wrong(Model):
        def backward(self, dy, caches, *, input_gradient=False):  # type: ignore[no-untyped-def]
            dx, gradients = super().backward(dy, caches, input_gradient=input_gradient)
            address = next(reversed(gradients))
            return dx, gradients | {address: gradients[address] * 1.001}

    @settings(max_examples=10)
    @given(graphs())
    def check(model: Model) -> None:
        wrong = Wrong.from_config(model.config())
        wrong.build(model.input_shape, model.weights)
        x = pictures(model)
        report = check_directions(wrong, CategoricalCrossentropy(from_logits=True), x, np.eye(CLASSES)[: len(x)])
        assert not report.passed(1e-6), report

    check()
