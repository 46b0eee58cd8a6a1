"""Local response normalisation has no Keras layer; TensorFlow's operation is the reference."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="parity needs the extra 'keras'")

from minicnn.ops.local_response_normalization import (
    local_response_normalization,
    local_response_normalization_backward,
)
from reference_keras.backend import load_tensorflow
from reference_keras.tolerance import layer_limit, max_error


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75},
        {"depth_radius": 1, "alpha": 0.5, "beta": 1.0},
    ],
    ids=str,
)
def test_it_is_closer_to_the_truth_than_tensorflow_or_as_close(
    options: dict[str, float], rng: np.random.Generator
) -> None:
    """TensorFlow has it in float32 alone: both sides answer to our float64."""
    tensorflow = load_tensorflow()
    x, dy = rng.standard_normal((2, 2, 5, 4, 13)).astype(np.float32)
    inputs = tensorflow.constant(x)
    with tensorflow.GradientTape() as tape:
        tape.watch(inputs)
        y = tensorflow.nn.local_response_normalization(inputs, **options)
    theirs = (y.numpy(), tape.gradient(y, inputs, output_gradients=tensorflow.constant(dy)).numpy())

    def both(dtype: type) -> tuple[np.ndarray, np.ndarray]:
        y, cache = local_response_normalization(x.astype(dtype), **options)  # type: ignore[arg-type]
        return y, local_response_normalization_backward(dy.astype(dtype), cache)

    for ours, keras, truth in zip(both(np.float32), theirs, both(np.float64), strict=True):
        assert max_error(keras, truth) < 1e-5  # the same formula
        assert max_error(ours, truth) <= layer_limit(max_error(keras, truth))
