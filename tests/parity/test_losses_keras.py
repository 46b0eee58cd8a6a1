"""Losses against Keras: value, loss of each sample and gradient, in float64 tightly and in float32 to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import losses
from minicnn.shapes import Array

keras = pytest.importorskip("keras", reason="compares with Keras")
tf = pytest.importorskip("tensorflow", reason="compares with Keras on TensorFlow")

TOLERANCE = {"float64": 1e-12, "float32": 2e-6}  # relative to the largest value; ten roundings or so
CASES = [
    ("CategoricalCrossentropy", {}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}),
    ("CategoricalCrossentropy", {"from_logits": True}),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.3}),
    ("SparseCategoricalCrossentropy", {}),
    ("SparseCategoricalCrossentropy", {"from_logits": True}),
    ("BinaryCrossentropy", {}),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}),
    ("BinaryCrossentropy", {"from_logits": True}),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}),
    ("MeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("Huber", {}),
    ("Huber", {"delta": 0.3}),
    ("Huber", {"delta": 100.0}),
]
OF_NUMBERS = ("MeanSquaredError", "MeanAbsoluteError", "Huber")


def predictions_for(kind: str, options: dict[str, Any], shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    x = 3 * rng.standard_normal(shape)
    if kind in OF_NUMBERS or options.get("from_logits"):
        return x
    if kind == "BinaryCrossentropy":
        return 1 / (1 + np.exp(-x))
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True) * rng.uniform(0.8, 1.2, (*shape[:-1], 1))  # rows that do not sum to 1


def targets_for(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if kind == "SparseCategoricalCrossentropy":
        return rng.integers(0, shape[-1], shape[:-1])
    if kind == "CategoricalCrossentropy":
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    return rng.random(shape)


def in_keras(
    kind: str, options: dict[str, Any], y: Array, p: Array, weight: Array | None
) -> tuple[float, Array, Array]:
    """(value, losses per sample, gradient of the value) of the Keras loss of that name, computed in p's dtype."""
    loss = getattr(keras.losses, kind)(dtype=str(p.dtype), **options)
    each = getattr(keras.losses, kind)(dtype=str(p.dtype), reduction="none", **options)
    x = tf.constant(p)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(y, x, sample_weight=weight)
    return float(value), np.asarray(each(y, x)), np.asarray(tape.gradient(value, x))


def assert_same(ours: Any, theirs: Any, tolerance: float) -> None:
    scale = float(np.max(np.abs(theirs))) or 1.0
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(7, 5), (3, 1), (2, 3, 4, 6)], ids=str)
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_value_and_gradient(
    kind: str, options: dict[str, Any], shape: tuple[int, ...], weighted: bool, dtype: str, rng: np.random.Generator
) -> None:
    if shape[-1] == 1 and "Categorical" in kind:
        shape = (3, 2)  # one class is no choice
    p = predictions_for(kind, options, shape, rng).astype(dtype)
    y = targets_for(kind, shape, rng)
    weight = rng.random(shape[:-1]) if weighted else None
    loss = losses.get({"class_name": kind, "config": options})
    value, cache = loss.forward(y, p, weight)
    their_value, their_losses, their_gradient = in_keras(kind, options, y, p, weight)
    assert_same(value, their_value, TOLERANCE[dtype])
    assert_same(loss.per_sample(y, p), their_losses, TOLERANCE[dtype])
    gradient = loss.backward(cache)
    assert gradient.dtype == p.dtype
    assert_same(gradient, their_gradient, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["CategoricalCrossentropy", "SparseCategoricalCrossentropy", "BinaryCrossentropy"])
