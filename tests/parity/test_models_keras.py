"""The models of both sides: one table, the same counts, weights both ways bit for bit, trainings that stay together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, OptionError, ShapeError, StateError
from minicnn.layers import BatchNormalization, Conv2D, Dense, Flatten, ReLU, Sigmoid, Tanh
from minicnn.model import Model
from minicnn.models import (
    build,
    face_cnn,
    face_cnn_table,
    residual_cnn,
    residual_cnn_table,
    vgg_face,
    vgg_face_table,
)
from minicnn.sequential import Sequential
from minicnn.shapes import Array

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

import reference_keras.face_cnn
import reference_keras.residual_cnn
import reference_keras.vgg_face
from reference_keras.backend import load_keras
from reference_keras.parity import compare_layers
from reference_keras.reports import StepDrift, TrainingReport
from reference_keras.training import compare_training
from reference_keras.twins import keras_layer, keras_model, keras_twin
from reference_keras.weights import from_keras, keras_variables, to_keras


def crops(count: int, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, *shape), dtype=np.float32)


def learned(model: Model) -> Model:
    """The model with weights as after training: no zeros, no ones, no two alike."""
    rng = np.random.default_rng(7)
    for array in model.weights.values():
        array += rng.uniform(0.1, 0.3, array.shape)
    return model


# -- the same table ----------------------------------------------------------------------------------------------------

TABLES = [
    face_cnn_table(),
    face_cnn_table((64, 48, 3), 5, softmax=False),
    residual_cnn_table(),
    residual_cnn_table((64, 48, 3), 5, softmax=False),
    vgg_face_table((32, 40, 1), 3),
    vgg_face_table((64, 64, 3), include_top=False),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.name}{table.input_shape}")
def test_both_sides_build_the_same_layers_from_a_table(table: Any) -> None:
    ours, theirs = build(table), keras_model(table)
    layers = [theirs.get_layer(row.name) for row in table.rows]  # Keras sorts branches by their depth
    assert len(theirs.layers) == 1 + len(layers)  # it counts the input as one
    assert [type(layer).__name__ for layer in layers] == [row.kind for row in table.rows]
    assert [layer.output.shape[1:] for layer in layers] == ours.shapes[1:]
    assert theirs.count_params() == ours.count_params()
    assert theirs.name == ours.name
    shapes = {address: tuple(variable.shape) for address, variable in keras_variables(theirs).items()}
    assert shapes == {address: array.shape for address, array in ours.weights.items()}


def test_keras_functions_take_the_options_of_the_tables() -> None:
    model = reference_keras.face_cnn.face_cnn((64, 48, 3), 5, softmax=False, dtype="float64")
    assert (model.input_shape, model.output_shape) == ((None, 64, 48, 3), (None, 5))
    assert {layer.dtype for layer in model.layers} == {"float64"}
    assert reference_keras.residual_cnn.residual_cnn((64, 48, 3), 5).output_shape == (None, 5)
    assert reference_keras.vgg_face.vgg_face((64, 64, 3), include_top=False).output_shape == (None, 2, 2, 512)


@pytest.mark.slow
def test_vgg_face_counts_what_keras_counts() -> None:
    assert reference_keras.vgg_face.vgg_face().count_params() == 145_002_878


# -- twins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [face_cnn, residual_cnn])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_twin_has_the_same_weights_and_gives_the_same_answer(network: Any, dtype: str) -> None:
    model = learned(network((40, 37, 1), 4, dtype=dtype, softmax=False))
    twin = keras_twin(model)
    x = crops(3, 40, 37, 1).astype(dtype)
    np.testing.assert_allclose(model(x), twin(x).numpy(), rtol=1e-4 if dtype == "float32" else 1e-11)
    assert all(
        np.array_equal(variable.numpy(), model.weights[name]) for name, variable in keras_variables(twin).items()
    )


def test_a_twin_can_be_made_in_another_dtype() -> None:
    model = face_cnn((32, 32, 1), 3)
    twin = keras_twin(model, dtype="float64")
    for address, variable in keras_variables(twin).items():
        assert variable.dtype == "float64"
        assert np.array_equal(variable.numpy(), model.weights[address])  # every float32 is a float64


def test_a_shared_layer_stays_shared() -> None:
    shared = Dense(4, name="shared")
    model = Sequential([shared, ReLU(), shared, Tanh(), Sigmoid()], input_shape=(4,))
    twin = keras_twin(model)
    assert twin.count_params() == 20
    np.testing.assert_allclose(model(crops(2, 4)), twin(crops(2, 4)).numpy(), rtol=1e-6)


def test_layers_keep_pictures_channels_last_whatever_keras_prefers() -> None:
    keras = load_keras()
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        assert keras_layer(Conv2D(2, 3)).data_format == keras_layer(Flatten()).data_format == "channels_last"
    finally:
        keras.config.set_image_data_format(before)


def test_a_model_that_is_not_built_has_no_twin() -> None:
    with pytest.raises(StateError, match="built"):
        keras_twin(Sequential([Dense(3)]))


# -- weights both ways -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_travel_both_ways_without_losing_a_bit(dtype: str) -> None:
    table = face_cnn_table((40, 37, 1), 4)
    sender, receiver = (learned(face_cnn((40, 37, 1), 4, seed=seed, dtype=dtype)) for seed in (1, 2))
    between = keras_model(table, dtype=dtype)
    to_keras(sender, between)
    from_keras(between, receiver)
    for address, array in sender.weights.items():
        assert np.array_equal(keras_variables(between)[address].numpy(), array), address
        assert np.array_equal(receiver.weights[address], array), address


def test_an_unfitting_model_is_refused_with_every_reason_and_stays_as_it_was() -> None:
    ours = Sequential([Dense(4, name="a"), Dense(3, name="b"), Dense(2, name="c")], input_shape=(5,))
    theirs = keras_twin(Sequential([Dense(6, name="a"), Dense(3, name="b"), Dense(2, name="d")], input_shape=(5,)))
    before = {address: variable.numpy().copy() for address, variable in keras_variables(theirs).items()}
    kept = {address: array.copy() for address, array in ours.weights.items()}
    for transfer in (lambda: to_keras(ours, theirs), lambda: from_keras(theirs, ours)):
        with pytest.raises(ShapeError) as error:
            transfer()
        for part in (
            "a/kernel is (5, ",
            "(5, 6)",
            "(5, 4)",
            "b/kernel is",
            "c/kernel is",
            "d/bias is",
            "the same table",
        ):
            assert part in str(error.value)
    assert all(np.array_equal(variable.numpy(), before[name]) for name, variable in keras_variables(theirs).items())
    assert all(np.array_equal(array, kept[address]) for address, array in ours.weights.items())


def test_another_dtype_would_round_and_is_refused() -> None:
    ours = Sequential([Dense(2, name="a")], input_shape=(3,))
    theirs = keras_twin(ours, dtype="float64")
    with pytest.raises(DtypeError, match=r"a/kernel: float32 and float64.*astype"):
        to_keras(ours, theirs)
    with pytest.raises(DtypeError, match="a/kernel: float64 and float32"):
        from_keras(theirs, ours)


# -- every layer of the models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_every_layer_of_face_cnn_agrees_with_keras(training: bool) -> None:
    report = compare_layers(face_cnn(dropout=0.0), crops(2, 200, 200, 1), training=training)
    assert report.ok, report.failures()


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_every_layer_of_residual_cnn_agrees_with_keras(training: bool) -> None:
    report = compare_layers(residual_cnn(dropout=0.0), crops(2, 200, 200, 1), training=training)
    assert report.ok, report.failures()
    assert len(report.layers) == len(residual_cnn_table().rows)


def test_every_layer_of_a_small_vgg_face_agrees_with_keras() -> None:
    """All thirteen convolutions, at an odd size that leaves something at pool5: 35 -> 17 -> 8 -> 4 -> 2 -> 1."""
    report = compare_layers(vgg_face((35, 37, 3), include_top=False), crops(1, 35, 37, 3))
    assert [failure for layer in report.layers for failure in layer.failures()] == []
    assert len(report.layers) == 2 * 13 + 5


@pytest.mark.slow
def test_a_larger_vgg_face_agrees_with_keras_as_a_whole_too() -> None:
    report = compare_layers(vgg_face((70, 67, 3), 20), crops(2, 70, 67, 3))
    assert report.ok, report.failures()


# -- training ----------------------------------------------------------------------------------------------------------


def batches(count: int, shape: tuple[int, ...], classes: int, size: int = 4) -> Iterator[tuple[Array, Array]]:
    """The same three batches over and over, so that there is something to learn."""
    rng = np.random.default_rng(11)
    three = [(rng.standard_normal((size, *shape)), rng.integers(classes, size=size)) for _ in range(3)]
    return islice(cycle(three), count)


def tiny() -> Sequential:
    layers = [
        Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv1"),
        BatchNormalization(name="bn1"),
        ReLU(name="relu1"),
        Conv2D(16, 3, name="conv2"),
        Tanh(name="tanh2"),
        Flatten(name="flatten"),
        Dense(5, name="fc"),
    ]
    return Sequential(layers, input_shape=(11, 9, 2), name="tiny")


LOGITS = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}
OPTIMIZERS = [
    {"class_name": "SGD", "config": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}},
    {"class_name": "SGD", "config": {"learning_rate": 0.05, "clipnorm": 0.1, "weight_decay": 0.01}},
    {"class_name": "RMSprop", "config": {"learning_rate": 0.003}},
    # 0.125, because Keras rounds the initial accumulator to float32
    {"class_name": "Adagrad", "config": {"learning_rate": 0.01, "initial_accumulator_value": 0.125}},
    {"class_name": "Adam", "config": {"learning_rate": 0.002}},
    {"class_name": "AdamW", "config": {"learning_rate": 0.002, "weight_decay": 0.02}},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: "-".join(map(str, optimizer["config"])))
def test_fifty_steps_stay_together_to_rounding(optimizer: Any) -> None:
    report = compare_training(tiny(), batches(50, (11, 9, 2), 5), optimizer=optimizer, loss=LOGITS)
    assert len(report.steps) == 50
    assert report.loss_difference < 1e-12
    assert report.drift < 1e-12
    assert report.steps[-1].ours < report.steps[0].ours  # it did learn


@pytest.mark.parametrize("network", [face_cnn, residual_cnn])
def test_fifty_steps_of_a_face_network_stay_together(network: Any) -> None:
    """The promise is 1e-4 in the loss; in float64 there is no reason for more than accumulated rounding."""
    model = network((64, 64, 1), classes=10, softmax=False, dropout=0.0)
    optimizer = {"class_name": "Adam", "config": {"learning_rate": 1e-3}}
    report = compare_training(model, batches(50, (64, 64, 1), 10), optimizer=optimizer, loss=LOGITS)
    assert report.loss_difference < 1e-10
    assert report.steps[-1].ours < report.steps[0].ours


def test_in_float32_trainings_part_slowly() -> None:
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 0.02}}
    report = compare_training(tiny(), batches(20, (11, 9, 2), 5), optimizer=optimizer, loss=LOGITS, dtype="float32")
    assert report.dtype == "float32"
    assert 0 < report.drift < 1e-3
    assert report.loss_difference < 1e-4


def test_a_training_that_differs_is_seen() -> None:
    """Another momentum of the statistics on one side: the losses agree, the moving variance does not."""

    class Slower(BatchNormalization):
        def config(self) -> dict[str, Any]:
            return super().config() | {"momentum": 0.9}

    Slower.__name__ = "BatchNormalization"
    model = Sequential([Dense(4, name="a"), Slower(name="bn"), Dense(5, name="b")], input_shape=(6,))
    report = compare_training(model, batches(3, (6,), 5), loss=LOGITS)
    assert report.drift > 1e-3
    assert {step.address for step in report.steps} <= {"bn/moving_mean", "bn/moving_variance"}


def test_a_comparison_of_trainings_changes_nothing() -> None:
    model = tiny()
    before = {address: array.copy() for address, array in model.weights.items()}
    compare_training(model, batches(2, (11, 9, 2), 5), loss=LOGITS)
    assert all(np.array_equal(array, before[address]) for address, array in model.weights.items())
    assert load_keras().config.floatx() == "float32"


def test_active_dropout_cannot_be_compared() -> None:
    with pytest.raises(OptionError, match=r"rate > 0 in drop6.*dropout=0"):
        compare_training(face_cnn((32, 32, 1), 3), batches(1, (32, 32, 1), 3))


def test_no_batches_are_an_error() -> None:
    with pytest.raises(OptionError, match="at least one batch"):
        compare_training(tiny(), [])


def test_a_training_report_knows_its_worst_step() -> None:
    steps = (StepDrift(1, 2.0, 2.5, 1e-3, 2e-3, "a/kernel"), StepDrift(2, 1.0, 1.25, 1e-2, 1e-3, "b/bias"))
    report = TrainingReport("float64", steps)
    assert (report.loss_difference, report.drift) == (0.5, 1e-2)
    assert report.to_dict()["steps"][1]["address"] == "b/bias"
