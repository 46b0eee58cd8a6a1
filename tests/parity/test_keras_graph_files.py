"""Networks that branch, in Keras's files: any that Keras or minicnn has goes to the other side and back unchanged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import load_model
from minicnn.errors import LoadError, OptionError
from minicnn.io.keras_graph import keras_order
from minicnn.io.keras_places import laid_beside
from minicnn.layers import Activation, Add, Concatenate, Conv2D, Dense, Flatten, Input, Multiply, ReLU, Sigmoid
from minicnn.model import Model
from minicnn.sequential import Sequential

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.backend import load_keras
from reference_keras.twins import keras_twin
from reference_keras.weights import keras_variables
from tests.architectures import graphs, pictures
from tests.parity.test_keras_files import FORMATS, assert_alike, few, keras_layer, picture_layers

ENDINGS = pytest.mark.parametrize("ending", FORMATS)


@st.composite
def keras_graphs(draw: st.DrawFn) -> Any:
    """A network drawn in Keras: activations inside layers, layers with two lives, ways that part and meet."""
    keras = load_keras()
    keras.backend.clear_session()
    dtype = draw(st.sampled_from(["float32", "float64"]))
    values = [keras.Input((6, 5, 2), dtype=dtype)]
    layers: list[Any] = []
    for _ in range(draw(st.integers(2, 7))):
        value = draw(st.sampled_from(values))
        like = [other for other in values if other.shape == value.shape]
        beside = [other for other in values if other.shape[:3] == value.shape[:3]]
        fitting = [layer for layer in layers if layer.input.shape == value.shape]
        what = draw(st.sampled_from(["layer", "layer", "again", "Add", "Multiply", "Concatenate"]))
        if what in ("Add", "Multiply"):
            values.append(getattr(keras.layers, what)(dtype=dtype)([value, draw(st.sampled_from(like))]))
        elif what == "Concatenate":
            values.append(keras.layers.Concatenate(dtype=dtype)([value, draw(st.sampled_from(beside))]))
        elif what == "again" and fitting:
            values.append(draw(st.sampled_from(fitting))(value))
        else:
            layers.append(keras_layer(*draw(picture_layers()), dtype))
            values.append(layers[-1](value))
    read = {id(source) for value in values for source in _sources(value)}
    ends = [keras.layers.GlobalMaxPooling2D(dtype=dtype)(value) for value in values if id(value) not in read]
    y = keras.layers.Dense(3, dtype=dtype)(keras.layers.Concatenate(dtype=dtype)(ends) if len(ends) > 1 else ends[0])
    outputs = [y, values[-1]] if draw(st.booleans()) else y
    model = keras.Model(values[0], outputs, name="net")
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    model.set_weights([array + rng.uniform(0.05, 0.2, array.shape).astype(dtype) for array in model.get_weights()])
    return model


def _sources(value: Any) -> list[Any]:
    layer, node, _ = value._keras_history
    return list(layer._inbound_nodes[node].input_tensors)


def same_weights(ours: Model, theirs: Any) -> None:
    there = {address: np.asarray(variable) for address, variable in keras_variables(theirs).items()}
    assert ours.weights.keys() == there.keys()
    for address, array in ours.weights.items():
        np.testing.assert_array_equal(array, there[address])


@ENDINGS
def test_any_network_of_minicnn_goes_to_keras_and_back(ending: str, tmp_path: Path) -> None:
    @few
    @given(graphs(), st.sampled_from(["float32", "float64"]))
    def check(model: Model, dtype: str) -> None:
        model = model.astype(dtype)
        if ending == ".h5" and any(len(getattr(layer, "axes", (-1,))) > 1 for layer in model.layers):
            with pytest.raises(OptionError, match="one axis"):  # see test_several_axes
                model.save(tmp_path / "a.h5")
            return
        model.save(tmp_path / f"ours{ending}")
        theirs = load_keras().models.load_model(tmp_path / f"ours{ending}")
        same_weights(model, theirs)
        assert_alike(model, theirs, pictures(model, 64).astype(dtype))
        theirs.save(tmp_path / f"theirs{ending}")
        back = load_model(tmp_path / f"theirs{ending}")
        same_weights(back, theirs)
        np.testing.assert_array_equal(back(pictures(model)), model(pictures(model)))

    check()


@ENDINGS
def test_any_network_of_keras_comes_to_minicnn_and_goes_back(ending: str, tmp_path: Path) -> None:
    @few
    @given(keras_graphs())
    def check(theirs: Any) -> None:
        theirs.save(tmp_path / f"theirs{ending}")
        ours = load_model(tmp_path / f"theirs{ending}")
        same_weights(ours, theirs)
        x = pictures(ours, 64).astype(ours.dtype)
        assert_alike(ours, theirs, x)
        ours.save(tmp_path / f"ours{ending}")
        back = load_keras().models.load_model(tmp_path / f"ours{ending}")
        same_weights(ours, back)
        assert_alike(ours, back, x)

    check()


def test_several_axes(tmp_path: Path) -> None:
    """Keras forgets them in .h5 files, its own too: minicnn reads such files and does not write them."""
    keras = load_keras()
    theirs = keras.Sequential(
        [keras.Input((4, 3, 2)), keras.layers.LayerNormalization((1, 2, 3), scale=False, center=False)]
    )
    theirs.save(tmp_path / "a.h5")
    x = np.random.default_rng(0).standard_normal((5, 4, 3, 2), np.float32)
    wrong = keras.models.load_model(tmp_path / "a.h5")
    assert np.abs(np.asarray(wrong(x)) - np.asarray(theirs(x))).max() > 0.1
    ours = load_model(tmp_path / "a.h5")
    assert_alike(ours, theirs, x)
    with pytest.raises(OptionError, match=r"one axis.*Save as \.keras"):
        ours.save(tmp_path / "b.h5")
    ours.save(tmp_path / "b.keras")
    assert_alike(ours, keras.models.load_model(tmp_path / "b.keras"), x)


@given(graphs())
def test_layers_stand_in_keras_s_order(model: Model) -> None:
    """Whose position says which weights in a file are whose."""
    twin = keras_twin(model)
    theirs = [layer.name for layer in twin.layers if type(layer).__name__ != "InputLayer"]
    assert [layer.name for layer in keras_order(model.graph)] == theirs


@ENDINGS
def test_a_value_on_the_way_can_be_an_output(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Layers in a row are a Sequential only if nothing but the end comes out."""
    keras = load_keras()
    x = keras.Input((5,))
    y = keras.layers.Dense(4, activation="relu")(x)
    z = keras.layers.Dense(3)(y)
    batch = rng.standard_normal((2, 5), np.float32)
    for outputs, count in (([y, z], 2), (z, 1), ([x, z], 2)):
        theirs = keras.Model(x, outputs)
        theirs.save(tmp_path / f"a{ending}")
        ours = load_model(tmp_path / f"a{ending}")
        assert isinstance(ours, Sequential) == (count == 1)
        assert_alike(ours, theirs, batch)


