"""Attribution against what defines it: measured slopes, masks written out, maps weighed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import (
    Activation,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    ReLU,
    Softmax,
)
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.study import (
    grad_cam,
    guided_backprop,
    saliency,
    score_gradient,
    scores_of,
    smooth_grad,
)
from tests.unit.study.networks import network, photos


def test_the_score_is_taken_before_a_final_softmax(rng: np.random.Generator) -> None:
    with_softmax, without = network(), network(softmax=False)
    x = photos(rng)
    np.testing.assert_array_equal(scores_of(with_softmax)(x), without(x))
    assert scores_of(without) is without
    assert scores_of(with_softmax).get_layer("conv1") is with_softmax.get_layer("conv1")
    np.testing.assert_array_equal(score_gradient(with_softmax, x, 1), score_gradient(without, x, 1))


def test_the_gradient_is_the_measured_slope(rng: np.random.Generator) -> None:
    model, x, step = network(softmax=False), photos(rng), 1e-6
    found = score_gradient(model, x)
    winners = model(x).argmax(axis=1)
    for _ in range(30):
        n, *place = (int(rng.integers(size)) for size in x.shape)
        up, down = x.copy(), x.copy()
        up[(n, *place)] += step
        down[(n, *place)] -= step
        slope = (model(up) - model(down))[n, winners[n]] / (2 * step)
        assert found[(n, *place)] == pytest.approx(slope, rel=1e-5, abs=1e-8)
    np.testing.assert_array_equal(saliency(model, x), np.abs(found).max(axis=3))


def test_smooth_grad_is_a_mean_over_noisy_copies(rng: np.random.Generator) -> None:
    model, x = network(), photos(rng)
    np.testing.assert_allclose(smooth_grad(model, x, samples=2, noise=0), saliency(model, x), rtol=1e-12)
    noise = np.random.default_rng(4).standard_normal((3, *x.shape))
    span = x.max(axis=(1, 2, 3), keepdims=True) - x.min(axis=(1, 2, 3), keepdims=True)
    mean = np.mean([score_gradient(model, x + 0.2 * span * each, 2) for each in noise], axis=0)
    found = smooth_grad(model, x, 2, samples=3, noise=0.2, seed=4)
    np.testing.assert_allclose(found, np.abs(mean).max(axis=3), rtol=1e-10)


def test_guided_backprop_stops_what_is_negative(rng: np.random.Generator) -> None:
    """Two dense layers with ReLUs, with the masks written out."""
    layers = [Flatten(), Dense(9, name="a"), ReLU(), Dense(8, name="b"), Activation("relu"), Dense(3, name="c")]
    model = Sequential(layers, input_shape=(3, 2, 1), dtype="float64", seed=2)
    x = rng.standard_normal((4, 3, 2, 1))
    a, b, c = (model.parameters[f"{name}/kernel"] for name in "abc")
    first = np.maximum(x.reshape(4, 6) @ a, 0)
    second = np.maximum(first @ b, 0)
    back = np.tile(c[:, 1], (4, 1))
    back = np.maximum(back, 0) * (second > 0) @ b.T
    back = np.maximum(back, 0) * (first > 0) @ a.T
    np.testing.assert_allclose(guided_backprop(model, x, 1), back.reshape(x.shape), rtol=1e-12)
    assert not np.allclose(guided_backprop(model, x, 1), score_gradient(model, x, 1))
    assert type(model.layers[2]) is ReLU, "the network itself stays as it was"


def test_grad_cam_weighs_maps_by_their_mean_gradients(rng: np.random.Generator) -> None:
    x = Input((8, 6, 3))
    maps = ReLU(name="maps")(Conv2D(5, 3, padding="same")(x))
    model = Model(x, Softmax()(Dense(3, name="scores")(GlobalAveragePooling2D()(maps))), dtype="float64", seed=3)
    pictures = photos(rng)
    values = model.up_to("maps")(pictures)
    kernel = model.parameters["scores/kernel"][:, 2]
    # behind a global average each number's gradient is kernel / (8 * 6), and so is its mean (Zhou et al. 2016: CAM)
    np.testing.assert_allclose(grad_cam(model, pictures, "maps", 2), np.maximum(values @ kernel / 48, 0), rtol=1e-10)
    for layer, message in (("scores", "maps"), ("mapz", "Did you mean 'maps'")):
        with pytest.raises(OptionError, match=message):
            grad_cam(model, pictures, layer)


def test_classes_and_networks_that_are_not_there(rng: np.random.Generator) -> None:
    with pytest.raises(OptionError, match="a class from 0 to 2"):
        saliency(network(), photos(rng), 3)
    with pytest.raises(ShapeError, match="scores"):
        saliency(Sequential([ReLU()], input_shape=(8, 6, 3)), photos(rng))
    a, b = Input((3,)), Input((3,))
    with pytest.raises(OptionError, match="one input and one output"):
        saliency(Model([a, b], [Dense(2)(a), Dense(2)(b)]), photos(rng))
