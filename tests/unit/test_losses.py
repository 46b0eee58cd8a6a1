"""Losses: the formulas written out by hand, their gradients measured, and every kind of bad target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import SGD, Dense, Sequential, losses
from minicnn.errors import DtypeError, LabelError, OptionError, ShapeError
from minicnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from minicnn.ops import regression_losses as regression
from minicnn.shapes import Array

ALL = [
    CategoricalCrossentropy(),
    CategoricalCrossentropy(label_smoothing=0.1),
    CategoricalCrossentropy(from_logits=True),
    CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    SparseCategoricalCrossentropy(),
    SparseCategoricalCrossentropy(from_logits=True),
    BinaryCrossentropy(),
    BinaryCrossentropy(label_smoothing=0.1),
    BinaryCrossentropy(from_logits=True),
    MeanSquaredError(),
    MeanAbsoluteError(),
    Huber(),
    Huber(delta=0.3),
]
OF_NUMBERS = (MeanSquaredError, MeanAbsoluteError, Huber)
SPARSE = SparseCategoricalCrossentropy()


def example(loss: losses.Loss, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and float64 predictions that suit the loss; probabilities well away from the clipping."""
    is_probability = not isinstance(loss, OF_NUMBERS) and not loss.from_logits  # type: ignore[attr-defined]
    predictions = rng.uniform(0.05, 0.95, shape) if is_probability else 2 * rng.standard_normal(shape)
    if isinstance(loss, SparseCategoricalCrossentropy):
        return rng.integers(0, shape[-1], shape[:-1]), predictions
    if isinstance(loss, CategoricalCrossentropy):
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1]), predictions
    return rng.random(shape), predictions


@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (2, 3, 2, 5)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_gradient_is_the_measured_slope(
    loss: losses.Loss, weighted: bool, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    targets, predictions = example(loss, shape, rng)
    weight = rng.random(shape[:-1]) if weighted else None
    gradient = loss.backward(loss.forward(targets, predictions, weight)[1])
    measured = np.zeros_like(predictions)
    for index in np.ndindex(*shape):
        step = np.zeros_like(predictions)
        step[index] = 1e-5
        above, below = (loss.forward(targets, p, weight)[0] for p in (predictions + step, predictions - step))
        measured[index] = (above - below) / 2e-5
    error = np.abs(gradient - measured).max() / max(np.abs(measured).max(), 1e-3)
    assert error <= 1e-6


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_an_upstream_gradient_scales_each_sample(loss: losses.Loss, rng: np.random.Generator) -> None:
    """The weights of a mean are one kind of upstream gradient; any other must pass through as well."""
    targets, predictions = example(loss, (3, 4), rng)
    _, cache = loss.losses(targets, predictions)
    dlosses = rng.standard_normal(3)
    one = loss.dpredictions(np.ones(3), cache)
    np.testing.assert_allclose(loss.dpredictions(dlosses, cache), one * dlosses[:, None], rtol=1e-12)


class Own(losses.Loss):
    """A squared error as somebody might write it, with whatever it is given."""

    def __init__(self, forward: Any = None, backward: Any = None) -> None:
        self.ways = forward or (lambda e: np.square(e).mean(axis=-1)), backward or (lambda e: e)

    def losses(self, targets: Array, predictions: Array) -> tuple[Array, Any]:
        e = predictions - targets
        return self.ways[0](e), e

    def dpredictions(self, dlosses: Array, cache: Any) -> Array:
        return self.ways[1](2 * cache * dlosses[..., None] / cache.shape[-1])


def test_one_of_ones_own_may_compute_in_float64() -> None:
    """``np.log(2)`` is a float64, so that NumPy makes float32 predictions float64 losses."""
    x, y = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model = Sequential([Dense(2)], input_shape=(3,), seed=0)
    model.compile(SGD(0.1), Own(lambda e: (np.square(e) - np.log(2)).mean(axis=-1)))
    before = model.evaluate(x, y)["loss"]
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y)["loss"] < before
    assert {array.dtype for array in model.weights.values()} == {np.dtype(np.float32)}