def test_where_probabilities_are_clipped(kind: str, dtype: str) -> None:
    """Below 1e-7, above 1 - 1e-7, and exactly at both bounds, where TensorFlow lets the gradient through."""
    low, high = np.dtype(dtype).type(1e-7), np.dtype(dtype).type(1 - 1e-7)
    p = np.array(
        [
            [0, 1],
            [1, 0],
            [low, high],
            [high, low],
            [low / 2, 1 - low / 2],
            [0.25, 0.75],
            [low * 1.001, 1 - low * 1.001],
        ],
        dtype,
    )
    for labels in (np.zeros(len(p), np.int64), np.ones(len(p), np.int64)):
        y = labels if kind.startswith("Sparse") else np.eye(2)[labels]
        loss = losses.get(kind)
        value, cache = loss.forward(y, p)
        their_value, their_losses, their_gradient = in_keras(kind, {}, y, p, None)
        assert_same(value, their_value, TOLERANCE[dtype])
        assert_same(loss.per_sample(y, p), their_losses, TOLERANCE[dtype])
        np.testing.assert_array_equal(loss.backward(cache) == 0, their_gradient == 0)
        np.testing.assert_allclose(loss.backward(cache), their_gradient, rtol=1e-9 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["CategoricalCrossentropy", "SparseCategoricalCrossentropy", "BinaryCrossentropy"])
def test_huge_logits(kind: str, dtype: str) -> None:
    p = np.array([[1000, -1000], [-1e30, 1e30], [80, -80], [0, 0]], dtype)
    for labels in (np.zeros(len(p), np.int64), np.ones(len(p), np.int64)):
        y = labels if kind.startswith("Sparse") else np.eye(2)[labels]
        loss = losses.get({"class_name": kind, "config": {"from_logits": True}})
        _, cache = loss.forward(y, p)
        _, their_losses, their_gradient = in_keras(kind, {"from_logits": True}, y, p, None)
        np.testing.assert_allclose(loss.per_sample(y, p), their_losses, rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(loss.backward(cache), their_gradient, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("kind", "options"), [(kind, {}) for kind in OF_NUMBERS] + [("Huber", {"delta": 0.5})])
def test_errors_at_the_corners(kind: str, options: dict[str, Any], dtype: str) -> None:
    """Where a slope jumps or a formula changes: no error, an error of delta, and next to both; huge ones, NaN, inf."""
    number = np.dtype(dtype).type
    beside = [np.nextafter(number(corner), number(to)) for corner in (0.5, 1.0) for to in (0, 2)]
    huge = float(np.finfo(dtype).max)
    corners = [0.0, 0.5, 1.0, *beside, 1e-30, 1e15, huge / 2, huge / 1.9, huge, np.nan, np.inf]
    p = np.array([[sign * corner] for corner in corners for sign in (1, -1)], dtype)
    y = np.zeros_like(p)
    loss = losses.get({"class_name": kind, "config": options})
    _, their_losses, _ = in_keras(kind, options, y, p, None)
    np.testing.assert_allclose(loss.per_sample(y, p), their_losses, rtol=1e-6)
    for row in p:  # one by one: a NaN in the mean would be in every gradient
        _, _, their_gradient = in_keras(kind, options, y[:1], row[None], None)
        np.testing.assert_allclose(loss.backward(loss.forward(y[:1], row[None])[1]), their_gradient, rtol=1e-6)


def test_targets_of_shape_n_and_n_by_one(rng: np.random.Generator) -> None:
    p = rng.uniform(0.1, 0.9, (5, 1))
    y = rng.integers(0, 2, 5)
    for kind in ("BinaryCrossentropy", *OF_NUMBERS):
        assert_same(losses.get(kind).forward(y, p)[0], in_keras(kind, {}, y, p, None)[0], 1e-12)
    p, y = rng.standard_normal((5, 3)), rng.integers(0, 3, (5, 1))
    options = {"from_logits": True}
    ours = losses.SparseCategoricalCrossentropy(from_logits=True).forward(y, p, rng.random((5, 1)))[0]
    assert np.isfinite(ours)
    assert_same(
        losses.SparseCategoricalCrossentropy(True).forward(y, p)[0],
        in_keras("SparseCategoricalCrossentropy", options, y, p, None)[0],
        1e-12,
    )
