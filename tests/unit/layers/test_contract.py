"""What every layer promises, for every row of the table of cases."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import INFERENCE, LAYERS, Concatenate, Context, Conv2D, Input, Layer, Reshape, Softmax
from minicnn.layers.windowed import OfWindow
from minicnn.model import Model
from minicnn.saving import load_model
from minicnn.sequential import Sequential
from tests.cases import CASES, Case

TRAINING = Context(training=True, seed=3, step=5)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def contexts(layer: Layer) -> list[Context]:
    return [INFERENCE, TRAINING] if layer.acts_differently_in_training else [INFERENCE]


def arrays_in(value: Any) -> list[np.ndarray]:
    """Every array inside a cache, however nested."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    return [array for part in value for array in arrays_in(part)] if isinstance(value, (tuple, list)) else []


def like(x: Any, change: Callable[[np.ndarray], Any]) -> Any:
    """``change`` of an array, or of each in a list."""
    return [change(part) for part in x] if isinstance(x, list) else change(x)


def shapes_and_dtypes(value: Any) -> list[Any]:
    return [(array.shape, array.dtype) for array in arrays_in(value)]


def test_every_public_layer_has_a_row() -> None:
    assert {type(case.layer()).__name__ for case in CASES} == set(LAYERS)


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


@every_case
def test_the_attributes_named_like_the_arguments_make_the_layer_again(case: Case) -> None:
    layer = case.layer()
    again = type(layer)(**{name: getattr(layer, name) for name in inspect.signature(type(layer)).parameters})
    assert again.config() == layer.config()


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes_are_as_promised(case: Case, dtype: type) -> None:
    layer, x = case.built(dtype), case.x(dtype)
    for context in contexts(layer):
        y, cache = layer.forward(x, context)
        assert y.shape == (case.batch, *layer.output_shape(case.shape))
        assert y.dtype == dtype
        assert y.flags.c_contiguous
        dx, gradients = layer.backward(np.random.default_rng(2).standard_normal(y.shape).astype(dtype), cache)
        assert dx is not None
        assert shapes_and_dtypes(dx) == shapes_and_dtypes(x)
        assert gradients.keys() == layer.params.keys()
        for key, gradient in gradients.items():
            assert gradient.shape == layer.params[key].shape
            assert gradient.dtype == dtype
        moved = layer.next_state(cache)
        assert moved.keys() == (layer.state.keys() if context.training else set())
        assert all(array.dtype == dtype and array.shape == layer.state[key].shape for key, array in moved.items())


@every_case
def test_multiplications_are_counted_without_weights(case: Case) -> None:
    new, built = case.layer(), case.built()
    kernels = [array for name, array in built.params.items() if name.endswith("kernel")]
    assert new.multiplications(case.shape) == built.multiplications(case.shape) >= sum(k.size for k in kernels)
    assert new.params == {}


@every_case
def test_both_passes_are_pure_and_repeatable(case: Case) -> None:
    layer, x = case.built(), case.x()
    for context in contexts(layer):
        weights, x_before = copy.deepcopy((layer.params, layer.state)), copy.deepcopy(x)
        y, cache = layer.forward(x, context)
        dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
        kept, dy_before, y_before = copy.deepcopy(arrays_in(cache)), dy.copy(), y.copy()
        first = layer.backward(dy, cache)
        layer.forward(case.x(seed=9), context)  # another use in between must not matter
        second = layer.backward(dy, cache)
        again, _ = layer.forward(x, context)

        def identical(one: Any, other: Any) -> None:
            for a, b in zip(arrays_in(one), arrays_in(other), strict=True):
                np.testing.assert_array_equal(a, b, strict=True)

        identical((x, y, dy), (x_before, y_before, dy_before))
        identical((layer.params, layer.state), weights)
        identical(cache, kept)
        identical(second, first)
        identical((again,), (y,))


@every_case
def test_training_differs_from_inference_only_where_the_layer_says_so(case: Case) -> None:
    layer, x = case.built(), case.x()
    np.testing.assert_array_equal(layer(x), layer.forward(x, INFERENCE)[0])
    if layer.acts_differently_in_training:
        differs = getattr(layer, "rate", 1) > 0
        assert (layer.forward(x, TRAINING)[0] != layer(x)).any() == differs
    else:
        np.testing.assert_array_equal(layer.forward(x, TRAINING)[0], layer(x))