def test_one_of_ones_own_meets_targets_of_shape_n_as_keras_does() -> None:
    """NumPy would take the difference of every target and every prediction."""
    y, p = np.arange(4.0), np.array([[1.0], [1.0], [2.0], [5.0]])
    assert Own().forward(y, p)[0] == MeanSquaredError().forward(y, p)[0] == (1 + 0 + 0 + 4) / 4
    assert Own().per_sample(y, p).tolist() == [1, 0, 0, 4]
    np.testing.assert_array_equal(Own().backward(Own().forward(y, p)[1]), [[0.5], [0], [0], [1]])


@pytest.mark.parametrize(
    "loss, y, error, message",
    [
        (
            Own(lambda e: np.square(e)),
            np.ones((2, 3)),
            ShapeError,
            r"one loss per sample from Own.losses, shape \(2,\).*\(2, 3\)",
        ),
        (Own(lambda e: np.square(e).mean()), np.ones((2, 3)), ShapeError, r"Own.losses, shape \(2,\).*shape \(\)"),
        (
            Own(backward=lambda d: d[0]),
            np.ones((2, 3), np.float32),
            ShapeError,
            r"Own.dpredictions, \(2, 3\).*\(3,\) of float32",
        ),
        (Own(backward=lambda d: None), np.ones((2, 3)), ShapeError, r"Own.dpredictions, \(2, 3\).*\(\) of NoneType"),
        (
            Own(),
            np.ones((2, 3)),
            DtypeError,
            r"\(2, 3\) of float32.*\(2, 3\) of float64.*dtype that they were given in",
        ),
    ],
)
def test_one_of_ones_own_that_is_wrong_says_so(
    loss: losses.Loss, y: Array, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        loss.backward(loss.forward(y, np.zeros((2, 3), np.float32))[1])


def test_lists_and_class_indices_are_refused_with_a_word_of_advice() -> None:
    for loss in (MeanSquaredError(), Own()):
        with pytest.raises((DtypeError, TypeError)):
            loss.forward([[1.0]], [[2.0]])  # type: ignore[arg-type]
    with pytest.raises(DtypeError, match=r"np\.asarray"):
        MeanSquaredError().forward([[1.0]], [[2.0]])  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="sparse_categorical_crossentropy"):
        CategoricalCrossentropy().forward(np.array([0, 0]), np.array([[1.0], [1.0]]))


def test_formulas_by_hand() -> None:
    p = np.array([[0.7, 0.2, 0.1]])
    assert CategoricalCrossentropy().forward([[0, 1, 0]], p)[0] == pytest.approx(-math.log(0.2))
    assert SPARSE.forward(np.array([1]), p)[0] == pytest.approx(-math.log(0.2))
    smoothed = CategoricalCrossentropy(label_smoothing=0.3).forward([[0, 1, 0]], p)[0]
    assert smoothed == pytest.approx(-0.1 * math.log(0.7) - 0.8 * math.log(0.2) - 0.1 * math.log(0.1))
    yes, no = -math.log(0.7), -math.log(1 - 0.2)
    assert BinaryCrossentropy().forward([[1, 0]], p[:, :2])[0] == pytest.approx((yes + no) / 2)
    assert MeanSquaredError().forward([[1, 0, 0]], p)[0] == pytest.approx((0.09 + 0.04 + 0.01) / 3)
    assert MeanAbsoluteError().forward([[1, 0, 0]], p)[0] == pytest.approx((0.3 + 0.2 + 0.1) / 3)
    assert Huber(0.25).forward([[1, 0, 0]], p)[0] == pytest.approx((0.25 * 0.3 - 0.25**2 / 2 + 0.02 + 0.005) / 3)