def test_what_calls_say_beside_tensors(tmp_path: Path) -> None:
    """A call's other arguments and Keras's functions would be lost without a word; sums and products are layers."""
    keras = load_keras()
    x = keras.Input((4, 4, 2))
    conv = keras.layers.Conv2D(2, 1)(x)
    dropped = keras.layers.Dropout(0.5)
    refused: dict[str, tuple[str, Any]] = {
        "called with.*training": ("both", dropped(conv, training=True)),
        "called on what other layers give": ("both", conv + 1.0),
        "only sums and products": (".keras", keras.ops.concatenate([x, conv], axis=1)),
    }
    for reason, (where, y) in refused.items():
        keras.Model(x, y).save(tmp_path / "a.keras")
        with pytest.raises(LoadError, match=rf"a\.keras'.*{reason}"):
            load_model(tmp_path / "a.keras")
        if where == "both":
            keras.Model(x, y).save(tmp_path / "a.h5")
            with pytest.raises(LoadError, match=rf"a\.h5'.*{reason}"):
                load_model(tmp_path / "a.h5")
    batch = np.random.default_rng(0).standard_normal((3, 4, 4, 2), np.float32)
    for y in (conv + x, conv * x, dropped(conv, training=False)):
        for ending in FORMATS:
            theirs = keras.Model(x, y)
            theirs.save(tmp_path / f"b{ending}")
            assert_alike(load_model(tmp_path / f"b{ending}"), theirs, batch)


