"""What people give: arrays, targets and weights, refused in the same words at every door."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from minicnn.data import Batches
from minicnn.errors import DtypeError, LabelError, MinicnnError, OptionError, ShapeError
from minicnn.given import as_numbers, require_array, targets_of, weights_like, weights_of
from minicnn.layers import Conv2D, Dense, Flatten
from minicnn.losses import SparseCategoricalCrossentropy
from minicnn.sequential import Sequential

LOGITS = SparseCategoricalCrossentropy(from_logits=True)


class Endless:
    """A data set as Keras has them: NumPy would go on asking for items for ever."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        assert index < 10, "somebody reads on and on"
        return np.zeros((4, 3)), np.zeros(4, int)


def dense(loss: Any = LOGITS) -> Sequential:
    model = Sequential([Dense(2)], input_shape=(3,))
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("thing", [Endless(), iter([1]), {"x": np.ones((4, 3))}, "photo.jpg", None, 3.0])
def test_what_is_no_array_is_not_read(thing: Any) -> None:
    with pytest.raises(OptionError, match="Generators and data sets are not read"):
        require_array(thing)
    for use in (dense().fit, dense().evaluate):
        with pytest.raises(OptionError, match=rf"inputs as an array .* Received: {type(thing).__name__}\."):
            use(thing, np.zeros(4, int))
    for kind in (dense().fit, dense().train_on_batch, dense().evaluate, dense().test_on_batch):
        with pytest.raises(OptionError, match=r"targets"):
            kind(np.ones((4, 3)), thing)
        with pytest.raises(OptionError, match=r"sample_weight as an array") if thing is not None else nullcontext():
            kind(np.ones((4, 3)), np.zeros(4, int), sample_weight=thing)
    with pytest.raises((DtypeError, ShapeError)):
        dense().predict(thing)


def test_data_sets_are_not_predicted() -> None:
    with pytest.raises(DtypeError, match=r"numbers\. Received: Endless\. Generators and data sets"):
        dense().predict(Endless())


@pytest.mark.parametrize("x", [[[1, 2], [3, 4]], ((1, 2), (3, 4)), np.array([[1, 2], [3, 4]]), range(4), deque([1, 2])])
def test_what_numpy_can_read_is_read(x: Any) -> None:
    np.testing.assert_array_equal(as_numbers(require_array(x)), np.array(x))


def test_only_arrays_are_advised_to_be_converted() -> None:
    with pytest.raises(DtypeError, match=r"<U1.*astype"):
        as_numbers(np.array(["a"]))
    with pytest.raises(DtypeError, match=r"numbers\. Received: None\.$"):
        as_numbers(None)


def test_targets() -> None:
    np.testing.assert_array_equal(targets_of([-3, 5]), [-3, 5])
    for y, error, message in [
        ([1, np.nan], LabelError, "finite targets"),
        (["a", "b"], LabelError, "np.unique"),
        ([[1], [2, 3]], ShapeError, "targets as an array"),
    ]:
        with pytest.raises(error, match=message):
            targets_of(y)
        for use in (dense().train_on_batch, dense().test_on_batch, dense().fit):
            with pytest.raises(MinicnnError, match=message):
                use(np.ones((2, 3)), y)
    with pytest.raises(ShapeError, match=r"each of the 3 inputs.*\(2,\)"):
        targets_of([1, 2], 3)


def test_negative_whole_numbers_are_targets_like_others() -> None:
    """For a loss of classes they are none; for one of numbers they are, as in Keras."""
    x, y = np.ones((4, 3), np.float32), np.array([-3, 5, 2, -1])
    model = Sequential([Dense(1)], input_shape=(3,), seed=0)
    model.compile("sgd", "mse")
    whole = model.evaluate(x, y)["loss"]
    assert whole == model.evaluate(x, y.astype(np.float64))["loss"]
    model.fit(x, y, epochs=5, verbose=0)
    assert model.evaluate(x, y)["loss"] < whole
    with pytest.raises(LabelError, match=r"class indices 0 \.\.\. 1 for 2 classes\. Received: -3 at position 0"):
        dense().fit(x, y, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (["a", "b"], ShapeError, "sample_weight"),
        ([[1, 2], [3]], ShapeError, "sample_weight as an array"),
        ([1, np.nan], OptionError, "finite sample weights of at least 0"),
        ([1, -2], OptionError, "at least 0. Received: -2 to 1"),
        ([1, 2j], ShapeError, "complex128"),
        ([1, 2, 3], ShapeError, "sample_weight"),
    ],
)
def test_weights_that_cannot_be(weights: Any, error: type[Exception], message: str) -> None:
    x, y = np.ones((2, 3), np.float32), np.array([0, 1])
    with pytest.raises(error, match=message):
        Batches(x, y, sample_weight=weights)
    for use in (dense().train_on_batch, dense().test_on_batch, dense().fit, dense().evaluate):
        with pytest.raises(error, match=message):
            use(x, y, sample_weight=weights)


def test_weights_have_a_number_for_each_loss() -> None:
    column = np.ones((2, 1))
    assert weights_of(column).shape == weights_like(column, np.zeros((2, 1))).shape == (2, 1)
    assert weights_like(column, np.zeros(2)).shape == (2,)
    losses = np.zeros((2, 3), np.float32)
    for shape in ((2, 3), (2, 3, 1)):
        found = weights_like(np.ones(shape), losses)
        assert (found.shape, found.dtype) == ((2, 3), np.float32)
    with pytest.raises(ShapeError, match=r"per loss, shape \(2, 3\)\. Received: shape \(2,\)\. There"):
        weights_like(np.ones(2), losses)


def test_every_pixel_may_have_its_weight(rng: np.random.Generator) -> None:
    x, y = rng.random((6, 5, 5, 2), np.float32), rng.integers(0, 3, (6, 5, 5))
    weights = rng.random((6, 5, 5))
    model = Sequential([Conv2D(3, 3, padding="same")], input_shape=(5, 5, 2), seed=0)
    model.compile("sgd", LOGITS)
    expected = LOGITS.forward(y, model(x), weights)[0]
    assert model.evaluate(x, y, sample_weight=weights)["loss"] == pytest.approx(expected, rel=1e-6)
    history = model.fit(x, y, sample_weight=weights, batch_size=6, verbose=0).history
    assert history["loss"] == [pytest.approx(expected, rel=1e-6)]
    one = Sequential([Flatten(), Dense(2)], input_shape=(5, 5, 2), seed=0)
    one.compile("sgd", LOGITS)
    column = rng.random((6, 1))
    losses = [one.evaluate(x, y[:, 0, 0] % 2, sample_weight=w)["loss"] for w in (column, column[:, 0])]
    assert losses[0] == losses[1]