def test_probabilities_are_normalised_then_clipped_or_clipped_then_normalised() -> None:
    """Categorical does the first, sparse the second, as in Keras: it shows when a row sums to 2."""
    p = np.array([[2.0, 0.0]])
    categorical = CategoricalCrossentropy().forward([[1, 0]], p)[0]
    assert categorical == pytest.approx(-math.log(1 - 1e-7), rel=1e-6)
    c = np.array([1 - 1e-7, 1e-7])
    assert SPARSE.forward([0], p)[0] == pytest.approx(math.log(c.sum()) - math.log(c[0]), abs=1e-15)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_sparse_is_categorical_with_one_hot_targets(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = 5 * rng.standard_normal((n, k)), rng.integers(0, k, n)
    sparse, categorical = SparseCategoricalCrossentropy(True), CategoricalCrossentropy(True)
    value, cache = sparse.forward(labels, logits)
    other, other_cache = categorical.forward(np.eye(k)[labels], logits)
    assert value == pytest.approx(other, rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(sparse.backward(cache), categorical.backward(other_cache), atol=1e-15)


@given(st.integers(1, 4), st.integers(2, 6), st.floats(-1e3, 1e3), st.integers(0, 2**32 - 1))
def test_logits_matter_only_relative_to_each_other(n: int, k: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = 5 * rng.standard_normal((n, k)), rng.integers(0, k, n)
    loss = SparseCategoricalCrossentropy(True)
    value, cache = loss.forward(labels, logits)
    shifted, _ = loss.forward(labels, logits + shift)
    assert shifted == pytest.approx(value, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(loss.backward(cache).sum(axis=-1), 0, atol=1e-14)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_from_logits_is_from_probabilities_after_softmax_or_sigmoid(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = 2 * rng.standard_normal((n, k))
    softmax = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    labels, answers = rng.integers(0, k, n), rng.random((n, k))
    np.testing.assert_allclose(
        SparseCategoricalCrossentropy(True).per_sample(labels, x), SPARSE.per_sample(labels, softmax), atol=3e-7
    )
    np.testing.assert_allclose(
        BinaryCrossentropy(True).per_sample(answers, x),
        BinaryCrossentropy().per_sample(answers, 1 / (1 + np.exp(-x))),
        rtol=1e-9,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_and_infinite_logits(dtype: Any) -> None:
    loss = SparseCategoricalCrossentropy(from_logits=True)
    x = np.array([[3e38, -3e38], [1e4, 0], [-np.inf, 0]], dtype)
    value, cache = loss.forward([0, 0, 1], x)
    assert value == 0
    np.testing.assert_array_equal(loss.backward(cache), np.zeros_like(x))
    assert loss.forward([1], np.array([[1e4, 0]], dtype))[0] == 1e4
    masked = CategoricalCrossentropy(from_logits=True)
    assert masked.forward([[0, 1]], np.array([[-np.inf, 0]], dtype))[0] == 0
    assert BinaryCrossentropy(from_logits=True).forward([[1, 0]], np.array([[1e30, 1e4]], dtype))[0] == 5e3


def test_float64_tails_are_exact() -> None:
    """A probability of exp(-700) is a number, and its gradient is that number."""
    loss = SparseCategoricalCrossentropy(from_logits=True)
    _, cache = loss.forward([0], np.array([[0.0, -700.0]]))
    np.testing.assert_allclose(loss.backward(cache)[0, 1], math.exp(-700), rtol=1e-12)


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_nan_in_nan_out(loss: losses.Loss, rng: np.random.Generator) -> None:
    targets, predictions = example(loss, (3, 4), rng)
    predictions[1, 2] = np.nan
    value, cache = loss.forward(targets, predictions)
    assert math.isnan(value)
    gradient = loss.backward(cache)
    assert np.isnan(gradient[1]).any()
    assert np.isfinite(gradient[[0, 2]]).all()


@pytest.mark.parametrize("loss", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_and_arguments_survive(loss: losses.Loss, dtype: Any, rng: np.random.Generator) -> None:
    targets, predictions = example(loss, (3, 4), rng)
    predictions = predictions.astype(dtype)
    before = predictions.copy(), targets.copy()
    value, cache = loss.forward(targets, predictions)
    gradient = loss.backward(cache)
    assert isinstance(value, float)
    assert loss.per_sample(targets, predictions).dtype == gradient.dtype == dtype
    assert gradient.flags.c_contiguous
    np.testing.assert_array_equal(predictions, before[0])
    np.testing.assert_array_equal(targets, before[1])
    np.testing.assert_array_equal(loss.backward(cache), gradient)  # backward is pure


def test_weights_divide_by_the_number_of_losses(rng: np.random.Generator) -> None:
    labels, p, weight = rng.integers(0, 3, 4), rng.uniform(0.1, 0.9, (4, 3)), rng.random(4)
    each = SPARSE.per_sample(labels, p)
    assert SPARSE.forward(labels, p, weight)[0] == pytest.approx((each * weight).sum() / 4)
    assert SPARSE.forward(labels, p, weight[:, None])[0] == SPARSE.forward(labels, p, weight)[0]
    _, cache = SPARSE.forward(labels, p, np.array([1, 0, 1, 0]))
    np.testing.assert_array_equal(SPARSE.backward(cache)[[1, 3]], 0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"0 \.\.\. 2 for 3 classes. Received: 3 at position 1, 1 wrong"),
        ([-1, 0], "-1 at position 0"),
        ([0.5, 1], "0.5 at position 0"),
        ([np.nan, 1], "nan at position 0"),
        (["a", "b"], "integers"),
    ],
)
def test_labels_that_are_no_class(labels: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        SPARSE.forward(np.array(labels), np.full((2, 3), 1 / 3))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float32, np.float64])
def test_labels_of_every_integer_kind(dtype: Any) -> None:
    p = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert SPARSE.forward(np.array([1, 0], dtype), p)[0] == SPARSE.forward(np.array([[1], [0]], dtype), p)[0] > 0


def test_targets_that_are_no_distribution() -> None:
    p = np.full((2, 2), 0.5)
    with pytest.raises(LabelError, match="sum to 1"):
        CategoricalCrossentropy().forward([[0, 1], [1, 1]], p)
    with pytest.raises(LabelError, match=r"-1.0 at position \(0, 0\)"):
        CategoricalCrossentropy().forward([[-1, 2], [1, 0]], p)
    with pytest.raises(LabelError, match="between 0"):
        BinaryCrossentropy().forward([[0, 1], [1, -1]], p)


def test_shapes_that_do_not_fit() -> None:
    p = np.full((2, 3), 1 / 3)
    with pytest.raises(ShapeError, match="sparse_categorical_crossentropy"):
        CategoricalCrossentropy().forward([0, 1], p)
    with pytest.raises(ShapeError, match="go with categorical_crossentropy"):
        SPARSE.forward(np.eye(3)[:2], p)
    for loss in (SPARSE, CategoricalCrossentropy(), BinaryCrossentropy(), *(kind() for kind in OF_NUMBERS)):
        with pytest.raises(ShapeError):
            loss.forward(np.zeros(5), p)
        with pytest.raises(ShapeError, match="at least one element"):
            loss.forward(np.zeros((0,)), np.zeros((0, 3)))
        with pytest.raises(ShapeError, match="axes"):
            loss.forward(np.zeros(3), np.zeros(3))
        with pytest.raises(DtypeError):
            loss.forward(np.zeros(2), np.zeros((2, 3), np.int64))
    with pytest.raises(ShapeError, match="sample_weight"):
        SPARSE.forward([0, 1], p, np.ones(3))


def test_upstream_gradients_that_do_not_fit() -> None:
    _, cache = regression.mean_squared_error(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match="dlosses"):
        regression.mean_squared_error_backward(np.ones(3), cache)
    with pytest.raises(DtypeError, match="dlosses"):
        regression.mean_squared_error_backward(np.ones(2, np.float32), cache)


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_config_makes_the_same_loss(loss: losses.Loss) -> None:
    again = losses.get({"class_name": type(loss).__name__, "config": loss.config()})
    assert repr(again) == repr(loss)
    assert losses.get(loss) is loss


def test_names() -> None:
    for name, kind in losses.LOSSES.items():
        assert type(losses.get(name)) is kind
    with pytest.raises(OptionError, match="sparse_categorical_crossentropy"):
        losses.get("crossentropie")
    with pytest.raises(OptionError, match="label_smoothing"):
        CategoricalCrossentropy(label_smoothing=1.5)
    with pytest.raises(OptionError, match="from_logits"):
        BinaryCrossentropy(from_logits="yes")  # type: ignore[arg-type]
