"""Gradients of whole networks along random directions: right ones pass, one wrong number anywhere is seen."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, ReLU, Sequential, check_directions
from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.layers.base import Context
from minicnn.losses import SparseCategoricalCrossentropy
from minicnn.shapes import Array

LOSS = SparseCategoricalCrossentropy(from_logits=True)


def network(dtype: str = "float64") -> Sequential:
    layers = [Conv2D(4, 3), BatchNormalization(), ReLU(), MaxPooling2D(), Conv2D(3, 2), ReLU(), Flatten(), Dense(5)]
    return Sequential(layers, input_shape=(9, 8, 2), seed=1).astype(dtype)


def batch() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    return rng.standard_normal((4, 9, 8, 2)), rng.integers(0, 5, 4)


@pytest.mark.parametrize("training", [False, True])
def test_a_right_network_passes_and_is_left_as_it_was(training: bool) -> None:
    model, (x, y) = network(), batch()
    before = {name: array.tobytes() for name, array in model.weights.items()}
    given = x.tobytes()
    report = check_directions(model, LOSS, x, y, context=Context(training=training), directions=8)
    assert report.checked >= 6
    assert report.checked + report.kinks == 8
    assert report.passed(1e-7), report
    assert {name: array.tobytes() for name, array in model.weights.items()} == before
    assert x.tobytes() == given


@pytest.mark.parametrize("address", ["conv2d/kernel", "conv2d/bias", "batch_normalization/gamma", "dense/kernel", "x"])
def test_one_wrong_gradient_is_seen(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, y) = network(), batch()
    right = model.backward

    def wrong(dy, caches, *, input_gradient=True):  # type: ignore[no-untyped-def]
        dx, gradients = right(dy, caches, input_gradient=input_gradient)
        changed = dx if address == "x" else gradients[address]
        changed.reshape(-1)[0] += 0.1 * np.abs(changed).max() + 1e-3
        return dx, gradients

    monkeypatch.setattr(model, "backward", wrong)
    assert not check_directions(model, LOSS, x, y).passed(1e-6)


def test_frozen_parameters_do_not_move() -> None:
    model, (x, y) = network(), batch()
    model.layers[0].trainable = False
    report = check_directions(model, LOSS, x, y)
    assert report.without_gradient == ("conv2d/bias", "conv2d/kernel")
    assert report.passed(1e-7)


@pytest.mark.parametrize("lost", ["conv2d/bias", "dense/kernel"])
def test_a_layer_that_learns_and_lacks_a_gradient_is_not_called_frozen(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, (x, y) = network(), batch()
    right, (layer, parameter) = model.backward, lost.split("/")

    def incomplete(dy, caches, *, input_gradient=True):  # type: ignore[no-untyped-def]
        dx, gradients = right(dy, caches, input_gradient=input_gradient)
        return dx, {address: gradient for address, gradient in gradients.items() if address != lost}

    monkeypatch.setattr(model, "backward", incomplete)
    with pytest.raises(ShapeError, match=f"a gradient for each of .*'{parameter}'.* from layer '{layer}'"):
        check_directions(model, LOSS, x, y)


def test_what_is_refused() -> None:
    model, (x, y) = network(), batch()
    with pytest.raises(DtypeError, match="float64"):
        check_directions(model, LOSS, x.astype(np.float32), y)
    with pytest.raises(DtypeError, match="float64"):
        check_directions(network("float32"), LOSS, x, y)
    with pytest.raises(OptionError, match="directions"):
        check_directions(model, LOSS, x, y, directions=0)
