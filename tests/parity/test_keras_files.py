"""Keras's files: what Keras wrote, minicnn reads and computes alike, and the other way round, bitwise the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from minicnn import load_model
from minicnn.errors import LoadError
from minicnn.models import face_cnn
from minicnn.sequential import Sequential
from minicnn.shapes import Array

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

import h5py

from reference_keras.backend import load_keras
from reference_keras.tolerance import U, network_limit, rms

FORMATS = (".keras", ".h5")
ACTIVATIONS = st.sampled_from([None, "relu", "tanh", "sigmoid", "elu", "leaky_relu", "linear", "softmax"])
few = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],  # a failing network is small enough as it is, and each costs a second
)


@st.composite
def picture_layers(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A layer that takes pictures of any size and leaves a picture: its class and its options, as Keras has them."""
    padded = {"padding": "same"}
    window = {"kernel_size": draw(st.integers(1, 3)), "activation": draw(ACTIVATIONS), "use_bias": draw(st.booleans())}
    pool = {"pool_size": draw(st.integers(1, 3)), "strides": draw(st.integers(1, 2)), **padded}
    return draw(
        st.sampled_from(
            [
                (
                    "Conv2D",
                    {"filters": draw(st.integers(1, 6)), "strides": draw(st.integers(1, 2)), **window, **padded},
                ),
                ("Conv2D", {"filters": 4, "dilation_rate": 2, "kernel_initializer": "he_uniform", **window, **padded}),
                ("DepthwiseConv2D", {"depth_multiplier": draw(st.integers(1, 2)), **window, **padded}),
                ("SeparableConv2D", {"filters": 3, **window, **padded}),
                ("Conv2DTranspose", {"filters": 3, **window, **padded}),
                ("UpSampling2D", {"size": (2, 1)}),
                ("Permute", {"dims": (2, 1, 3)}),
                ("Reshape", {"target_shape": (-1, 1, 1)}),
                ("LayerNormalization", {"axis": -1, "center": draw(st.booleans())}),
                ("MaxPooling2D", pool),
                ("AveragePooling2D", pool),
                ("ZeroPadding2D", {"padding": draw(st.sampled_from([1, (1, 2), ((0, 1), (2, 0))]))}),
                ("BatchNormalization", {"scale": draw(st.booleans()), "center": draw(st.booleans()), "epsilon": 0.01}),
                ("ReLU", {}),
                ("ReLU", {"negative_slope": 0.1}),
                ("LeakyReLU", {}),
                ("ELU", {"alpha": 0.5}),
                ("Activation", {"activation": draw(ACTIVATIONS.filter(bool))}),
                ("Softmax", {"axis": -1}),
                ("Dropout", {"rate": 0.3}),
                ("UnitNormalization", {"axis": -1}),
            ]
        )
    )


