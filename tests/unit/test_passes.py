"""What a training step remembers of layers that do not learn: nothing that its backward pass does not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import passes
from minicnn.fusion import fuse
from minicnn.initializers import Zeros
from minicnn.layers import Add, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D, ReLU
from minicnn.layers.base import Context, Layer, Weight
from minicnn.losses import CategoricalCrossentropy
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.training import backpropagate

SIZE = (12, 12, 3)


def base() -> list[Any]:
    return [Conv2D(8, 3, padding="same"), BatchNormalization(), ReLU(), MaxPooling2D(), Dropout(0.3), Flatten()]


def head_learns() -> Model:
    model = Sequential([*base(), Dense(5), ReLU(), Dense(3)], input_shape=SIZE, seed=0)
    for layer in model.layers[:6]:
        layer.trainable = False
    return model


def middle_is_frozen() -> Model:
    """A gradient goes through layers that do not learn to one that does: they keep what they need for dx."""
    model = Sequential([Conv2D(4, 3), *base(), Dense(3)], input_shape=SIZE, seed=0)
    for layer in model.layers[1:7]:
        layer.trainable = False
    return model


def one_way_is_frozen() -> Model:
    x = Input(SIZE)
    frozen = [Conv2D(4, 3, padding="same"), BatchNormalization(), ReLU()]
    value = x
    for layer in frozen:
        value = layer(value)
        layer.trainable = False
    y = Add()([value, ReLU()(BatchNormalization()(Conv2D(4, 3, padding="same")(x)))])
    return Model(x, Dense(3)(Flatten()(y)), seed=0)


def statistics_learn() -> Model:
    """A normalisation without weights: nothing asks for its gradient, but its statistics move with each batch."""
    layers = [Conv2D(4, 3), BatchNormalization(center=False, scale=False), ReLU(), Flatten(), Dense(3)]
    model = Sequential(layers, input_shape=SIZE, seed=0)
    model.layers[0].trainable = False
    return model


def gradients(model: Model, weights_only: bool, rng: np.random.Generator) -> Any:
    x, y = rng.standard_normal((4, *SIZE), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    context = Context(training=True, weights_only=weights_only)
    return backpropagate(model, CategoricalCrossentropy(from_logits=True), x, y, context=context)


@pytest.mark.parametrize("network", [head_learns, middle_is_frozen, one_way_is_frozen, statistics_learn])
def test_a_step_that_remembers_less_has_the_same_gradients(network: Callable[[], Model]) -> None:
    model = network()
    whole, less = (gradients(model, only, np.random.default_rng(0)) for only in (False, True))
    assert whole.loss == less.loss
    for side in ("gradients", "next_state"):
        one, other = getattr(whole, side), getattr(less, side)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[address], other[address]) for address in one)
    assert less.gradients
    assert bool(less.next_state) == any(layer.state and layer.trainable for layer in model.layers)


def test_nothing_is_kept_of_what_stands_before_all_that_learns(rng: np.random.Generator) -> None:
    """But of what chance has a part in: a frozen dropout drops, as in Keras."""
    model = head_learns()
    x = rng.standard_normal((4, *SIZE), np.float32)
    _, whole = model.forward(x, Context(training=True))
    _, less = model.forward(x, Context(training=True, weights_only=True))
    assert [
        type(layer).__name__ for layer, cache in zip(model.layers[:6], less, strict=False) if cache is not None
    ] == ["Dropout"]
    assert all(cache is not None for cache in whole)
    assert [type(cache) for cache in less[6:]] == [type(cache) for cache in whole[6:]]
    assert model.next_state(less).keys() == model.next_state(whole).keys() == set()


def test_what_comes_before_is_computed_as_in_a_prediction() -> None:
    """Convolution, normalisation, ReLU and pooling in one pass; not together with what learns."""
    model = head_learns()
    resting = passes._resting(model.graph)
    assert resting == {0, 1, 2, 3, 5}
    assert [stage.places for stage in fuse(model.graph, resting=resting)] == [(0, 1, 2, 3), (4,), (5,), (6, 7), (8,)]
    model.layers[0].trainable = True
    assert passes._resting(model.graph) == set()
    whole, less = (gradients(model, only, np.random.default_rng(0)) for only in (False, True))
    assert len(less.gradients) == 6
    assert all(np.array_equal(whole.gradients[address], less.gradients[address]) for address in whole.gradients)


class Doubled(ReLU):
    """Of somebody's own: what it does in training is not known, so it is asked."""

    def forward(self, x: Any, context: Context = Context(), **more: Any) -> Any:  # noqa: B008
        y, cache = super().forward(x, context, **more)
        return (2 * y if context.training else y), cache


@pytest.mark.parametrize("how", ["class", "method"])
def test_layers_of_ones_own_are_asked_in_training(how: str, rng: np.random.Generator) -> None:
    own = Doubled() if how == "class" else ReLU()
    model = Sequential([Conv2D(4, 3), own, Flatten(), Dense(3)], input_shape=SIZE, seed=0)
    if how == "method":
        own.forward = Doubled.forward.__get__(Doubled())  # type: ignore[method-assign]
    for layer in model.layers[:3]:
        layer.trainable = False
    x = rng.standard_normal((2, *SIZE), np.float32)
    for weights_only in (False, True):
        y, _ = model.forward(x, Context(training=True, weights_only=weights_only))
        hidden = 2 * np.maximum(model.layers[0](x), 0)
        np.testing.assert_array_equal(y, model.layers[3](hidden.reshape(2, -1)))


def test_an_input_can_be_asked_for_its_gradient_unless_said_otherwise(rng: np.random.Generator) -> None:
    """Saliency of a frozen network: the pass that does not say ``weights_only`` keeps everything."""
    model = head_learns()
    y, caches = model.forward(rng.standard_normal((2, *SIZE), np.float32), Context(training=True))
    dx, _ = model.backward(np.ones_like(y), caches, input_gradient=True)
    assert isinstance(dx, np.ndarray)
    assert np.abs(dx).max() > 0


class Counting(Layer):
    """Of somebody's own: it remembers nothing of a pass, and counts the steps."""

    def output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def state_specs(self, input_shape: Any) -> Any:
        return {"steps": Weight((1,), Zeros())}

    def forward(self, x: Any, context: Context = Context()) -> Any:  # noqa: B008
        return x, None

    def backward(self, dy: Any, cache: Any, *, input_gradient: bool = True) -> Any:
        return dy, {}

    def next_state(self, cache: Any) -> Any:
        return {"steps": self.state["steps"] + 1}


@pytest.mark.parametrize("where", [0, 3])
def test_the_state_of_a_layer_without_a_cache_moves(where: int, rng: np.random.Generator) -> None:
    layers = [Conv2D(4, 3), ReLU(), Flatten(), Dense(3)]
    model = Sequential([*layers[:where], Counting(), *layers[where:]], input_shape=SIZE, seed=0)
    for layer in layers[:3]:
        layer.trainable = False
    assert [float(array[0]) for array in gradients(model, True, rng).next_state.values()] == [1.0]
