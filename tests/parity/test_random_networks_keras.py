"""Random networks, in a row and branching, in both engines: the same numbers forward and backward, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings

from minicnn.model import Model
from tests.architectures import graphs, pictures, rows

pytest.importorskip("keras", reason="parity needs Keras: pip install 'minicnn[keras]'")

from reference_keras.backend import load_tensorflow
from reference_keras.tolerance import AGREE_FLOAT64, max_error
from reference_keras.twins import keras_twin
from reference_keras.weights import from_keras, keras_variables


def keras_gradients(twin: Any, x: Any, dy: Any) -> tuple[Any, dict[str, Any]]:
    """(y, {"dx" and the gradient of every trainable weight under its address})."""
    tensorflow = load_tensorflow()
    inputs = tensorflow.constant(x)
    trainable = {id(variable) for variable in twin.trainable_variables}
    variables = {name: v.value for name, v in keras_variables(twin).items() if id(v) in trainable}
    with tensorflow.GradientTape() as tape:
        tape.watch(inputs)
        y = twin(inputs, training=False)
    sources = {"dx": inputs, **variables}
    found = tape.gradient(y, sources, output_gradients=tensorflow.constant(dy), unconnected_gradients="zero")
    return y.numpy(), {name: gradient.numpy() for name, gradient in found.items()}


@pytest.mark.parametrize("kind", [rows, graphs], ids=["rows", "graphs"])
def test_both_engines_agree(kind: Any) -> None:
    @settings(max_examples=30)
    @given(kind())
    def check(model: Model) -> None:
        note(str(model.config()))
        x = pictures(model)
        y, caches = model.forward(x)
        dy = np.random.default_rng(4).standard_normal(y.shape)
        dx, gradients = model.backward(dy, caches, input_gradient=True)
        twin = keras_twin(model)
        keras_y, expected = keras_gradients(twin, x, dy)
        ours = {"dx": dx, **gradients}
        assert max_error(y, keras_y) <= AGREE_FLOAT64
        assert ours.keys() == expected.keys()
        # Against dy where a gradient is smaller: one that is 0 on paper, below a normalisation, is only rounding.
        errors = {
            name: np.abs(ours[name] - array).max() / max(np.abs(array).max(), np.abs(dy).max())
            for name, array in expected.items()
        }
        assert max(errors.values()) <= AGREE_FLOAT64, errors
        again = type(model).from_config(model.config() | {"seed": 1234})
        again.build(model.input_shape)
        from_keras(twin, again)  # the weights' way back
        assert all(np.array_equal(again.weights[name], array) for name, array in model.weights.items())
        listed = type(model).from_config(model.config() | {"seed": 99})
        listed.build(model.input_shape)
        listed.set_weights(twin.get_weights())  # and as a list, in Keras's order
        assert all(np.array_equal(listed.weights[name], array) for name, array in model.weights.items())
        assert all(map(np.array_equal, listed.get_weights(), twin.get_weights()))

    check()