@st.composite
def networks(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Layers from a picture to some scores."""
    layers = draw(st.lists(picture_layers(), min_size=1, max_size=5))
    flat = draw(st.sampled_from(["Flatten", "GlobalMaxPooling2D", "GlobalAveragePooling2D"]))
    hidden = ("Dense", {"units": 7, "activation": draw(ACTIVATIONS), "trainable": draw(st.booleans())})
    return [*layers, (flat, {}), hidden, ("Dense", {"units": 3})]  # ends in scores: see the rule


def keras_layer(kind: str, options: dict[str, Any], dtype: str) -> Any:
    return getattr(load_keras().layers, kind)(dtype=dtype, **options)


def keras_network(rows: list[tuple[str, dict[str, Any]]], functional: bool, seed: int, dtype: str = "float32") -> Any:
    """The network in Keras, with weights as after training: no zeros, no ones, no two alike."""
    keras = load_keras()
    layers = [keras_layer(kind, options, dtype) for kind, options in rows]
    x = keras.Input((9, 8, 2), dtype=dtype)
    if functional:
        y = x
        for layer in layers:
            y = layer(y)
        model = keras.Model(x, y, name="net")
    else:
        model = keras.Sequential([x, *layers], name="net")
    rng = np.random.default_rng(seed)
    model.set_weights([array + rng.uniform(0.05, 0.2, array.shape).astype(dtype) for array in model.get_weights()])
    return model


def assert_alike(ours: Sequential, theirs: Any, x: Array) -> None:
    """The rule for whole networks, on their scores: not further from a float64 computation than 1.5 times Keras.

    In float64, not further from Keras than one rounding to float32: it keeps constants such as epsilon in float32.
    """
    several = [model.predict(data) for model, data in ((ours.astype("float64"), x.astype(np.float64)), (ours, x))]
    sides = [several[0], several[1], theirs(x, training=False)]
    for referee, found, there in zip(*sides, strict=True) if isinstance(sides[0], list) else [sides]:
        if x.dtype == np.float64:
            assert rms(found - np.asarray(there)) <= U * rms(referee)
        else:
            limit = network_limit(rms(np.asarray(there) - referee), rms(referee), large_tiles=False)
            assert rms(found - referee) <= limit


@pytest.mark.parametrize("ending", FORMATS)
@few
@given(networks(), st.booleans(), st.sampled_from(["float32", "float64"]), st.integers(0, 99))
def test_any_network_travels_both_ways(
    ending: str, tmp_path: Path, rows: list[tuple[str, dict[str, Any]]], functional: bool, dtype: str, seed: int
) -> None:
    keras = load_keras()
    keras.backend.clear_session()
    theirs = keras_network(rows, functional, seed, dtype)
    theirs.save(tmp_path / f"theirs{ending}")
    ours = load_model(tmp_path / f"theirs{ending}")
    assert isinstance(ours, Sequential)
    for own, other in zip(ours.weights.values(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    x = np.random.default_rng(seed).standard_normal((64, 9, 8, 2)).astype(dtype)
    assert_alike(ours, theirs, x)
    ours.save(tmp_path / f"ours{ending}")
    back = keras.models.load_model(tmp_path / f"ours{ending}")
    for own, other in zip(ours.weights.values(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    assert_alike(ours, back, x)


@pytest.mark.parametrize("ending", [*FORMATS, ".weights.h5"])
def test_weights_go_into_a_network_of_the_same_layers(ending: str, tmp_path: Path) -> None:
    keras = load_keras()
    rows: list[tuple[str, dict[str, Any]]] = [
        ("Conv2D", {"filters": 3, "kernel_size": 3, "activation": "relu"}),
        ("Conv2D", {"filters": 2, "kernel_size": 3}),
        ("BatchNormalization", {}),
        ("Flatten", {}),
        ("Dense", {"units": 4}),
    ]
    theirs = keras_network(rows, functional=False, seed=1)
    theirs.compile("adam", "mse")
    theirs.train_on_batch(np.ones((2, 9, 8, 2)), np.ones((2, 4)))  # so that the file holds an optimiser's numbers too
    (theirs.save_weights if ending == ".weights.h5" else theirs.save)(tmp_path / f"a{ending}")
    ours = load_model_of(theirs, tmp_path)
    other = ours.from_config(ours.config())
    other.build((9, 8, 2))
    other.load_weights(tmp_path / f"a{ending}")
    for address, array in ours.weights.items():
        np.testing.assert_array_equal(other.weights[address], array)
    other.save(tmp_path / "back.weights.h5")
    fresh = keras.models.clone_model(theirs)
    fresh.load_weights(tmp_path / "back.weights.h5")
    for here, there in zip(fresh.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


def load_model_of(theirs: Any, folder: Path) -> Any:
    theirs.save(folder / "whole.keras")
    return load_model(folder / "whole.keras")


def test_a_network_of_the_zoo_goes_to_keras(tmp_path: Path) -> None:
    model = face_cnn((64, 48, 1), 5, softmax=False, seed=2)
    x = np.random.default_rng(0).standard_normal((8, 64, 48, 1), np.float32)
    for ending in FORMATS:
        model.save(tmp_path / f"a{ending}")
        theirs = load_keras().models.load_model(tmp_path / f"a{ending}")
        assert [layer.name for layer in theirs.layers] == [layer.name for layer in model.layers]
        assert_alike(model, theirs, x)


def test_a_keras_archive_that_was_packed_again(tmp_path: Path) -> None:
    """Some tools recompress zip archives."""
    face_cnn((64, 48, 1), 5).save(tmp_path / "a.keras")
    with (
        zipfile.ZipFile(tmp_path / "a.keras") as old,
        zipfile.ZipFile(tmp_path / "b.keras", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    first, second = load_model(tmp_path / "a.keras"), load_model(tmp_path / "b.keras")
    for address, array in first.weights.items():
        np.testing.assert_array_equal(second.weights[address], array)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_a_file_of_keras_2(chunked: bool, split: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    """The dialect of Keras 2: batch_input_shape, alpha, axis in a list, names with :0, attributes in several parts."""
    conv = {"name": "c/1", "filters": 2, "kernel_size": [3, 3], "padding": "same", "activation": "linear"}
    layers = [
        {"class_name": "Conv2D", "config": {**conv, "batch_input_shape": [None, 5, 4, 1], "dtype": "float32"}},
        {"class_name": "LeakyReLU", "config": {"name": "leak", "alpha": 0.1}},
        {"class_name": "BatchNormalization", "config": {"name": "bn", "axis": [3], "momentum": 0.9, "epsilon": 0.01}},
        {"class_name": "Flatten", "config": {"name": "flat", "data_format": "channels_last"}},
        {"class_name": "Dense", "config": {"name": "out", "units": 3, "activation": "softmax"}},
    ]
    weights = {
        "c/1": {"kernel:0": (3, 3, 1, 2), "bias:0": (2,)},
        "bn": {"gamma:0": (2,), "beta:0": (2,), "moving_mean:0": (2,), "moving_variance:0": (2,)},
        "out": {"kernel:0": (40, 3), "bias:0": (3,)},
    }
    arrays = {}
    with h5py.File(tmp_path / "old.h5", "w") as root:
        root.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers}).encode()
        root.attrs["keras_version"] = b"2.2.4"
        group = root.create_group("model_weights")
        names = [layer["config"]["name"].encode() for layer in layers]  # type: ignore[index]
        parts = [names[:2], names[2:]] if split else [names]
        for i, part in enumerate(parts):
            group.attrs[f"layer_names{i}" if split else "layer_names"] = part
        for layer in names:
            own = weights.get(layer.decode(), {})
            inner = group.create_group(layer.decode())
            inner.attrs["weight_names"] = np.array([f"{layer.decode()}/{key}".encode() for key in own], "S40")
            for key, shape in own.items():
                array = arrays[f"{layer.decode().replace('/', '_')}/{key[:-2]}"] = rng.uniform(0.5, 1, shape).astype(
                    "f4"
                )
                options = {"chunks": shape, "compression": "gzip"} if chunked else {}
                inner.create_dataset(f"{layer.decode()}/{key}", data=array, **options)
    model = load_model(tmp_path / "old.h5")
    assert [layer.name for layer in model.layers] == ["c_1", "leak", "bn", "flat", "out", "out_softmax"]
    assert model.weights.keys() == arrays.keys()
    for address, array in arrays.items():
        np.testing.assert_array_equal(model.weights[address], array)
    assert model.layers[1].config()["negative_slope"] == 0.1


def test_what_minicnn_does_not_compute_is_refused_by_name(tmp_path: Path) -> None:
    keras = load_keras()
    layers = keras.layers
    refused = {
        "max_value": layers.ReLU(max_value=5.0),
        "channels_first": layers.MaxPooling2D(data_format="channels_first"),
        "log_softmax": layers.Activation("log_softmax"),
        "noise_shape": layers.Dropout(0.5, noise_shape=(None, 1, 1, 2)),
        "Lambda.* holds a program": layers.Lambda(lambda x: x),
        "GaussianNoise": layers.GaussianNoise(0.1),
        "mixed_float16": layers.Conv2D(2, 3, dtype="mixed_float16"),
    }
    for reason, layer in refused.items():
        for ending in FORMATS:
            keras.Sequential([keras.Input((9, 8, 2)), layer]).save(tmp_path / f"a{ending}")
            with pytest.raises(LoadError, match=rf"a\{ending}.*{reason}"):
                load_model(tmp_path / f"a{ending}")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_relu_that_ends_at_six_is_relu6(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    keras = load_keras()
    theirs = keras.Sequential([keras.Input((7,)), keras.layers.ReLU(max_value=6.0, name="six")])
    theirs.save(tmp_path / f"a{ending}")
    ours, x = load_model(tmp_path / f"a{ending}"), rng.uniform(-9, 9, (5, 7)).astype(np.float32)
    assert ours.layers[0].config() == {"name": "six", "activation": "relu6"}
    np.testing.assert_array_equal(ours(x), theirs.predict(x, verbose=0))


@pytest.mark.parametrize("ending", FORMATS)
def test_penalties_and_constraints_are_left_behind_with_a_word(ending: str, tmp_path: Path) -> None:
    keras = load_keras()
    layer = keras.layers.Conv2D(2, 3, kernel_regularizer="l2", bias_constraint="non_neg", name="c")
    keras.Sequential([keras.Input((9, 8, 2)), layer]).save(tmp_path / f"a{ending}")
    with pytest.warns(UserWarning, match="'c' is loaded without its") as told:
        load_model(tmp_path / f"a{ending}")
    words = {str(warning.message).split()[5].strip(",") for warning in told}  # which Python shows once
    assert words == {"bias_constraint", "kernel_regularizer"}


def branching(inputs: int) -> Any:
    """Ways that part and meet, every layer that merges, and with two inputs also two outputs."""
    keras = load_keras()
    layers = keras.layers
    x = keras.Input((9, 8, 4))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = layers.SeparableConv2D(4, 3, padding="same")(a)
    c = layers.Concatenate()([layers.Add()([x, b]), a])
    c = layers.Conv2DTranspose(3, 2, strides=2)(layers.LayerNormalization()(c))
    c = layers.UpSampling2D()(layers.Multiply()([c, layers.Activation("sigmoid")(c)]))
    y = layers.Dense(3)(layers.Flatten()(layers.Reshape((-1, 3))(layers.Permute((2, 1, 3))(c))))
    if inputs == 1:
        return keras.Model(x, y, name="net")
    z = keras.Input((5,), name="second")
    return keras.Model([x, z], [layers.Concatenate()([y, layers.Dense(2)(z)]), y], name="net")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("inputs", [1, 2])
def test_networks_that_branch_are_read(inputs: int, ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    theirs = branching(inputs)
    theirs.set_weights([w + rng.uniform(0.05, 0.2, w.shape).astype(np.float32) for w in theirs.get_weights()])
    theirs.save(tmp_path / f"a{ending}")
    ours = load_model(tmp_path / f"a{ending}")
    x = [rng.standard_normal((16, 9, 8, 4), np.float32), rng.standard_normal((16, 5), np.float32)][:inputs]
    referee = ours.astype("float64").predict(
        [part.astype(np.float64) for part in x] if inputs > 1 else x[0].astype("f8")
    )
    found, there = ours.predict(x if inputs > 1 else x[0]), theirs(x if inputs > 1 else x[0], training=False)
    outputs = zip(referee, found, there, strict=True) if inputs > 1 else [(referee, found, there)]
    for exact, own, other in outputs:
        limit = network_limit(rms(np.asarray(other) - exact), rms(exact), large_tiles=False)
        assert rms(own - exact) <= limit
    ours.save(tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors")
    assert again.weights.keys() == ours.weights.keys()
    for address, array in ours.weights.items():
        np.testing.assert_array_equal(again.weights[address], array)


def test_inputs_of_no_fixed_size_are_refused(tmp_path: Path) -> None:
    keras = load_keras()
    keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(2, 3)]).save(tmp_path / "a.keras")
    with pytest.raises(LoadError, match="fixed input shape"):
        load_model(tmp_path / "a.keras")
