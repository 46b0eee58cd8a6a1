"""The harness must accept what is right and catch what is wrong: layers with one mistake, alone and in a network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, StateError
from minicnn.graph import Graph, Node
from minicnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    MaxPooling2D,
    Params,
    ReLU,
    Softmax,
)
from minicnn.layers.base import Layer
from minicnn.sequential import Sequential
from minicnn.shapes import Array

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.parity import compare_layer, compare_layers
from reference_keras.reports import LayerReport
from reference_keras.tolerance import AGREE_FLOAT64, U


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def names(report: LayerReport) -> list[str]:
    return [array.name for array in report.arrays]


def wrong(report: LayerReport) -> set[str]:
    return {array.name for array in report.arrays if not array.right}


# -- a single layer ----------------------------------------------------------------------------------------------------


def test_a_layer_is_compared_in_every_array_it_has() -> None:
    report = compare_layer(Conv2D(4, 3, name="conv1"), normal(2, 7, 6, 3))
    assert names(report) == ["y", "dx", "dkernel", "dbias"]
    assert report.ok, list(report.failures())
    assert (report.name, report.kind, report.parameters) == ("conv1", "Conv2D", 4 * (3 * 3 * 3 + 1))
    assert (report.input_shape, report.output_shape) == ((7, 6, 3), (5, 4, 4))
    assert [array.shape for array in report.arrays] == [(2, 5, 4, 4), (2, 7, 6, 3), (3, 3, 3, 4), (4,)]


def test_forward_alone_is_quicker_and_says_less() -> None:
    assert names(compare_layer(Dense(3), normal(2, 5), backward=False)) == ["y"]


def test_a_frozen_layer_has_no_parameter_gradients() -> None:
    report = compare_layer(Dense(3, trainable=False), normal(2, 5))
    assert names(report) == ["y", "dx"]
    assert report.ok


def test_batch_statistics_and_what_becomes_of_the_moving_ones() -> None:
    report = compare_layer(BatchNormalization(), normal(6, 5), training=True)
    assert names(report) == ["y", "dx", "dgamma", "dbeta", "moving_mean", "moving_variance"]
    assert report.ok, list(report.failures())


def test_a_new_layer_is_compared_with_no_parameter_at_zero_or_one() -> None:
    """With its zero bias and unit scale a forgotten parameter would go unnoticed."""
    layer = BatchNormalization()
    compare_layer(layer, normal(6, 5))
    for array in (*layer.params.values(), *layer.state.values()):
        assert not np.isin(array, [0, 1]).any()


def test_a_built_layer_keeps_its_weights() -> None:
    layer = Dense(3)
    layer.build((5,), np.random.default_rng(0))
    before = {name: array.copy() for name, array in layer.params.items()}
    compare_layer(layer, normal(2, 5))
    assert all(np.array_equal(layer.params[name], array) for name, array in before.items())
    assert not layer.params["bias"].any()


def test_the_upstream_gradient_is_random_and_repeats_with_its_seed() -> None:
    one, same, other = (compare_layer(Dense(3), normal(2, 5), seed=seed).to_dict() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_the_slope_that_tensorflow_keeps_in_float32_is_known() -> None:
    report = compare_layer(LeakyReLU(0.3), normal(2, 50))
    assert report.ok
    assert AGREE_FLOAT64 < max(array.float64 for array in report.arrays) <= U


# -- layers with a mistake ---------------------------------------------------------------------------------------------


class ForgetsBias(Dense):
    def forward(self, x: Array, *context: Any) -> tuple[Array, Any]:
        _, cache = super().forward(x, *context)
        return x @ self.params["kernel"], cache


class TurnsGradient(Dense):
    def backward(self, dy: Array, cache: Any, **options: Any) -> tuple[Array | None, Params]:
        dx, gradients = super().backward(dy, cache, **options)
        return dx[:, ::-1], gradients  # type: ignore[index]


class MissesLastRow(Conv2D):
    def backward(self, dy: Array, cache: Any, **options: Any) -> tuple[Array | None, Params]:
        cut = dy.copy()
        cut[:, -1] = 0
        return super().backward(dy, cache, **options)[0], super().backward(cut, cache, **options)[1]


class OtherEpsilon(BatchNormalization):
    def __init__(self, **options: Any) -> None:
        super().__init__(epsilon=1.001e-3, **options)

    def config(self) -> dict[str, Any]:
        return super().config() | {"epsilon": 1e-3}


class UnbiasedVariance(BatchNormalization):
    def next_state(self, cache: Any) -> Params:
        state, count = super().next_state(cache), 6
        old = self.momentum * self.state["moving_variance"]
        return state | {"moving_variance": old + (state["moving_variance"] - old) * count / (count - 1)}


class Coarse(Dense):
    """Right, but rounded to 12 bits, and only in float32."""

    def forward(self, x: Array, *context: Any) -> tuple[Array, Any]:
        y, cache = super().forward(x, *context)
        return (y.astype(np.float16).astype(y.dtype) if y.dtype == np.float32 else y), cache


# Keras knows these layers under the name of what they claim to be.
for mistaken in (ForgetsBias, TurnsGradient, MissesLastRow, OtherEpsilon, UnbiasedVariance, Coarse):
    mistaken.__name__ = mistaken.__bases__[0].__name__


@pytest.mark.parametrize(
    ("layer", "x", "training", "expected"),
    [
        (ForgetsBias(3), normal(4, 5), False, {"y"}),
        (TurnsGradient(3), normal(4, 5), False, {"dx"}),
        (MissesLastRow(2, 3), normal(1, 7, 6, 2), False, {"dkernel", "dbias"}),
        (OtherEpsilon(), normal(6, 5), True, {"y", "dx", "dgamma"}),
        (UnbiasedVariance(), normal(6, 5), True, {"moving_variance"}),
    ],
    ids=lambda value: type(value).__qualname__ if hasattr(value, "params") else "",
)
def test_one_mistake_is_found_in_exactly_the_arrays_it_spoils(
    layer: Any, x: Array, training: bool, expected: set[str]
) -> None:
    report = compare_layer(layer, x, training=training)
    assert wrong(report) == expected
    assert not report.ok
    assert len([text for text in report.failures() if "wrong" in text]) == len(expected)


def test_poor_rounding_is_found_and_not_called_wrong() -> None:
    report = compare_layer(Coarse(3), normal(4, 5))
    assert wrong(report) == set()
    assert (report.arrays[0].name, report.arrays[0].precise) == ("y", False)
    assert ["imprecise" in text for text in report.failures()] == [True]
    assert report.worst.name == "y"


# -- a network ---------------------------------------------------------------------------------------------------------


def network(**options: Any) -> Sequential:
    layers = [
        Conv2D(6, 3, padding="same", use_bias=False, name="conv1"),
        BatchNormalization(momentum=0.9, name="bn1"),
        ReLU(name="relu1"),
        MaxPooling2D(2, name="pool1"),
        Conv2D(16, 3, name="conv2"),
        Flatten(name="flatten"),
        Dropout(0.0, name="drop"),
        Dense(5, name="fc"),
        Softmax(name="prob"),
    ]
    return Sequential(layers, input_shape=(13, 11, 2), name="tiny", seed=3, **options)


@pytest.mark.parametrize("training", [False, True])
def test_every_layer_of_a_network_is_compared_in_order(training: bool) -> None:
    model, x = network(), normal(4, 13, 11, 2)
    before = {address: array.copy() for address, array in model.weights.items()}
    report = compare_layers(model, x, training=training)
    assert report.ok, report.failures()
    assert [layer.name for layer in report.layers] == [layer.name for layer in model.path]
    assert (report.model, report.batch, report.input_shape) == ("tiny", 4, (13, 11, 2))
    assert report.threads.keys() == {"minicnn", "tensorflow"}
    assert min(report.threads.values()) >= 1
    assert sum(layer.parameters for layer in report.layers) == model.count_params()
    assert 0 < report.network.ours_rms < 1e-6
    assert report.network.decided == report.network.agreeing == 4
    assert all(np.array_equal(array, before[address]) for address, array in model.weights.items())


def test_each_layer_is_fed_with_what_the_layers_before_it_made() -> None:
    model, x = network(), normal(4, 13, 11, 2)
    report = compare_layers(model, x, backward=False)
    assert [layer.input_shape for layer in report.layers] == [layer.input_shape for layer in model.path]
    assert all(names(layer) == ["y"] for layer in report.layers)


def exchange(model: Sequential, place: int, layer: Layer) -> None:
    nodes = list(model.graph.nodes)
    nodes[place], model._layers[place] = Node(layer, (place,)), layer
    model.graph = Graph(model.graph.inputs, tuple(nodes), model.graph.outputs)


def test_a_mistake_in_the_middle_is_blamed_on_its_layer_alone() -> None:
    model = network()
    good = model.path[4]
    bad = MissesLastRow(16, 3, name="conv2")
    bad.params, bad.input_shape = good.params, good.input_shape
    exchange(model, 4, bad)
    report = compare_layers(model, normal(4, 13, 11, 2))
    assert [layer.name for layer in report.layers if not layer.ok] == ["conv2"]
    assert not report.ok
    assert all("'conv2'" in text for text in report.failures())


def test_a_forward_mistake_shows_in_the_whole_network_too() -> None:
    model = network()
    good = model.path[7]
    good.params["bias"][...] = [3, -3, 1, -1, 2]
    bad = ForgetsBias(5, name="fc")
    bad.params, bad.input_shape = good.params, good.input_shape
    exchange(model, 7, bad)
    report = compare_layers(model, normal(4, 13, 11, 2), backward=False)
    assert [layer.name for layer in report.layers if not layer.ok] == ["fc"]


def test_the_whole_is_judged_before_the_final_softmax() -> None:
    model, x = network(), normal(4, 13, 11, 2)
    headless = Sequential(model.path[:-1], input_shape=(13, 11, 2))
    assert compare_layers(model, x, backward=False).network == compare_layers(headless, x, backward=False).network


def test_times_are_measured_when_asked() -> None:
    report = compare_layers(network(), normal(2, 13, 11, 2), timing=True)
    for layer in report.layers:
        assert layer.times is not None
        assert all(seconds > 0 for seconds in vars(layer.times).values())
    forward = compare_layers(network(), normal(2, 13, 11, 2), timing=True, backward=False)
    assert all(layer.times.ours_step is None and layer.times.keras_step is None for layer in forward.layers)
    assert all(layer.times is None for layer in compare_layers(network(), normal(1, 13, 11, 2)).layers)


def test_a_report_is_json_with_its_verdicts() -> None:
    report = json.loads(json.dumps(compare_layers(network(), normal(2, 13, 11, 2)).to_dict()))
    assert report["ok"] is True
    assert report["network"]["ok"] is True
    assert report["layers"][0]["arrays"][0].keys() >= {"name", "ours", "keras", "limit", "float64", "ok"}


# -- what cannot be compared -------------------------------------------------------------------------------------------


def test_dropout_in_training_is_refused() -> None:
    with pytest.raises(OptionError, match=r"rate 0 for 'dropout'.*rate 0\.5.*dropout=0"):
        compare_layer(Dropout(0.5), normal(2, 5), training=True)
    assert compare_layer(Dropout(0.5), normal(2, 5)).ok  # in inference it does nothing on either side


def test_a_layer_that_keras_does_not_have_is_refused() -> None:
    class Mish(ReLU):
        pass

    with pytest.raises(OptionError, match=r"a kind of layer that Keras has too.*Mish"):
        compare_layer(Mish(), normal(2, 5))


def test_inputs_and_models_must_be_float32() -> None:
    x = normal(2, 13, 11, 2)
    with pytest.raises(DtypeError, match=r"float32.*float64"):
        compare_layer(ReLU(), x.astype(np.float64))
    with pytest.raises(DtypeError, match=r"float32.*list"):
        compare_layer(ReLU(), x.tolist())
    with pytest.raises(DtypeError, match=r"float32.*float64"):
        compare_layers(network(dtype="float64"), x)
    with pytest.raises(StateError):
        compare_layers(Sequential([ReLU()]), x)
