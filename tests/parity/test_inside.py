"""Keras's numbers inside a network, as the explorer lays them beside minicnn's."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import Add, Conv2D, Dense, Flatten, Input, MaxPooling2D, Model, ReLU, Softmax
from minicnn.errors import OptionError
from minicnn.study import trace
from reference_keras.inside import keras_inside


@pytest.fixture
def branching() -> Model:
    """A network in which ways part and meet, a layer is used twice, and a softmax ends it."""
    shared = Conv2D(3, 3, padding="same", name="shared")
    x = Input((9, 8, 3))
    y = ReLU(name="relu")(shared(shared(x)))
    y = MaxPooling2D(name="pool")(Add(name="add")([y, x]))
    return Model(x, Softmax(name="prob")(Dense(4, name="scores")(Flatten(name="flatten")(y))), dtype="float64", seed=1)


def test_every_value_and_every_gradient_are_minicnns(branching: Model, rng: np.random.Generator) -> None:
    x, dy = rng.normal(size=(2, 9, 8, 3)), rng.normal(size=(2, 4))
    values, gradients = keras_inside(branching, x, dy)
    found = trace(branching, x).backward(dy)
    assert list(values) == list(found.names) == list(gradients)
    for number, name in enumerate(found.names):
        np.testing.assert_allclose(values[name], found.values[number], rtol=1e-12, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(gradients[name], found.dvalues[number], rtol=1e-10, atol=1e-12, err_msg=f"d {name}")


def test_several_inputs_are_refused(rng: np.random.Generator) -> None:
    a, b = Input((4,)), Input((4,))
    with pytest.raises(OptionError, match="one input"):
        keras_inside(Model([a, b], Add()([a, b])), rng.normal(size=(1, 4)), rng.normal(size=(1, 4)))
