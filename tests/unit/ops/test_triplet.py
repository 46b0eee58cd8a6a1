"""The triplet loss: mining against its definition in loops, the gradient against differences, batches without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import losses
from minicnn.errors import DtypeError, LabelError, OptionError, ShapeError
from minicnn.gradcheck import check_gradient, check_model_gradient
from minicnn.layers import Dense, UnitNormalization
from minicnn.losses import TripletSemiHardLoss
from minicnn.ops.triplet import semi_hard_negatives, squared_distances, triplet_semi_hard, triplet_semi_hard_backward
from minicnn.sequential import Sequential
from minicnn.shapes import Array


def mined_by_hand(distances: Array, labels: Array) -> Array:
    """The definition: for every pair, look at every negative."""
    n = len(labels)
    chosen = np.full((n, n), -1)
    for a in range(n):
        for p in range(n):
            if a == p or labels[a] != labels[p]:
                continue
            nearest, farthest = -1, -1
            for k in range(n):
                if labels[k] == labels[a]:
                    continue
                d = distances[a, k]
                if d > distances[a, p] and (nearest < 0 or d < distances[a, nearest]):
                    nearest = k
                if farthest < 0 or d > distances[a, farthest]:
                    farthest = k
            chosen[a, p] = nearest if nearest >= 0 else farthest
    return chosen


def loss_by_hand(labels: Array, embeddings: Array, margin: float) -> Array:
    """One loss per anchor, triplet by triplet."""
    distances = np.array([[np.sum((a - b) ** 2) for b in embeddings] for a in embeddings])
    chosen = mined_by_hand(distances, labels)
    losses = np.zeros(len(labels))
    for a in range(len(labels)):
        costs = [
            max(0.0, distances[a, p] - distances[a, chosen[a, p]] + margin)
            for p in range(len(labels))
            if chosen[a, p] >= 0
        ]
        losses[a] = sum(costs) / len(costs) if costs else 0.0
    return losses


def directions(rng: np.random.Generator, *shape: int) -> Array:
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 2**32 - 1), st.booleans())
def test_mining_is_its_definition_also_with_ties(labels: list[int], seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    n = len(labels)
    distances = rng.integers(0, 4, (n, n)).astype(float) if ties else rng.random((n, n))
    np.testing.assert_array_equal(
        semi_hard_negatives(distances, np.array(labels)), mined_by_hand(distances, np.array(labels))
    )


def test_the_three_kinds_of_negatives() -> None:
    """On a line: anchor 0, positive 1, negatives nearer than it, just beyond it and far away."""
    labels = np.array([0, 0, 1, 1, 1])
    distances = squared_distances(np.array([[0.0], [1.0], [0.5], [1.1], [3.0]]))
    assert semi_hard_negatives(distances, labels)[0, 1] == 3  # not the hardest (2), not the easiest (4)
    near = squared_distances(np.array([[0.0], [1.0], [0.5], [0.9], [0.2]]))
    assert semi_hard_negatives(near, labels)[0, 1] == 3  # all are nearer: the farthest of them


@pytest.mark.parametrize("margin", [0.2, 0.6, 1.5])
def test_loss_is_the_sum_over_triplets(margin: float, rng: np.random.Generator) -> None:
    labels = np.array([0, 1, 0, 2, 1, 0, 3])  # 2 and 3 are alone
    embeddings = directions(rng, 7, 5)
    found, _ = triplet_semi_hard(labels, embeddings, margin)
    np.testing.assert_allclose(found, loss_by_hand(labels, embeddings, margin), rtol=1e-12, atol=1e-14)
    assert found[3] == found[6] == 0
    assert found.any()


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_gradient_is_the_measured_slope(margin: float, rng: np.random.Generator) -> None:
    labels, dlosses = np.array([0, 1, 0, 2, 1, 0, 2, 3]), rng.standard_normal(8)
    embeddings = directions(rng, 8, 4)

    def value(x: Array) -> float:
        return float(dlosses @ triplet_semi_hard(labels, x, margin)[0])

    report = check_gradient(
        value, lambda x: triplet_semi_hard_backward(dlosses, triplet_semi_hard(labels, x, margin)[1]), embeddings
    )
    assert report.checked >= 24
    assert report.passed(1e-6), report


def test_gradient_through_a_network_that_ends_on_the_sphere(rng: np.random.Generator) -> None:
    model = Sequential([Dense(5), UnitNormalization()], input_shape=(6,), dtype="float64", seed=3)
    report = check_model_gradient(model, TripletSemiHardLoss(0.7), rng.standard_normal((9, 6)), np.repeat([0, 1, 2], 3))
    assert report.passed(), report


def test_distances_of_faces_that_are_almost_alike_keep_their_digits() -> None:
    x = np.ones((2, 128), np.float32)
    x[1, 0] += 1e-3
    assert squared_distances(x)[0, 1] == pytest.approx((x[1, 0] - x[0, 0]) ** 2, rel=1e-6)


def test_batches_without_a_triplet(rng: np.random.Generator) -> None:
    x = directions(rng, 4, 3)
    for labels in ([0, 0, 0, 0], [0, 1, 2, 3]):
        with pytest.raises(LabelError, match="PeopleBatches"):
            triplet_semi_hard(np.array(labels), x, 0.2)


def test_arrays_that_do_not_fit(rng: np.random.Generator) -> None:
    x = directions(rng, 4, 3)
    with pytest.raises(ShapeError, match="a label for each of the 4"):
        triplet_semi_hard(np.array([0, 0, 1]), x, 0.2)
    with pytest.raises(DtypeError):
        triplet_semi_hard(np.array([0, 0, 1, 1]), x.astype(int), 0.2)
    _, cache = triplet_semi_hard(np.array([0, 0, 1, 1])[:, None], x, 0.2)
    with pytest.raises(ShapeError):
        triplet_semi_hard_backward(np.ones(3), cache)


def test_nan_is_not_hidden(rng: np.random.Generator) -> None:
    x = directions(rng, 4, 3)
    x[0] = np.nan
    assert np.isnan(triplet_semi_hard(np.array([0, 0, 1, 1]), x, 0.2)[0]).any()


@pytest.mark.parametrize("margin", [0, -1.0, float("nan"), "wide"])
def test_margins_that_are_none(margin: Any) -> None:
    with pytest.raises(OptionError, match="margin"):
        TripletSemiHardLoss(margin)


def test_it_has_a_name_and_can_be_trained_with(rng: np.random.Generator) -> None:
    assert isinstance(losses.get("triplet_semi_hard"), TripletSemiHardLoss)
    assert losses.get({"class_name": "TripletSemiHardLoss", "config": {"margin": 0.5}}).margin == 0.5  # type: ignore[attr-defined]
    model = Sequential([Dense(8), UnitNormalization()], input_shape=(10,), seed=1)
    labels = np.tile(np.arange(4), 6)
    x = (rng.standard_normal((4, 10))[labels] + 1.5 * rng.standard_normal((24, 10))).astype(np.float32)
    model.compile("adam", "triplet_semi_hard")
    first = model.train_on_batch(x, labels)["loss"]
    for _ in range(300):
        last = model.train_on_batch(x, labels)["loss"]
    assert last < 0.5 * first