@every_case
def test_what_lies_scattered_in_memory_counts_as_well(case: Case) -> None:
    layer, x = case.built(), case.x()
    scattered = like(x, lambda part: np.asfortranarray(np.repeat(part, 2, axis=0))[::2])
    for context in contexts(layer):
        y, cache = layer.forward(x, context)
        y_scattered, cache_scattered = layer.forward(scattered, context)
        np.testing.assert_allclose(y_scattered, y, rtol=1e-5, atol=1e-6)
        assert y_scattered.flags.c_contiguous or y_scattered is scattered
        dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
        dx, _ = layer.backward(dy, cache)
        dx_scattered, _ = layer.backward(np.asfortranarray(dy), cache_scattered)
        for one, other in zip(arrays_in((dx_scattered,)), arrays_in((dx,)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@every_case
def test_config_makes_the_same_layer_again(case: Case) -> None:
    layer, x = case.built(), case.x()
    layer.name, layer.trainable = "somebody", False
    twin = type(layer)(**layer.config())
    assert twin.config() == layer.config()
    assert (twin.name, twin.trainable) == ("somebody", False)
    twin.build(case.shape, np.random.default_rng(4))
    assert {key: array.shape for key, array in twin.params.items()} == {
        key: array.shape for key, array in layer.params.items()
    }
    twin.params, twin.state = layer.params, layer.state
    np.testing.assert_array_equal(twin(x), layer(x))


@every_case
def test_frozen_layers_give_no_parameter_gradients(case: Case) -> None:
    layer, x = case.built(), case.x()
    layer.trainable = False
    for context in contexts(layer):
        y, cache = layer.forward(x, context)
        dx, gradients = layer.backward(np.ones_like(y), cache)
        assert dx is not None
        assert gradients == {}
        assert layer.next_state(cache) == {}


@every_case
def test_the_input_gradient_can_be_left_out(case: Case) -> None:
    layer, x = case.built(), case.x()
    for context in contexts(layer):
        y, cache = layer.forward(x, context)
        dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
        _, expected = layer.backward(dy, cache)
        dx, gradients = layer.backward(dy, cache, input_gradient=False)
        assert dx is None
        assert gradients.keys() == expected.keys()
        for key, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, expected[key])


@every_case
def test_errors_name_the_layer(case: Case) -> None:
    layer = case.built()
    layer.name = "the_culprit"
    y, cache = layer.forward(case.x())
    if cache is None:  # Dropout in inference looks at nothing
        return
    with pytest.raises(ShapeError, match=r"'the_culprit'.*Expected.*Received"):
        layer.backward(np.zeros((*y.shape, 1), y.dtype), cache)
    with pytest.raises(ShapeError, match=r"'the_culprit'.*Expected.*Received"):
        layer.backward(np.zeros((len(y) + 1, *y.shape[1:]), y.dtype), cache)
    with pytest.raises(ShapeError, match=r"'the_culprit'.*Expected.*Received"):
        layer(like(case.x(), lambda part: part[:0]))


@every_case
def test_a_cache_holds_no_more_than_it_must(case: Case) -> None:
    """No more bytes than one of input and output, and the weights."""
    layer, x = case.built(), case.x()
    for context in contexts(layer):
        y, cache = layer.forward(x, context)
        weights = sum(array.nbytes for array in (*layer.params.values(), *layer.state.values()))
        inputs = arrays_in((x,))
        assert sum(array.nbytes for array in arrays_in(cache)) <= max(
            sum(array.nbytes for array in inputs), y.nbytes
        ) + max(weights, 64 * inputs[0].shape[-1])


@pytest.mark.parametrize("name", ["kernel_size", "strides", "padding", "dilation_rate"])
def test_a_window_is_not_changed_part_by_part(name: str) -> None:
    layer = Conv2D(4, 3, name="conv1")
    before = layer.config()
    with pytest.raises(
        AttributeError, match=rf"{name} when a Conv2D is made\. Received: 'conv1' that exists\..*'{name}': 2"
    ):
        setattr(layer, name, 2)
    assert layer.config() == before
    assert isinstance(getattr(Conv2D, name), OfWindow)


@pytest.mark.parametrize("ending", [".npz", ".keras", ".safetensors"])
def test_numpys_integers_are_options_like_others(ending: str, tmp_path: Path) -> None:
    rows = [Softmax(axis=np.int64(-1)), Reshape((np.int64(4), -1)), Reshape(np.array([4, 2]))]
    model = Sequential(rows, input_shape=(2, 4))
    model.save(tmp_path / f"a{ending}")
    assert load_model(tmp_path / f"a{ending}").output_shape == (4, 2)
    x = [Input((2, 4)), Input((2, 4))]
    both = Model(x, Concatenate(axis=np.int32(1))(x))
    both.save(tmp_path / f"b{ending}")
    assert load_model(tmp_path / f"b{ending}").output_shape == (4, 4)


@pytest.mark.parametrize(
    "make",
    [lambda: Softmax(axis=1.0), lambda: Concatenate(axis="1"), lambda: Reshape((-1.0, 2)), lambda: Reshape((0,))],
)
def test_what_is_no_integer_is_refused_when_a_layer_is_made(make: Callable[[], Layer]) -> None:
    with pytest.raises(OptionError, match="as an integer"):
        make()
