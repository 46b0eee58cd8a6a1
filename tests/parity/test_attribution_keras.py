"""Saliency and Grad-CAM against Keras's network and TensorFlow's GradientTape, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.model import Model
from minicnn.models import face_cnn, residual_cnn
from minicnn.shapes import Array
from minicnn.study import grad_cam, saliency

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.twins import keras_twin

CASES = [(face_cnn, "relu4"), (residual_cnn, "block3_relu2")]


def learned(model: Model) -> Model:
    """Statistics and offsets as after training: nothing exactly 0 or 1."""
    rng = np.random.default_rng(7)
    for array in model.weights.values():
        if np.ptp(array) == 0:
            array += rng.uniform(0.1, 0.3, array.shape)
    return model


def gradients(model: Model, x: Array, layer: str, index: int | None) -> tuple[Array, Array, Array]:
    """(dscore/dx, the maps of ``layer``, dscore/dmaps) of the Keras twin; the score is taken before the softmax."""
    keras, tensorflow = load_keras(), load_tensorflow()
    twin: Any = keras_twin(model, dtype="float64")
    inside = keras.Model(twin.inputs, [twin.get_layer(layer).output, twin.layers[-1].input])
    with tensorflow.GradientTape() as tape:
        pictures = tensorflow.constant(x)
        tape.watch(pictures)
        maps, scores = inside(pictures, training=False)
        chosen = tensorflow.argmax(scores, axis=1) if index is None else np.full(len(x), index)
        score = tensorflow.reduce_sum(tensorflow.gather(scores, chosen, batch_dims=1))
    dx, dmaps = tape.gradient(score, [pictures, maps])
    return dx.numpy(), maps.numpy(), dmaps.numpy()


@pytest.mark.parametrize("index", [None, 2])
@pytest.mark.parametrize(("make", "layer"), CASES, ids=["face_cnn", "residual_cnn"])
def test_saliency_and_grad_cam_are_keras_s(make: Any, layer: str, index: int | None) -> None:
    model = learned(make((48, 40, 3), 5, dtype="float64", seed=1))
    x = np.random.default_rng(0).uniform(0, 1, (3, 48, 40, 3))
    dx, maps, dmaps = gradients(model, x, layer, index)
    theirs = np.abs(dx).max(axis=3)
    np.testing.assert_allclose(saliency(model, x, index), theirs, rtol=1e-8, atol=1e-12 * theirs.max())
    cam = np.maximum((dmaps.mean(axis=(1, 2), keepdims=True) * maps).sum(axis=3), 0)
    assert cam.max() > 0
    np.testing.assert_allclose(grad_cam(model, x, layer, index), cam, rtol=1e-8, atol=1e-12 * cam.max())
