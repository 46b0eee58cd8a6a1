"""Layers in a row: names, building, shared and frozen layers, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError, StateError
from minicnn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, Layer, MaxPooling2D, ReLU
from minicnn.layers.base import INFERENCE, Context
from minicnn.sequential import Sequential
from minicnn.shapes import Array


def small(**options: Any) -> Sequential:
    layers = [Conv2D(3, 3, name="conv1"), ReLU(), MaxPooling2D(), Flatten(), Dense(4, name="fc1")]
    return Sequential(layers, input_shape=(8, 7, 2), **options)


# -- names -------------------------------------------------------------------------------------------------------------


def test_default_names_are_numbered_as_in_keras() -> None:
    model = Sequential([Conv2D(1, 1), ReLU(), Conv2D(1, 1), ReLU(), Conv2D(1, 1, name="last"), Conv2D(1, 1)])
    assert [layer.name for layer in model.layers] == ["conv2d", "re_lu", "conv2d_1", "re_lu_1", "last", "conv2d_2"]


def test_a_default_name_makes_way_for_a_chosen_one() -> None:
    model = Sequential([Dense(1, name="dense"), Dense(1, name="dense_1"), Dense(1)])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dense_2"]


def test_chosen_names_must_differ() -> None:
    with pytest.raises(OptionError, match=r"a name for every layer of its own\. Received: 'fc' twice"):
        Sequential([Dense(1, name="fc"), Dense(1, name="fc")])


def test_a_name_once_given_is_kept_in_a_second_model() -> None:
    """A layer taken over from another model: what addressed its weights there still does."""
    base = Sequential([Dense(2), Dense(2)])
    head = Sequential([base.layers[1], Dense(3), Dense(3)])
    assert [layer.name for layer in base.layers] == ["dense", "dense_1"]
    assert [layer.name for layer in head.layers] == ["dense_1", "dense", "dense_2"]
    with pytest.raises(OptionError, match="'dense_1' twice"):
        Sequential([Dense(3), Dense(3), base.layers[1]])


@pytest.mark.parametrize("thing", ["dense", Dense, None, np.zeros(3)])
def test_only_layers_can_be_added(thing: Any) -> None:
    with pytest.raises(OptionError, match=r"Expected a minicnn layer\. Received: "):
        Sequential([thing])


def test_layers_come_in_a_list() -> None:
    with pytest.raises(OptionError, match=r"a list of layers\. Received: Dense"):
        Sequential(Dense(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", None, 3, "a\0b"])
def test_a_network_has_a_name(name: Any) -> None:
    with pytest.raises(OptionError, match="a name for the network"):
        Sequential([Dense(3)], name=name)


# -- building ----------------------------------------------------------------------------------------------------------


def test_weights_follow_from_seed_and_name_alone() -> None:
    one, again = small(seed=3), small(seed=3)
    assert all(np.array_equal(one.weights[key], again.weights[key]) for key in one.weights)
    assert not np.array_equal(one.weights["fc1/kernel"], small(seed=4).weights["fc1/kernel"])
    deeper = Sequential([Conv2D(3, 3, name="conv1"), ReLU(), Conv2D(2, 1, name="new")], input_shape=(8, 7, 2), seed=3)
    assert np.array_equal(deeper.weights["conv1/kernel"], one.weights["conv1/kernel"])


def test_shapes_and_addresses() -> None:
    model = small()
    assert model.output_shape == (4,)
    assert {key: array.shape for key, array in model.parameters.items()} == {
        "conv1/kernel": (3, 3, 2, 3),
        "conv1/bias": (3,),
        "fc1/kernel": (18, 4),
        "fc1/bias": (4,),
    }
    assert model.count_params() == 57 + 76
    assert all(array.dtype == np.float32 for array in model.weights.values())
    assert all(array.dtype == np.float64 for array in small(dtype="float64").weights.values())


def test_a_model_without_input_shape_is_built_later() -> None:
    model = Sequential([Flatten(), Dense(2)], seed=5)
    assert model.parameters == {}
    assert model.build((3, 2, 1)) == (2,)
    assert model.parameters["dense/kernel"].shape == (6, 2)
    assert np.array_equal(
        model.parameters["dense/kernel"],
        Sequential([Flatten(), Dense(2)], input_shape=(3, 2, 1), seed=5).parameters["dense/kernel"],
    )


def test_layers_are_added_to_a_built_model_as_in_keras() -> None:
    """What was built keeps its weights; a layer that does not fit changes nothing."""
    model = Sequential()
    model.add(Input((3, 2, 1)))
    for layer in (Flatten(), Dense(2), ReLU()):
        model.add(layer)
    assert model.output_shape == (2,)
    kernel = model.weights["dense/kernel"]
    before = model(x := np.ones((4, 3, 2, 1)))
    model.add(Dense(5))
    assert list(model.weights) == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
    assert model.weights["dense/kernel"] is kernel
    last = model.get_layer("dense_1").params
    np.testing.assert_allclose(model(x), before @ last["kernel"] + last["bias"], rtol=1e-6)
    config = model.config()
    with pytest.raises(ShapeError, match=r"\(H, W, C\) for layer"):
        model.add(Conv2D(3, 3))
    assert model.config() == config
    built = Dense(3, name="built")
    Sequential([built], input_shape=(7,))
    for layer, error in (
        (built, ShapeError),
        (Sequential([Dense(2, name="d")], input_shape=(5,), dtype="float64").layers[0], DtypeError),
        (Dense(4, name="dense_1"), OptionError),
    ):
        name = layer.name
        with pytest.raises(error):
            model.add(layer)
        assert (model.config(), layer.name, len(model.layers)) == (config, name, 4)
    assert model(x).shape == (4, 5)
    model.add(Dense(2))
    assert model(x).shape == (4, 2)


def test_an_input_stands_in_front_once() -> None:
    model = Sequential([Dense(2)])
    for thing in (Input((3,)), Dense(3)(Input((3,)))):
        with pytest.raises(OptionError, match="layers, and one Input in front of them"):
            model.add(thing)
    assert Sequential([Input((3,)), Dense(2)]).output_shape == (2,)


def test_a_build_that_fails_makes_nothing() -> None:
    """The pooling does not fit into what the convolution leaves; with a larger picture all is well."""
    model = Sequential([Conv2D(2, 3), MaxPooling2D(4), Flatten(), Dense(1)])
    with pytest.raises(ShapeError, match="Layer 'max_pooling2d': Expected an input of at least 4x4"):
        model.build((5, 5, 1))
    assert not any(layer.built for layer in model.layers)
    model.build((6, 6, 1))
    assert model.parameters["conv2d/kernel"].shape == (3, 3, 1, 2)


def test_a_layer_built_before_keeps_its_weights() -> None:
    layer = Dense(2, name="fc")
    layer.build((3,), np.random.default_rng(0), np.float32)
    kernel = layer.params["kernel"]
    model = Sequential([ReLU(), layer], input_shape=(3,))
    assert model.parameters["fc/kernel"] is kernel


def test_a_layer_built_for_something_else_is_refused() -> None:
    layer = Dense(2, name="fc")
    layer.build((3,), np.random.default_rng(0), np.float32)
    with pytest.raises(ShapeError, match=r"inputs \(3,\) for the built layer 'fc'\. Received: \(4,\)"):
        Sequential([layer], input_shape=(4,))
    with pytest.raises(DtypeError, match=r"'fc/kernel' in float64\. Received: float32\. Use dtype='float32'"):
        Sequential([layer], input_shape=(3,), dtype="float64")


@pytest.mark.parametrize("shape", [(0, 8, 2), (8.0, 8, 2), ("8", 8, 2), (-1, 8, 2), (None, 8, 2)])
def test_sizes_that_are_none(shape: Any) -> None:
    message = (
        r"a size in input_shape as an integer of at least 1\..*without the batch axis, and all their sizes are fixed"
    )
    with pytest.raises(OptionError, match=message):
        Sequential([Flatten()], input_shape=shape)


def test_an_input_at_the_head_is_the_input_shape() -> None:
    """As in Keras: Sequential([Input((8, 8, 2)), ...])."""
    drawn = Sequential([Input((4,)), Dense(3), Dense(2)])
    told = Sequential([Dense(3), Dense(2)], input_shape=(4,))
    assert drawn.config() == told.config()
    np.testing.assert_array_equal(drawn(np.ones((1, 4))), told(np.ones((1, 4))))


@pytest.mark.parametrize(
    "layers, options, message",
    [
        ([Dense(3), Input((4,))], {}, r"layers, and one Input in front of them\. Received: <symbolic tensor"),
        ([Input((4,)), Dense(3)], {"input_shape": (4,)}, r"input_shape, or an Input in front\. Received: both"),
    ],
)
def test_an_input_elsewhere_is_refused(layers: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Sequential(layers, **options)


def test_a_shape_is_no_number() -> None:
    with pytest.raises(OptionError, match=r"input_shape as sizes without the batch axis.*Received: 5"):
        Sequential([Dense(3)], input_shape=5)  # type: ignore[arg-type]


def test_an_empty_model_cannot_be_built() -> None:
    with pytest.raises(OptionError, match=r"a model with layers\. Received: an empty Sequential"):
        Sequential(input_shape=(3,))


@pytest.mark.parametrize("options", [{"dtype": "float16"}, {"dtype": int}, {"seed": -1}, {"seed": 1.5}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"Expected .* Received: "):
        Sequential([Flatten()], **options)


# -- passes ------------------------------------------------------------------------------------------------------------


def test_forward_and_backward_are_the_layers_in_turn(rng: np.random.Generator) -> None:
    model = small(dtype="float64")
    x = rng.standard_normal((3, 8, 7, 2))
    y, caches = model.forward(x)
    by_hand, own = x, []
    for layer in model.layers:
        by_hand, cache = layer.forward(by_hand)
        own.append(cache)
    assert np.array_equal(y, by_hand)
    assert np.array_equal(model(x), y)
    assert len(caches) == len(model.layers)
    dy = rng.standard_normal(y.shape)
    dx, gradients = model.backward(dy, caches, input_gradient=True)
    expected: dict[str, Array] = {}
    upstream: Any = dy
    for layer, cache in zip(model.layers[::-1], own[::-1], strict=True):
        upstream, gradient = layer.backward(upstream, cache)
        expected |= {f"{layer.name}/{key}": array for key, array in gradient.items()}
    assert dx is not None
    assert np.array_equal(dx, upstream)
    assert gradients.keys() == expected.keys() == model.parameters.keys()
    assert all(np.array_equal(gradients[key], expected[key]) for key in expected)
    nothing, same = model.backward(dy, caches)
    assert nothing is None
    assert all(np.array_equal(same[key], expected[key]) for key in expected)


def test_inputs_of_any_real_type_are_converted(rng: np.random.Generator) -> None:
    model = small()
    x = rng.integers(0, 256, (2, 8, 7, 2))
    expected = model(x.astype(np.float32))
    for dtype in (np.uint8, np.int64, np.float64):
        assert np.array_equal(model(x.astype(dtype)), expected)
    assert np.array_equal(model(x.tolist()), expected)
    assert model(x > 99).dtype == np.float32


@pytest.mark.parametrize(
    "x, error, message",
    [
        (
            np.zeros((8, 7, 2)),
            ShapeError,
            "inputs (N, 8, 7, 2) with N >= 1 for 'sequential'. Received: shape (8, 7, 2)",
        ),
        (np.zeros((8, 7, 2)), ShapeError, "A single picture needs a batch axis: x[None]."),
        (np.zeros((1, 7, 8, 2)), ShapeError, "Received: shape (1, 7, 8, 2)."),
        (np.zeros((0, 8, 7, 2)), ShapeError, "Received: shape (0, 8, 7, 2)."),
        (np.float32(3), ShapeError, "Received: shape ()."),
        (np.zeros((1, 8, 7, 2), complex), DtypeError, "Expected numbers. Received: dtype complex128."),
        (np.full((1, 8, 7, 2), "a"), DtypeError, "Expected numbers. Received: dtype <U1."),
        (np.full((1, 8, 7, 2), None), DtypeError, "Expected numbers. Received: dtype object."),
    ],
)
def test_inputs_that_do_not_fit(x: Any, error: type[Exception], message: str) -> None:
    model = small()
    with pytest.raises(error, match=re.escape(message)):
        model(x)
    with pytest.raises(error, match=re.escape(message)):
        model.forward(x)


def test_errors_inside_name_the_layer() -> None:
    model = small()
    _, caches = model.forward(np.zeros((1, 8, 7, 2), np.float32))
    with pytest.raises(ShapeError, match="Layer 'fc1': Expected dy of the shape of y"):
        model.backward(np.zeros((1, 5), np.float32), caches)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model(np.zeros((1, 3))),
        lambda model: model.forward(np.zeros((1, 3))),
        lambda model: model.predict(np.zeros((1, 3))),
        lambda model: model.set_weights({}),
        lambda model: model.astype("float64"),
        lambda model: model.summary(),
        lambda model: model.output_shape,
    ],
)
def test_a_model_that_is_not_built_says_so(use: Callable[[Sequential], object]) -> None:
    with pytest.raises(StateError, match=r"'sequential' to be built.*Give input_shape when making it, or call build"):
        use(Sequential([Dense(2)]))


# -- shared layers -----------------------------------------------------------------------------------------------------


def test_a_shared_layer_adds_up_its_gradients(rng: np.random.Generator) -> None:
    """Twice the same layer, against two layers with equal weights: the gradient of the one is the sum of both."""
    shared = Dense(3, name="fc")
    model = Sequential([shared, ReLU(), shared], input_shape=(3,), dtype="float64")
    assert model.layers == [shared, model.path[1]]
    assert set(model.parameters) == {"fc/kernel", "fc/bias"}
    apart = Sequential([Dense(3, name="a"), ReLU(), Dense(3, name="b")], input_shape=(3,), dtype="float64")
    apart.set_weights({f"{name}/{key}": shared.params[key] for name in "ab" for key in ("kernel", "bias")})
    x, dy = rng.standard_normal((2, 5, 3))
    y, caches = model.forward(x)
    y_apart, caches_apart = apart.forward(x)
    assert np.array_equal(y, y_apart)
    dx, gradients = model.backward(dy, caches, input_gradient=True)
    dx_apart, parts = apart.backward(dy, caches_apart, input_gradient=True)
    np.testing.assert_allclose(dx, dx_apart, rtol=1e-13)  # type: ignore[arg-type]
    for key in ("kernel", "bias"):
        np.testing.assert_allclose(gradients[f"fc/{key}"], parts[f"a/{key}"] + parts[f"b/{key}"], rtol=1e-13)


def test_a_shared_layer_with_weights_must_see_one_shape() -> None:
    shared = Dense(2, name="fc")
    with pytest.raises(ShapeError, match=r"inputs \(3,\) for the built layer 'fc'\. Received: \(2,\)"):
        Sequential([shared, shared], input_shape=(3,))


def test_a_shared_layer_without_weights_may_see_several() -> None:
    relu = ReLU()
    model = Sequential([relu, Dense(2), relu], input_shape=(3,))
    assert model(np.ones((1, 3))).shape == (1, 2)


def test_shared_layers_cannot_be_written_down() -> None:
    shared = Dense(3)
    with pytest.raises(OptionError, match=r"each layer once, to write the network down"):
        Sequential([shared, shared], input_shape=(3,)).config()


# -- frozen layers -----------------------------------------------------------------------------------------------------


class Alarm(Layer):
    """Passes everything on; backward counts its calls and whether dx was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.asked: list[bool] = []

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, None]:
        return x, None

    def backward(self, dy: Array, cache: None, *, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        self.asked.append(input_gradient)
        return dy if input_gradient else None, {}


def test_backward_stops_below_the_first_trainable_layer(rng: np.random.Generator) -> None:
    low, middle = Alarm("low"), Alarm("middle")
    frozen, learning = Dense(3, name="frozen", trainable=False), Dense(2, name="learning")
    model = Sequential([low, frozen, middle, learning], input_shape=(3,), dtype="float64")
    x, dy = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    _, caches = model.forward(x)
    dx, gradients = model.backward(dy, caches)
    assert dx is None
    assert set(gradients) == {"learning/kernel", "learning/bias"}
    assert low.asked == middle.asked == []
    dx, gradients = model.backward(dy, caches, input_gradient=True)
    assert set(gradients) == {"learning/kernel", "learning/bias"}
    assert low.asked == middle.asked == [True]
    np.testing.assert_allclose(dx, dy @ learning.params["kernel"].T @ frozen.params["kernel"].T, rtol=1e-13)  # type: ignore[arg-type]


def test_backward_goes_through_a_frozen_layer_to_one_that_learns(rng: np.random.Generator) -> None:
    model = Sequential(
        [Alarm("low"), Dense(3, name="a"), Dense(2, name="b", trainable=False)], input_shape=(3,), dtype="float64"
    )
    x, dy = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    _, caches = model.forward(x)
    _, gradients = model.backward(dy, caches)
    assert set(gradients) == {"a/kernel", "a/bias"}
    np.testing.assert_allclose(gradients["a/kernel"], x.T @ (dy @ model.weights["b/kernel"].T), rtol=1e-13)


def test_a_model_frozen_altogether_has_no_gradients(rng: np.random.Generator) -> None:
    model = small()
    for layer in model.layers:
        layer.trainable = False
    y, caches = model.forward(rng.standard_normal((2, 8, 7, 2)))
    assert model.backward(y, caches) == (None, {})


# -- copies and descriptions -------------------------------------------------------------------------------------------


def test_astype_copies_the_network_in_another_precision(rng: np.random.Generator) -> None:
    model = Sequential([Dense(3), BatchNormalization(), Dropout(0.5)], input_shape=(4,))
    model.compile("adam", "mean_squared_error")
    double = model.astype("float64")
    assert double.dtype == np.float64
    assert double.weights.keys() == model.weights.keys()
    for key, array in double.weights.items():
        assert array.dtype == np.float64
        assert np.array_equal(array, model.weights[key])
        assert not np.shares_memory(array, model.weights[key])
    x = rng.standard_normal((5, 4), np.float32)
    np.testing.assert_allclose(double(x), model(x), rtol=1e-5, atol=1e-6)
    with pytest.raises(StateError, match="to be compiled"):
        _ = double.optimizer
    assert model.optimizer is not None
    with pytest.raises(OptionError, match="float16"):
        model.astype("float16")
    assert not np.shares_memory(model.astype("float32").weights["dense/kernel"], model.weights["dense/kernel"])


def test_config_describes_the_network() -> None:
    model = small(name="little", dtype="float64", seed=9)
    model.layers[0].trainable = False
    twin = Sequential.from_config(model.config())
    assert twin.parameters == {}
    twin.build(model.config()["input_shape"])
    assert twin.config() == model.config()
    assert all(np.array_equal(twin.weights[key], model.weights[key]) for key in model.weights)


def test_a_description_can_only_name_known_layers() -> None:
    config = small().config()
    config["layers"][0]["class_name"] = "Lambda"
    with pytest.raises(OptionError, match=r"layers among .*Conv2D.*Received: 'Lambda'"):
        Sequential.from_config(config)
