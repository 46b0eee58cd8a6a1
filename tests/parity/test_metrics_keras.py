"""Metrics against Keras: ties, weights, several axes and several batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import Activation, Sequential, metrics
from minicnn.shapes import Array

keras = pytest.importorskip("keras", reason="compares with Keras")
pytest.importorskip("tensorflow", reason="compares with Keras on TensorFlow")

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("SparseCategoricalAccuracy", {}),
    ("CategoricalAccuracy", {}),
    ("BinaryAccuracy", {}),
    ("BinaryAccuracy", {"threshold": 0.25}),
    ("SparseTopKCategoricalAccuracy", {"k": 1}),
    ("SparseTopKCategoricalAccuracy", {"k": 3}),
    ("SparseTopKCategoricalAccuracy", {}),
    ("TopKCategoricalAccuracy", {"k": 2}),
    ("MeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("RootMeanSquaredError", {}),
    ("Accuracy", {}),
]


def batch(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Array, Array]:
    """Predictions in steps of a quarter: full of ties, and often exactly at the threshold."""
    predictions = (rng.integers(0, 5, shape) / 4).astype(np.float32)
    if kind.startswith("Sparse"):
        return rng.integers(0, shape[-1], shape[:-1]), predictions
    if kind == "BinaryAccuracy":
        return rng.integers(0, 2, shape), predictions
    return (rng.integers(0, 3, shape) / 2).astype(np.float32), predictions


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(9, 4), (3, 2, 5, 6)], ids=str)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_three_batches(
    kind: str, options: dict[str, Any], shape: tuple[int, ...], weighted: bool, rng: np.random.Generator
) -> None:
    ours, theirs = metrics.get({"class_name": kind, "config": options}), getattr(keras.metrics, kind)(**options)
    for size in (shape[0], 1, 2):
        targets, predictions = batch(kind, (size, *shape[1:]), rng)
        weights = rng.random(size if len(shape) == 2 else (size, *shape[1:-1])) if weighted else None
        ours.update(targets, predictions, weights)
        theirs.update_state(targets, predictions, weights)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)
    assert ours.result() > 0
    ours.reset()
    assert ours.result() == 0.0


def test_rows_that_are_not_finite() -> None:
    predictions = np.array([[np.nan, 1, 2], [np.inf, 1, 2], [1, 2, -np.inf], [3, 2, 1]], np.float32)
    targets = np.array([1, 0, 1, 0])
    ours, theirs = metrics.SparseTopKCategoricalAccuracy(k=2), keras.metrics.SparseTopKCategoricalAccuracy(k=2)
    ours.update(targets, predictions)
    theirs.update_state(targets, predictions)
    assert ours.result() == float(theirs.result())


@pytest.mark.parametrize(
    ("targets_shape", "predictions_shape"),
    [((6,), (6, 1)), ((6, 1), (6, 1)), ((6,), (6, 4)), ((6, 1), (6, 4)), ((6, 4), (6, 4))],
)
@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy", "ACC"])
def test_accuracy_is_of_the_kind_keras_chooses(
    name: str, targets_shape: tuple[int, ...], predictions_shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    targets, predictions = rng.integers(0, 2, targets_shape), rng.random(predictions_shape, np.float32)
    ours = metrics.get(name)
    ours.update(targets, predictions)
    x = keras.Input(predictions_shape[1:])
    model = keras.Model(x, keras.layers.Activation("linear")(x))
    model.compile(loss="mse", metrics=[name])
    model._compile_metrics.build(targets, predictions)
    model._compile_metrics.update_state(targets, predictions)
    theirs = model._compile_metrics.result()
    assert list(theirs) == [ours.name]
    assert ours.result() == pytest.approx(float(theirs[name]), rel=1e-6)


@pytest.mark.parametrize("targets_shape", [(6,), (6, 1), (6, 4)])
def test_the_class_accuracy_is_keras_s_class(targets_shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Also in ``compile``, where the word "accuracy" means something else on both sides."""
    outputs = targets_shape[-1] if len(targets_shape) == 2 else 1
    x = rng.integers(0, 3, (6, outputs)).astype(np.float32)
    targets = rng.integers(0, 3, targets_shape)
    ours = Sequential([Activation("linear")], input_shape=(outputs,))
    theirs = keras.Sequential([keras.Input((outputs,)), keras.layers.Activation("linear")])
    ours.compile("sgd", "mse", metrics=[metrics.Accuracy()])
    theirs.compile("sgd", "mse", metrics=[keras.metrics.Accuracy()])
    found, expected = ours.evaluate(x, targets), theirs.evaluate(x, targets, verbose=0, return_dict=True)
    assert found.keys() == expected.keys()
    assert found["accuracy"] == pytest.approx(expected["accuracy"], rel=1e-6)
    assert 0 < found["accuracy"] < 1


def test_mean_of_values(rng: np.random.Generator) -> None:
    ours, theirs = metrics.Mean(), keras.metrics.Mean()
    for shape, weight in [((4,), None), ((3,), (3,)), ((3, 5), (3,)), ((2, 3, 4), (2, 3)), ((5, 2), None)]:
        values, weights = rng.random(shape), None if weight is None else rng.random(weight)
        ours.update(values, weights)
        theirs.update_state(values, weights)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-6)