@pytest.mark.parametrize("ending", [*FORMATS, ".weights.h5"])
def test_weights_go_into_a_network_that_branches(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Two dense layers of one shape in two ways: only Keras's order tells them apart."""

    def drawn(flat: Callable[[], Any], dense: Callable[..., Any], add: Callable[[], Any], x: Any) -> tuple[Any, Any]:
        a, b = dense(3, name="first")(flat()(x)), dense(3, name="second")(flat()(x))
        b = dense(3, name="third")(b)
        return x, add()([a, b])

    keras = load_keras()
    layers = keras.layers
    theirs = keras.Model(*drawn(layers.Flatten, layers.Dense, layers.Add, keras.Input((3, 2, 1))))
    theirs.set_weights([rng.standard_normal(array.shape) for array in theirs.get_weights()])
    (theirs.save_weights if ending == ".weights.h5" else theirs.save)(tmp_path / f"a{ending}")
    ours = Model(*drawn(Flatten, Dense, Add, Input((3, 2, 1))))
    ours.load_weights(tmp_path / f"a{ending}")
    same_weights(ours, theirs)
    ours.save(tmp_path / "back.weights.h5")
    fresh = keras.models.clone_model(theirs)
    fresh.load_weights(tmp_path / "back.weights.h5")
    same_weights(ours, fresh)


def test_names_of_added_activations_are_free(tmp_path: Path) -> None:
    keras = load_keras()
    x = keras.Input((5,))
    y = keras.layers.Dense(4, activation="relu", name="a")(x)
    theirs = keras.Model(x, keras.layers.Dense(3, name="a_relu")(y))
    theirs.save(tmp_path / "a.keras")
    ours = load_model(tmp_path / "a.keras")
    assert [layer.name for layer in ours.layers] == ["a", "a_relu_1", "a_relu"]
    assert_alike(ours, theirs, np.ones((2, 5), np.float32))


def gate(*names: str | None) -> Any:
    """Two dense layers of one shape beside each other, one with an activation inside: in Keras as far from the output
    as the other; here, where the activation is a layer, further."""
    keras = load_keras()
    x = keras.Input((8,))
    value = keras.layers.Dense(8, name=names[0])(x)
    theirs = keras.Model(x, keras.layers.Multiply()([value, keras.layers.Dense(8, "sigmoid", name=names[1])(x)]))
    return with_random_weights(theirs)


def with_random_weights(theirs: Any) -> Any:
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.standard_normal(array.shape) for array in theirs.get_weights()])
    return theirs


WEIGHTS = pytest.mark.parametrize("ending", [*FORMATS, ".weights.h5"])


def save(theirs: Any, path: Path) -> Path:
    (theirs.save_weights if path.name.endswith(".weights.h5") else theirs.save)(path)
    return path


