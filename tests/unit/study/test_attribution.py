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
    MaxPooling2D,
    ReLU,
    Softmax,
    Tanh,
)
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from minicnn.study import (
    dead_units,
    enlarged,
    explain_gradient,
    grad_cam,
    guided_backprop,
    maximised_activation,
    occlusion,
    saliency,
    score_gradient,
    scores_of,
    smooth_grad,
)


def network(*, softmax: bool = True, dtype: str = "float64") -> Sequential:
    layers = [
        Conv2D(4, 3, padding="same", name="conv1"),
        Tanh(name="tanh1"),
        MaxPooling2D(name="pool1"),
        Conv2D(5, 3, padding="same", name="conv2"),
        ReLU(name="relu2"),
        Flatten(name="flat"),
        Dense(3, name="scores"),
        *([Softmax(name="prob")] if softmax else []),
    ]
    return Sequential(layers, input_shape=(8, 6, 3), dtype=dtype, seed=5)


def photos(rng: np.random.Generator, count: int = 2) -> Array:
    return rng.uniform(0, 1, (count, 8, 6, 3))


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


def test_maps_are_enlarged_to_their_picture() -> None:
    ramp = np.array([[[0.0, 1.0], [0.0, 1.0]]])
    large = enlarged(ramp, 4, 8)
    assert large.shape == (1, 4, 8)
    np.testing.assert_allclose(large[0, 0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
    with pytest.raises(ShapeError):
        enlarged(ramp[0], 4, 8)


def test_occlusion_of_one_pixel_at_a_time_is_exact_for_a_linear_network(rng: np.random.Generator) -> None:
    model = Sequential([Flatten(), Dense(3, name="scores")], input_shape=(5, 4, 2), dtype="float64")
    x = rng.uniform(0, 1, (1, 5, 4, 2))
    kernel = model.parameters["scores/kernel"][:, 1].reshape(5, 4, 2)
    found = occlusion(model, x, 1, size=1, strides=1, fill=0.25, batch_size=7)
    np.testing.assert_allclose(found, ((x[0] - 0.25) * kernel).sum(axis=2), rtol=1e-10)


def test_occlusion_averages_over_the_patches_that_cover_a_pixel(rng: np.random.Generator) -> None:
    """Patches of 3 in steps of 2 over 5 columns: at 0..1 (one beyond the border), 1..3 and 3..4, as padding "same"."""
    model = Sequential([Flatten(), Dense(1, name="scores")], input_shape=(1, 5, 1), dtype="float64")
    x, kernel = rng.uniform(0, 1, (1, 1, 5, 1)), model.parameters["scores/kernel"][:, 0]
    loss = x[0, 0, :, 0] * kernel
    drops = loss[0:2].sum(), loss[1:4].sum(), loss[3:5].sum()
    expected = [drops[0], (drops[0] + drops[1]) / 2, drops[1], (drops[1] + drops[2]) / 2, drops[2]]
    np.testing.assert_allclose(occlusion(model, x, 0, size=(1, 3), strides=(1, 2), fill=0)[0], expected, rtol=1e-10)
    sparse = occlusion(model, x, 0, size=1, strides=2, fill=0)[0]
    assert [bool(value) for value in sparse] == [True, False, True, False, True]
    with pytest.raises(ShapeError, match="one picture"):
        occlusion(model, np.concatenate([x, x]))


def test_activation_maximisation_climbs_and_follows_a_linear_unit(rng: np.random.Generator) -> None:
    model = network()
    found = maximised_activation(model, "relu2", 3, steps=20, rate=0.5)
    assert found.picture.shape == (8, 6, 3)
    assert len(found.values) == 21
    assert found.values[-1] > found.values[0] + 0.1
    linear = Sequential([Flatten(), Dense(3, name="scores")], input_shape=(4, 4, 1), dtype="float64")
    direction = linear.parameters["scores/kernel"][:, 2].reshape(4, 4, 1)
    best = maximised_activation(linear, "scores", (2,), steps=5, rate=2, decay=0, start=np.zeros((4, 4, 1)))
    np.testing.assert_allclose(best.picture, 10 * direction / np.linalg.norm(direction), rtol=1e-12)
    one = maximised_activation(model, "conv2", (1, 2, 4), steps=0, start=photos(rng)[0])
    assert one.values == [pytest.approx(float(model.up_to("conv2")(one.picture[None])[0, 1, 2, 4]))]
    with pytest.raises(OptionError, match="Did you mean 'relu2'"):
        maximised_activation(model, "relu3", 0)
    with pytest.raises(OptionError, match="channels of 'relu2'"):
        maximised_activation(model, "relu2", 5)


def test_dead_units_are_those_that_never_answer(rng: np.random.Generator) -> None:
    model = network()
    assert dead_units(model, photos(rng, 8)) == {"relu2": []}
    model.parameters["conv2/bias"][[1, 3]] = -100
    assert dead_units(model, photos(rng, 8)) == {"relu2": [1, 3]}
    gradient = explain_gradient(model, photos(rng), "conv2", (0, 0, 0, 1), of="kernel", dy=np.eye(3)[:2])
    assert gradient.value == gradient.total == 0
    with pytest.raises(OptionError, match="ReLU"):
        dead_units(Sequential([Flatten()], input_shape=(2, 2, 1)), np.ones((1, 2, 2, 1)))


def test_classes_and_networks_that_are_not_there(rng: np.random.Generator) -> None:
    with pytest.raises(OptionError, match="a class from 0 to 2"):
        saliency(network(), photos(rng), 3)
    with pytest.raises(ShapeError, match="scores"):
        saliency(Sequential([ReLU()], input_shape=(8, 6, 3)), photos(rng))
    a, b = Input((3,)), Input((3,))
    with pytest.raises(OptionError, match="one input and one output"):
        saliency(Model([a, b], [Dense(2)(a), Dense(2)(b)]), photos(rng))
