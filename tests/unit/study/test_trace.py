"""Activations and gradients by name: the network's own, all of them."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import losses
from minicnn.errors import OptionError, ShapeError
from minicnn.gradcheck import check_model_gradient
from minicnn.layers import Add, Conv2D, Dense, Flatten, Input, ReLU
from minicnn.model import Model
from minicnn.shapes import Array
from minicnn.study import activations, gradients, one_hot, trace
from minicnn.training import backpropagate

LOSS = losses.SparseCategoricalCrossentropy(from_logits=True)
TARGETS = np.array([2, 0])


@pytest.fixture
def model() -> Model:
    x = Input((5, 4, 3), name="photo")
    first = ReLU(name="relu")(Conv2D(3, 3, padding="same", name="conv")(x))
    return Model(x, Dense(3, name="scores")(Flatten(name="flat")(Add(name="add")([x, first]))), dtype="float64")


@pytest.fixture
def x(rng: np.random.Generator) -> Array:
    return rng.standard_normal((2, 5, 4, 3))


def test_activations_are_what_each_layer_makes(model: Model, x: Array) -> None:
    found = activations(model, x)
    assert list(found) == ["photo", "conv", "relu", "add", "flat", "scores"]
    for name in list(found)[1:]:
        np.testing.assert_array_equal(found[name], model.up_to(name)(x))


def test_parameter_gradients_are_those_of_training(model: Model, x: Array) -> None:
    found = gradients(model, x, targets=TARGETS, loss=LOSS)
    expected = backpropagate(model, LOSS, x, TARGETS).gradients
    assert found.parameters.keys() == expected.keys()
    for address, array in expected.items():
        np.testing.assert_allclose(found.parameters[address], array, rtol=1e-13, atol=1e-15)


def test_activation_gradients_are_measured_ones(model: Model, x: Array) -> None:
    """The gradient of a value is that of the loss of everything behind it: here of the layers behind "add"."""
    tensors = model.symbols()
    found = gradients(model, x, targets=TARGETS, loss=LOSS)
    start = Input((5, 4, 3))
    behind = Model(start, model.get_layer("scores")(model.get_layer("flat")(start)), dtype="float64")
    assert len(tensors) == 6
    report = check_model_gradient(behind, LOSS, activations(model, x)["add"], TARGETS, limit=30)
    assert report.passed(1e-6)
    _, caches = behind.forward(activations(model, x)["add"])
    dy = LOSS.backward(LOSS.forward(TARGETS, activations(model, x)["scores"])[1])
    np.testing.assert_allclose(
        found.activations["add"], behind.backward(dy, caches, input_gradient=True)[0], rtol=1e-12
    )


def test_a_given_gradient_of_one_score(model: Model, x: Array) -> None:
    dy = one_hot(model(x), 1)
    assert dy.tolist() == [[0, 1, 0], [0, 1, 0]]
    found = gradients(model, x, dy=dy)
    np.testing.assert_allclose(found.activations["flat"], np.tile(model.parameters["scores/kernel"][:, 1], (2, 1)))


def test_frozen_layers_pass_gradients_on_but_have_none(model: Model, x: Array) -> None:
    model.get_layer("conv").trainable = False
    found = gradients(model, x, targets=TARGETS, loss=LOSS)
    assert set(found.parameters) == {"scores/kernel", "scores/bias"}
    assert np.any(found.activations["photo"])


def test_what_does_not_fit_is_refused(model: Model, x: Array) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        trace(model, x).backward(np.ones((2, 4)))
    with pytest.raises(OptionError, match="targets"):
        gradients(model, x, targets=TARGETS)
    with pytest.raises(OptionError, match="dy and targets and loss"):
        gradients(model, x, targets=TARGETS, loss=LOSS, dy=np.ones((2, 3)))
    with pytest.raises(ShapeError):
        trace(model, x[:, :4])
    both = trace(model, x).backward(np.ones((2, 3)))
    with pytest.raises(OptionError, match="conv/kernel"):
        both.gradient("conv/kernle")