@WEIGHTS
def test_names_tell_layers_apart_that_orders_do_not(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    theirs = gate("value", "gate")
    ours = load_model(save(theirs, tmp_path / "a.keras"))
    ours.set_weights({address: np.zeros_like(array) for address, array in ours.weights.items()})
    ours.load_weights(save(theirs, tmp_path / f"b{ending}"))
    assert_alike(ours, theirs, rng.standard_normal((64, 8), np.float32))


@WEIGHTS
@pytest.mark.parametrize("names", [("one", "two"), (None, None), (None, "two")])
def test_other_names(names: Any, ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """A file that describes its network says who is meant; one of weights alone does not, where two orders fit."""
    theirs = gate("value", "gate")
    other = load_model(save(gate(*names), tmp_path / "c.keras"))
    other.set_weights({address: np.zeros_like(array) for address, array in other.weights.items()})
    file = save(theirs, tmp_path / f"b{ending}")
    if ending == ".weights.h5":
        with pytest.raises(LoadError, match=r"two orders of its layers fit: '.*/kernel' may lie in two places"):
            other.load_weights(file)
        assert not any(array.any() for array in other.weights.values())
        return
    other.load_weights(file)
    assert_alike(other, theirs, rng.standard_normal((64, 8), np.float32))


@WEIGHTS
@pytest.mark.parametrize("units", [8, 5])
def test_names_that_a_library_makes_say_nothing(
    units: int, ending: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Keras counts layers when they are made, the outer one first here; minicnn when a network is."""
    keras = load_keras()
    keras.backend.clear_session()
    dense, x = keras.layers.Dense, keras.Input((8,))
    theirs = with_random_weights(keras.Model(x, dense(8)(dense(units)(x))))
    z = Input((8,))
    ours = Model(z, Dense(8)(Dense(units)(z)))
    assert {layer.name for layer in ours.layers} == {layer.name for layer in theirs.layers[1:]}
    ours.load_weights(save(theirs, tmp_path / f"a{ending}"))
    assert_alike(ours, theirs, rng.standard_normal((64, 8), np.float32))


@WEIGHTS
def test_what_save_wrote_goes_back(ending: str, tmp_path: Path) -> None:
    """Names that a library makes, two orders that fit, and a layer that files of Keras's are read without: an
    activation that does nothing."""
    x = Input((8,))
    for ways in (
        [Dense(8)(x), Sigmoid()(Dense(8)(x))],
        [Dense(8)(x), Activation("linear")(Dense(8)(x))],
        [Activation("linear")(Dense(8)(x)), Sigmoid()(Dense(8)(x)), Dense(8)(x)],
    ):
        model = Model(x, Concatenate()(ways), seed=0)
        model.save(tmp_path / f"a{ending}")
        before = {address: array.copy() for address, array in model.weights.items()}
        model.set_weights({address: np.zeros_like(array) for address, array in model.weights.items()})
        model.load_weights(tmp_path / f"a{ending}")
        for address, array in model.weights.items():
            np.testing.assert_array_equal(array, before[address])


@ENDINGS
@pytest.mark.parametrize("ends", [False, True])
def test_the_same_network_with_its_ways_in_another_order(
    ends: bool, ending: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Which way is which is told by what stands on it, not by the order in which a sum or the outputs list them."""
    keras = load_keras()
    layers, x, z = keras.layers, keras.Input((8,)), Input((8,))
    gate, value = layers.Activation("sigmoid")(layers.Dense(8)(x)), layers.Dense(8)(x)
    theirs = with_random_weights(keras.Model(x, [gate, value] if ends else layers.Multiply()([gate, value])))
    drawn = [Dense(8)(z), Sigmoid()(Dense(8)(z))]
    ours = Model(z, drawn if ends else Multiply()(drawn))
    ours.load_weights(save(theirs, tmp_path / f"a{ending}"))
    batch = rng.standard_normal((64, 8), np.float32)
    found = ours.predict(batch)[::-1] if ends else [ours.predict(batch)]
    there = theirs(batch) if ends else [theirs(batch)]
    for one, other in zip(found, there, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_names_that_end_in_a_class_are_given(tmp_path: Path, rng: np.random.Generator) -> None:
    keras = load_keras()
    layers, x, z = keras.layers, keras.Input((8,)), Input((8,))
    ways = [layers.Dense(8, name="value_dense")(x), layers.Dense(8, "sigmoid", name="gate_dense")(x)]
    theirs = with_random_weights(keras.Model(x, layers.Multiply()(ways)))
    ours = Model(z, Multiply()([Dense(8, name="value_dense")(z), Sigmoid()(Dense(8, name="gate_dense")(z))]))
    ours.load_weights(save(theirs, tmp_path / "a.weights.h5"))
    assert_alike(ours, theirs, rng.standard_normal((64, 8), np.float32))


def test_networks_that_are_not_alike_are_not_taken_for_each_other() -> None:
    """Two layers in a row and two beside each other: the same layers, the same shapes."""
    x = Input((8,))
    row = Model(x, Dense(8)(Dense(8)(x)))
    beside = Model(x, Add()([Dense(8)(x), Dense(8)(x)]))
    shared = Dense(8)
    twice = Model(x, Add()([shared(x), shared(x)]))
    once = Model(x, Dense(8)(x))
    y = Input((8,))
    two = Model([x, y], [x, y])
    curved = Model(x, ReLU()(Dense(8)(x)))
    handed_on = Model(x, [x, Dense(8)(x)])
    for one, other in itertools.permutations([row, beside, twice, once, two, curved, handed_on], 2):
        assert laid_beside(one.graph, other.graph, {Dense}) == {}
    for model in (row, beside, twice, once):
        pairs = laid_beside(model.graph, model.graph, {Dense})
        assert all(one is other for one, other in pairs.items())
        assert {layer for layer in model.layers if type(layer) is Dense} <= pairs.keys()


@ENDINGS
def test_activations_inside_and_behind_in_one_network(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Neither way to count them all alike is Keras's; the file's description is laid beside the network."""
    keras = load_keras()
    layers, x = keras.layers, keras.Input((6, 5, 2))
    inside = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    theirs = with_random_weights(
        keras.Model(x, layers.Add()([inside, layers.ReLU()(layers.Conv2D(2, 3, padding="same")(x))]))
    )
    z = Input((6, 5, 2))
    ways = [ReLU()(Conv2D(2, 3, padding="same")(z)) for _ in range(2)]
    ours = Model(z, Add()(ways))
    ours.load_weights(save(theirs, tmp_path / f"a{ending}"))
    kernels = [ours.weights[f"{layer.name}/kernel"] for layer in ours.layers if isinstance(layer, Conv2D)]
    assert len(kernels) == 2
    there = [layer for layer in theirs.layers if isinstance(layer, layers.Conv2D)]
    assert any(np.array_equal(kernels[0], layer.kernel) for layer in there)
    first = next(layer for layer in there if layer.activation is keras.activations.relu)
    np.testing.assert_array_equal(kernels[0], first.kernel)


@pytest.mark.parametrize("use_bias", [True, False])
@WEIGHTS
def test_shapes_tell_which_order_is_meant(
    ending: str, use_bias: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A shortcut beside a convolution with its activation inside, under names of Keras's own making."""
    keras = load_keras()
    layers = keras.layers
    x = keras.Input((6, 5, 2))
    inside = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    behind = layers.ReLU()(layers.Conv2D(2, 3, padding="same")(x))
    for long in (inside, behind):
        theirs = keras.Model(x, layers.Add()([layers.Conv2D(2, 1, use_bias=use_bias)(x), long]))
        z = Input((6, 5, 2))
        ours = Model(z, Add()([Conv2D(2, 1, use_bias=use_bias)(z), ReLU()(Conv2D(2, 3, padding="same")(z))]))
        ours.load_weights(save(theirs, tmp_path / f"a{ending}"))
        assert_alike(ours, theirs, rng.standard_normal((64, 6, 5, 2), np.float32))


@ENDINGS
def test_sums_of_different_ranks_are_another_thing_than_the_layer(ending: str, tmp_path: Path) -> None:
    """The function goes by the last axes, as NumPy does; the layer puts a sample's vector beside each of its pixels."""
    keras = load_keras()
    x, z = keras.Input((8, 8, 4)), keras.Input((4,))
    keras.Model([x, z], x + z).save(tmp_path / f"a{ending}")
    with pytest.raises(LoadError, match="arrays with different numbers of axes"):
        load_model(tmp_path / f"a{ending}")
    theirs = keras.Model([x, z], keras.layers.Add()([x, z]))
    theirs.save(tmp_path / f"b{ending}")
    ours = load_model(tmp_path / f"b{ending}")
    batch = [np.random.default_rng(0).standard_normal((8, *value.shape[1:]), np.float32) for value in (x, z)]
    np.testing.assert_array_equal(ours.predict(batch), theirs(batch))


@ENDINGS
def test_layers_called_by_keyword_and_inputs_that_lead_nowhere(ending: str, tmp_path: Path) -> None:
    keras = load_keras()
    x, z = keras.Input((4,)), keras.Input((4,))
    theirs = keras.Model([x, z], keras.layers.Add()(inputs=[keras.layers.Dense(4)(inputs=x), z]))
    theirs.save(tmp_path / f"a{ending}")
    ours = load_model(tmp_path / f"a{ending}")
    batch = [np.random.default_rng(seed).standard_normal((64, 4), np.float32) for seed in (0, 1)]
    np.testing.assert_allclose(ours.predict(batch), theirs(batch), rtol=1e-5, atol=1e-6)
    keras.Model([x, z], keras.layers.Dense(2)(x)).save(tmp_path / f"b{ending}")
    with pytest.raises(LoadError, match=r"input_layer.* leads to no output"):
        load_model(tmp_path / f"b{ending}")
