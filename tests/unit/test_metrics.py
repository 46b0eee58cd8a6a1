"""Metrics: what is counted, how batches and weights add up, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import metrics
from minicnn.errors import LabelError, OptionError, ShapeError
from minicnn.metrics import Mean, Metric, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy
from minicnn.shapes import Array


def measured(metric: Metric, targets: object, predictions: object) -> float:
    metric.update(np.array(targets), np.array(predictions, float))
    return metric.result()


def test_by_hand() -> None:
    rows = [[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.3, 0.3, 0.4], [0.3, 0.4, 0.3]]
    one_hot = np.eye(3)[[1, 0, 1, 2]]
    assert measured(metrics.SparseCategoricalAccuracy(), [1, 0, 1, 2], rows) == 0.5
    assert measured(metrics.SparseCategoricalAccuracy(), [[1], [0], [1], [2]], rows) == 0.5
    assert measured(metrics.CategoricalAccuracy(), one_hot, rows) == 0.5
    assert measured(metrics.BinaryAccuracy(), [[1, 0, 0, 0]], [[0.6, 0.5, 0.5, 0.7]]) == 0.75  # 0.5 is no yes
    assert measured(metrics.BinaryAccuracy(threshold=0.0), [1, 0], [[2.0], [-1.0]]) == 1
    assert measured(SparseTopKCategoricalAccuracy(k=2), [1, 1, 0, 2], rows) == 0.75
    assert measured(metrics.TopKCategoricalAccuracy(k=2), one_hot, rows) == 1
    assert measured(metrics.get("mae"), [[1, 2], [3, 4]], [[1, 4], [0, 4]]) == (2 + 3) / 4
    assert measured(metrics.get("mse"), [[1, 2], [3, 4]], [[1, 4], [0, 4]]) == (4 + 9) / 4


def test_one_of_ones_own_meets_targets_of_shape_n_as_keras_does() -> None:
    class Own(Metric):
        def values(self, targets: Array, predictions: Array) -> Array:
            return np.abs(targets - predictions).mean(axis=-1)

    assert measured(Own("own"), [0, 1, 2, 3], [[1], [1], [2], [5]]) == 3 / 4


def test_ties() -> None:
    """The first of equals wins; among the first k, equals do not push each other out."""
    assert measured(SparseCategoricalAccuracy(), [0, 1], [[0.5, 0.5], [0.5, 0.5]]) == 0.5
    assert measured(SparseTopKCategoricalAccuracy(k=1), [0, 1], [[0.5, 0.5], [0.5, 0.5]]) == 1


def test_accuracy_takes_the_kind_that_the_shapes_ask_for() -> None:
    assert measured(metrics.get("accuracy"), [1, 0], [[0.2, 0.8], [0.3, 0.7]]) == 0.5
    assert measured(metrics.get("accuracy"), [[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]]) == 0.5
    assert measured(metrics.get("accuracy"), [1, 0], [[0.8], [0.7]]) == 0.5
    assert metrics.get("acc").name == "acc"


def test_the_class_accuracy_counts_equal_numbers() -> None:
    """As in Keras, where the word chooses a kind, and the class of that name is another."""
    assert measured(metrics.Accuracy(), [[0, 1], [2, 3]], [[0, 1], [2, 2.5]]) == 0.75
    assert measured(metrics.Accuracy(), [1, 2, 3, 4], [[0], [2], [3], [4]]) == 0.75
    assert measured(metrics.Accuracy(), [[0, 1], [1, 0]], [[0.2, 0.8], [0.7, 0.3]]) == 0
    with pytest.raises(ShapeError, match=r"shape \(2, 2\).*Received: shape \(2,\).*metrics=\['accuracy'\]"):
        measured(metrics.Accuracy(), [1, 0], [[0.2, 0.8], [0.7, 0.3]])


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy", "ACC"])
def test_the_word_chooses_however_it_is_written(name: str) -> None:
    metric = metrics.get(name)
    assert type(metric) is metrics.ChosenAccuracy
    assert metric.name == name
    assert type(metrics.get({"class_name": "Accuracy", "config": {}})) is metrics.Accuracy


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.booleans(), st.integers(0, 2**32 - 1))
def test_batches_add_up_to_the_whole(sizes: list[int], weighted: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    targets, predictions = rng.integers(0, 3, n), rng.random((n, 3))
    weights: Array | None = rng.random(n) + 0.1 if weighted else None
    in_batches, whole = SparseCategoricalAccuracy(), SparseCategoricalAccuracy()
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        in_batches.update(targets[part], predictions[part], None if weights is None else weights[part])
        start += size
    whole.update(targets, predictions, weights)
    hits = targets == predictions.argmax(axis=1)
    assert in_batches.result() == pytest.approx(np.average(hits, weights=weights), abs=1e-12)
    assert whole.result() == pytest.approx(in_batches.result(), abs=1e-12)


def test_reset_and_the_empty_mean() -> None:
    metric = SparseCategoricalAccuracy()
    assert metric.result() == 0.0
    assert measured(metric, [0], [[1, 0]]) == 1
    metric.reset()
    assert measured(metric, [1], [[1, 0]]) == 0


def test_mean() -> None:
    mean = Mean()
    mean.update(2.0)
    mean.update(np.array([4.0, 6.0]))
    assert mean.result() == 4
    mean.update(np.array([100.0, 0.0]), np.array([0.0, 1.0]))
    assert mean.result() == 3
    for values, weights in [(np.ones(3), np.ones(2)), (np.ones((2, 3)), np.ones((2, 2))), (np.ones(3), np.array(1.0))]:
        with pytest.raises(ShapeError, match="sample_weight"):
            mean.update(values, weights)
    assert mean.result() == 3


def test_targets_that_do_not_fit_are_not_counted() -> None:
    metric = metrics.get("accuracy")
    measured(metric, [0], [[1, 0]])
    with pytest.raises(LabelError, match="2 at position 0"):
        measured(metric, [2], [[1, 0]])
    with pytest.raises(ShapeError):
        measured(metric, [[1, 0, 0]], [[1, 0]])
    assert metric.result() == 1


@pytest.mark.parametrize(
    "metric",
    [
        SparseCategoricalAccuracy("hits"),
        SparseTopKCategoricalAccuracy(3),
        metrics.Accuracy("same"),
        metrics.ChosenAccuracy("acc"),
    ],
    ids=repr,
)
def test_config_makes_the_same_metric(metric: Metric) -> None:
    again = metrics.get({"class_name": type(metric).__name__, "config": metric.config()})
    assert repr(again) == repr(metric)
    assert again.name == metric.name
    assert metrics.get(metric) is metric


def test_options() -> None:
    with pytest.raises(OptionError, match="sparse_top_k_categorical_accuracy"):
        metrics.get("precision")
    for k in (0, 2.5, True):
        with pytest.raises(OptionError, match="k as an integer"):
            SparseTopKCategoricalAccuracy(k)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="name"):
        SparseCategoricalAccuracy(5)  # type: ignore[arg-type]
