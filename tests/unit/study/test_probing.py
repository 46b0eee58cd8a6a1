"""Occlusion and activation maximisation against networks whose answers can be written down."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import Dense, Flatten
from minicnn.sequential import Sequential
from minicnn.study import maximised_activation, occlusion
from tests.unit.study.networks import network, photos


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
