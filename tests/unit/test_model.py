"""What people do with a model: weights in and out, compile, evaluate, predict; and every call at the wrong time."""

from __future__ import annotations

import copy
import functools
import io
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import initializers
from minicnn.callbacks import Callback, EarlyStopping
from minicnn.callbacks.base import unfinished
from minicnn.data import Batches
from minicnn.errors import ArgumentError, DtypeError, LabelError, MinicnnError, OptionError, ShapeError, StateError
from minicnn.layers import Activation, BatchNormalization, Dense, Dropout, Input, Layer, ReLU, Sigmoid, Softmax, Weight
from minicnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from minicnn.metrics import Accuracy
from minicnn.ops import jit_cache
from minicnn.optimizers import SGD, Adam
from minicnn.saving import load_model
from minicnn.sequential import Sequential
from minicnn.shapes import Array

LOGITS = SparseCategoricalCrossentropy(from_logits=True)


def classifier(**options: Any) -> Sequential:
    layers = [Dense(5, name="fc1"), BatchNormalization(name="norm"), ReLU(), Dense(3, name="fc2")]
    return Sequential(layers, input_shape=(4,), **options)


def data(rng: np.random.Generator, n: int = 20) -> tuple[Array, Array]:
    return rng.standard_normal((n, 4), np.float32), rng.integers(0, 3, n)


# -- weights -----------------------------------------------------------------------------------------------------------


def test_weights_are_parameters_and_state() -> None:
    model = classifier()
    assert set(model.state) == {"norm/moving_mean", "norm/moving_variance"}
    assert set(model.weights) == set(model.parameters) | set(model.state)
    assert model.parameters["fc1/kernel"] is model.layers[0].params["kernel"]
    assert model.count_params() == sum(array.size for array in model.weights.values()) == 25 + 20 + 18


def test_set_weights_copies_values_into_the_arrays_that_are_there(rng: np.random.Generator) -> None:
    model = classifier()
    kernel = model.parameters["fc1/kernel"]
    new = {key: rng.standard_normal(array.shape) for key, array in model.weights.items()}  # float64: is converted
    model.set_weights(new)
    assert model.parameters["fc1/kernel"] is kernel
    assert all(np.array_equal(model.weights[key], new[key].astype(np.float32)) for key in new)
    new["fc1/kernel"][:] = 7
    assert not (kernel == 7).any()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda w: w.pop("fc2/bias"), "missing fc2/bias"),
        (lambda w: w.update({"fc9/bias": np.zeros(3)}), "unknown fc9/bias"),
        (
            lambda w: w.update({"fc2/bias": np.zeros(4)}),
            "fc2/bias is float64 of shape (4,), needs numbers of shape (3,)",
        ),
        (lambda w: w.update({"fc2/bias": np.array(["a", "b", "c"])}), "fc2/bias is <U1 of shape (3,), needs numbers"),
        (lambda w: w.update({"fc2/bias": None}), "fc2/bias is object of shape (), needs numbers"),
        (lambda w: w.update({"fc2/bias": np.zeros(3, complex)}), "fc2/bias is complex128"),
    ],
)
def test_set_weights_takes_all_or_nothing(spoil: Callable[[dict[str, Any]], object], message: str) -> None:
    model = classifier()
    before = {key: array.copy() for key, array in model.weights.items()}
    weights: dict[str, Any] = {key: array + 1 for key, array in before.items()}
    spoil(weights)
    with pytest.raises(ShapeError, match=re.escape(message)):
        model.set_weights(weights)
    assert all(np.array_equal(model.weights[key], before[key]) for key in before)


def test_set_weights_names_everything_that_is_wrong() -> None:
    with pytest.raises(ShapeError, match=r"missing fc1/bias.*missing norm/gamma.*unknown conv/kernel"):
        classifier().set_weights({"conv/kernel": np.zeros(1)})


# -- prediction and evaluation -----------------------------------------------------------------------------------------


def test_weights_as_a_list_in_order(rng: np.random.Generator) -> None:
    model, other = classifier(), classifier(seed=1)
    listed = model.get_weights()
    assert [array.shape for array in listed] == [array.shape for array in model.weights.values()]
    assert not any(np.shares_memory(array, own) for array, own in zip(listed, model.weights.values(), strict=True))
    other.set_weights(listed)
    assert all(np.array_equal(array, other.weights[address]) for address, array in model.weights.items())
    with pytest.raises(ShapeError, match=r"a list of 8 arrays, for 'sequential'. Received: a list of 7"):
        model.set_weights(listed[1:])
    with pytest.raises((ShapeError, DtypeError), match=r"Expected an array of numbers. Received: list"):
        model.set_weights([[[1, 2], [3]], *listed[1:]])
    with pytest.raises(ShapeError, match=r"a dict by address, or a list .* Received: NoneType"):
        model.set_weights(None)  # type: ignore[arg-type]


def test_a_whole_network_is_frozen_and_freed(rng: np.random.Generator) -> None:
    model, (x, y) = classifier(), data(rng)
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True))
    before = model.get_weights()
    assert model.trainable
    model.trainable = False
    assert not model.trainable
    assert not any(layer.trainable for layer in model.layers)
    with pytest.warns(UserWarning, match="Nothing in 'sequential' learns"):
        model.fit(x, y, verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))
    model.layers[-1].trainable = True  # in Keras the network's own flag would still hold it
    assert model.trainable
    model.fit(x, y, verbose=0)
    moved = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert moved == [name.startswith(model.layers[-1].name) for name in model.weights]
    model.trainable = True
    model.fit(x, y, verbose=0)
    assert not any(map(np.array_equal, before, model.get_weights()))
    for thing in (model, Sequential([])):
        with pytest.raises(OptionError, match="trainable to be True or False"):
            thing.trainable = "no"  # type: ignore[assignment]


def test_a_network_without_parameters_says_why_it_does_not_learn() -> None:
    model = Sequential([ReLU()], input_shape=(4,))
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="Nothing in 'sequential' learns: it has no parameters"):
        model.fit(np.ones((2, 4)), np.ones((2, 4)), verbose=0)


def test_a_call_is_a_prediction(rng: np.random.Generator) -> None:
    model, (x, _) = classifier(), data(rng)
    np.testing.assert_array_equal(model(x, training=False), model(x))
    np.testing.assert_array_equal(model.layers[0](x, training=False), model.layers[0](x))
    for thing in (model, model.layers[0]):
        with pytest.raises(ArgumentError, match=r"a call to predict. Received: training=True. .*forward\(x, Context"):
            thing(x, training=True)


def test_what_is_not_built_has_no_count() -> None:
    for thing in (Sequential([Dense(3)]), Dense(3)):
        with pytest.raises(StateError, match="to be built"):
            thing.count_params()


def test_batch_sizes_of_narrow_integers_do_not_overflow() -> None:
    x = np.zeros((600, 4), np.float32)
    assert len(classifier().predict(x, np.uint8(200))) == 600


def test_what_breaks_off_leaves_nothing_to_be_told(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    class Interrupts(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    model, (x, y) = classifier(), data(rng)
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, callbacks=[Interrupts()])
    assert not jit_cache._to_be_told
    screen = io.StringIO()
    unfinished.append(screen)
    screen.close()
    model.predict(x, verbose=1)  # says its line all the same
    assert not unfinished


def test_a_network_among_layers_is_answered_with_how_it_is_called() -> None:
    with pytest.raises(OptionError, match=r"Received: <Sequential 'sequential': 4 layers, 63 .*called"):
        Sequential([classifier(), Dense(3)])
    assert repr(Sequential([Dense(3)])) == "<Sequential 'sequential': 1 layer, not built>"


@pytest.mark.parametrize(
    ("last", "loss", "doubt"),
    [
        (Softmax, SparseCategoricalCrossentropy(from_logits=True), "expects scores, but 'last' makes probabilities"),
        (Sigmoid, BinaryCrossentropy(from_logits=True), "expects scores"),
        (functools.partial(Activation, "softmax"), CategoricalCrossentropy(from_logits=True), "expects scores"),
        (
            functools.partial(Dense, 3),
            "sparse_categorical_crossentropy",
            "expects probabilities, but 'last' makes scores",
        ),
        (functools.partial(Dense, 3), SparseCategoricalCrossentropy(from_logits=True), None),
        (Softmax, "categorical_crossentropy", None),
        (functools.partial(Activation, "relu"), CategoricalCrossentropy(from_logits=True), None),
        (functools.partial(Dense, 3), "mse", None),
    ],
)
def test_a_loss_that_does_not_go_with_the_last_layer(last: Any, loss: Any, doubt: str | None) -> None:
    model = Sequential([Dense(3), last(name="last")], input_shape=(4,))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.compile("sgd", loss)
    assert len(caught) == (doubt is not None)
    if doubt is not None:
        assert doubt in str(caught[0].message)
        assert caught[0].filename == __file__


@pytest.mark.parametrize("batch_size", [1, 7, 20, 32])
def test_predict_goes_through_all_inputs_in_order(batch_size: int, rng: np.random.Generator) -> None:
    model, (x, _) = classifier(dtype="float64"), data(rng)
    np.testing.assert_allclose(model.predict(x, batch_size), model(x), rtol=1e-13)


def test_evaluate_is_the_mean_over_samples_not_over_batches(rng: np.random.Generator) -> None:
    model, (x, y) = classifier(dtype="float64"), data(rng)
    model.compile("sgd", LOGITS, metrics=["accuracy"])
    expected = float(LOGITS.per_sample(y, model(x)).mean()), float((model(x).argmax(axis=1) == y).mean())
    for batch_size in (20, 7, 1):
        measured = model.evaluate(x, y, batch_size=batch_size)
        assert (measured["loss"], measured["accuracy"]) == pytest.approx(expected, rel=1e-12)


def test_weights_weigh_the_loss_and_not_the_metrics(rng: np.random.Generator) -> None:
    model, (x, y) = classifier(dtype="float64"), data(rng)
    model.compile("sgd", LOGITS, metrics=["accuracy"])
    weight = rng.uniform(0, 2, len(x))
    losses, right = LOGITS.per_sample(y, model(x)), model(x).argmax(axis=1) == y
    measured = model.evaluate(x, y, sample_weight=weight)
    assert measured["loss"] == pytest.approx(float((losses * weight).mean()))
    assert measured["accuracy"] == pytest.approx(right.mean())


def test_evaluation_and_prediction_change_nothing(rng: np.random.Generator) -> None:
    model, (x, y) = classifier(), data(rng)
    model.compile(SGD(0.1), LOGITS, metrics=["accuracy"])
    before = {key: array.copy() for key, array in model.weights.items()}
    model.evaluate(x, y)
    model.predict(x)
    model.test_on_batch(x, y)
    assert all(np.array_equal(model.weights[key], before[key]) for key in before)
    assert model.optimizer.iterations == 0


def test_one_batch_at_a_time(rng: np.random.Generator) -> None:
    """train_on_batch reports what the batch's loss was before its step; test_on_batch what it is in inference."""
    model, (x, y) = Sequential([Dense(3)], input_shape=(4,), dtype="float64"), data(rng)
    model.compile(SGD(0.5), LOGITS, metrics=["accuracy"])
    first = model.test_on_batch(x, y)
    assert model.train_on_batch(x, y) == pytest.approx(first)
    assert model.test_on_batch(x, y)["loss"] < first["loss"]
    weighted = model.test_on_batch(x, y, np.zeros(len(x)))
    assert weighted == {"loss": 0.0, "accuracy": model.test_on_batch(x, y)["accuracy"]}


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_numbers_are_learnt_too(loss: str) -> None:
    """Three numbers of each picture, one target of a hundred wild: only the squared error follows it."""
    x = np.random.default_rng(0).standard_normal((400, 5)).astype(np.float32)
    y = x @ np.arange(15, dtype=np.float32).reshape(5, 3) / 5 + 1
    wild = np.where(np.arange(400)[:, None] % 100, y, y + 300).astype(np.float32)
    model = Sequential([Dense(3)], input_shape=(5,))
    model.compile(Adam(0.05), loss, metrics=["mae"])
    history = model.fit(x, wild, epochs=40, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert (model.evaluate(x, y)["mae"] < 0.2) == (loss != "mse")


# -- compile -----------------------------------------------------------------------------------------------------------


def test_compile_takes_names_and_objects() -> None:
    model, sgd = classifier(), SGD(0.1, momentum=0.9)
    model.compile(sgd, MeanSquaredError())
    assert model.optimizer is sgd
    model.compile("adam", "mean_squared_error", metrics=["accuracy"])
    assert type(model.optimizer).__name__ == "Adam"
    assert type(model.compiled.loss).__name__ == "MeanSquaredError"


@pytest.mark.parametrize(
    "arguments",
    [
        {"optimizer": "adm"},
        {"loss": "mse2"},
        {"metrics": ["nope"]},
        {"metrics": "accuracy"},
        {"loss_weights": [1.0]},
    ],
)
def test_compile_knows_only_what_there_is(arguments: dict[str, Any]) -> None:
    model = classifier()
    with pytest.raises(OptionError, match=r"Expected .* Received: "):
        model.compile(**arguments)
    with pytest.raises(StateError):
        _ = model.compiled


def test_what_stands_third_in_keras_is_not_taken_for_the_metrics() -> None:
    with pytest.raises(TypeError, match=r"arguments of compile \(optimizer, loss, metrics\).*By name alone: metrics\."):
        classifier().compile("adam", "mse", ["accuracy"])  # type: ignore[misc]


@pytest.mark.parametrize(
    "use",
    [
        lambda model, x, y: model.fit(x, y, verbose=0),
        lambda model, x, y: model.fit(Batches(x, y), verbose=0),
        lambda model, x, y: model.evaluate(x, y),
        lambda model, x, y: model.train_on_batch(x, y),
        lambda model, x, y: model.test_on_batch(x, y),
        lambda model, x, y: model.optimizer,
    ],
)
def test_a_model_that_is_not_compiled_says_so(use: Callable[..., object], rng: np.random.Generator) -> None:
    with pytest.raises(StateError, match=r"'sequential' to be compiled.*Call compile\(\) first"):
        use(classifier(), *data(rng))


def test_fitting_an_uncompiled_model_does_not_build_it(rng: np.random.Generator) -> None:
    model = Sequential([Dense(3)])
    for use in (model.fit, model.train_on_batch):
        with pytest.raises(StateError, match="Call compile"):
            use(*data(rng))
    assert model.parameters == {}


def test_measuring_a_model_that_is_not_built_says_so(rng: np.random.Generator) -> None:
    model, (x, y) = Sequential([Dense(3)]), data(rng)
    model.compile("sgd", LOGITS)
    for use in (model.evaluate, model.test_on_batch):
        with pytest.raises(StateError, match=r"call build\(input_shape\)"):
            use(x, y)
    model.train_on_batch(x, y)  # training builds it
    assert model.parameters["dense/kernel"].shape == (4, 3)


# -- bad arguments -----------------------------------------------------------------------------------------------------

BAD_FITS: dict[str, tuple[dict[str, Any], str]] = {
    "no targets": ({"y": None}, "targets y. Received: None."),
    "a generator": (
        {"x": (i for i in range(3)), "y": None},
        "inputs as an array (N, ...), or Batches. Received: generator",
    ),
    "a generator beside targets": (
        {"x": iter([1, 2])},
        "Received: list_iterator. Generators and data sets are not read",
    ),
    "epochs 0": ({"epochs": 0}, "epochs as an integer of at least 1. Received: 0."),
    "epochs text": ({"epochs": "3"}, "epochs as an integer of at least 1. Received: '3'."),
    "initial epoch": ({"initial_epoch": -1}, "initial_epoch as an integer of at least 0. Received: -1."),
    "batch size": ({"batch_size": 0}, "batch_size as an integer of at least 1. Received: 0."),
    "split 1": ({"validation_split": 1.0}, "validation_split as a finite number > 0 and < 1. Received: 1.0."),
    "split as text": ({"validation_split": "0.2"}, "validation_split as a finite number > 0 and < 1. Received: '0.2'."),
    "augment by name": (
        {"augment": "flip"},
        "augment as a function. Received: 'flip'. Augment(...) of minicnn.augmentation",
    ),
    "split -1": ({"validation_split": -0.5}, "validation_split as a finite number > 0 and < 1. Received: -0.5."),
    "two splits": ({"validation_split": 0.5, "validation_data": ([], [])}, "validation_split or validation_data"),
    "one part": ({"validation_data": (np.zeros((2, 4)),)}, "(x, y) or (x, y, sample_weight). Received: 1 parts."),
    "no parts": ({"validation_data": np.zeros((2, 4))}, "(x, y) or (x, y, sample_weight). Received: ndarray."),
    "two weights": ({"sample_weight": np.ones(20), "class_weight": {0: 2.0}}, "sample_weight or class_weight"),
    "fewer targets": ({"y": np.zeros(19, int)}, "one target for each of the 20 inputs. Received: y of shape (19,)."),
    "a class too many": ({"y": np.full(20, 3)}, "3"),
    "a negative class": ({"y": np.full(20, -1)}, "class indices 0 ... 2 for 3 classes. Received: -1 at position 0"),
    "names": ({"y": np.full(20, "cat")}, "targets as numbers"),
    "verbose": ({"verbose": 3}, "verbose"),
    "other width": ({"x": np.zeros((20, 5))}, "inputs (N, 4) with N >= 1 for 'sequential'. Received: shape"),
    "no inputs": ({"x": np.zeros((0, 4)), "y": np.zeros(0, int)}, "at least one input"),
}


@pytest.mark.parametrize("arguments, message", BAD_FITS.values(), ids=BAD_FITS)
def test_fit_refuses(arguments: dict[str, Any], message: str, rng: np.random.Generator) -> None:
    model, (x, y) = classifier(), data(rng)
    model.compile("sgd", LOGITS)
    before = {key: array.copy() for key, array in model.weights.items()}
    with pytest.raises(MinicnnError, match=re.escape(message)):
        model.fit(**{"x": x, "y": y, "verbose": 0} | arguments)
    assert all(np.array_equal(model.weights[key], before[key]) for key in before)


@pytest.mark.parametrize(
    "arguments, names",
    [
        ({"y": np.zeros(20, int)}, "y"),
        ({"validation_split": 0.5}, "validation_split"),
        ({"class_weight": {0: 1.0}, "augment": lambda x, rng: x}, "class_weight, augment"),
    ],
)
def test_batches_come_complete(arguments: dict[str, Any], names: str, rng: np.random.Generator) -> None:
    model, (x, y) = classifier(), data(rng)
    model.compile("sgd", LOGITS)
    with pytest.raises(OptionError, match=rf"Batches alone\. Received: also {names}\. Give them to Batches"):
        model.fit(Batches(x, y), verbose=0, **arguments)


def test_one_callback_needs_no_list(rng: np.random.Generator) -> None:
    """As in Keras."""
    model, (x, y) = classifier(), data(rng)
    model.compile("sgd", LOGITS)
    assert len(model.fit(x, y, epochs=3, verbose=0, callbacks=EarlyStopping("loss", min_delta=100.0)).epoch) == 2


def test_batches_without_targets_cannot_train(rng: np.random.Generator) -> None:
    model, (x, _) = classifier(), data(rng)
    model.compile("sgd", LOGITS)
    with pytest.raises(OptionError, match="batches with targets y"):
        model.fit(Batches(x), verbose=0)


@pytest.mark.parametrize(
    "x, message", [(np.zeros((0, 4)), "at least one input"), (3.0, "Received: shape ()"), (np.zeros((2, 5)), "(N, 4)")]
)
def test_predict_refuses(x: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        classifier().predict(x)


def test_predict_refuses_batches_of_nothing() -> None:
    with pytest.raises(OptionError, match="batch_size as an integer of at least 1"):
        classifier().predict(np.zeros((2, 4)), batch_size=0)


@pytest.mark.parametrize("x", [[[1, 2], [3]], [["a"]], None])
def test_what_is_no_array_of_numbers_is_refused(x: Any) -> None:
    for use in (classifier().predict, classifier()):
        with pytest.raises((ShapeError, DtypeError), match=r"Expected (an array of )?numbers. Received: "):
            use(x)


def test_a_line_for_those_who_want_to_read_one(capsys: pytest.CaptureFixture[str], rng: np.random.Generator) -> None:
    model, (x, y) = classifier(), data(rng)
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    predictions, results = model.predict(x, batch_size=8), model.evaluate(x, y, batch_size=8)
    assert capsys.readouterr().out == ""
    for verbose in (1, 2, "auto"):
        np.testing.assert_array_equal(model.predict(x, batch_size=8, verbose=verbose), predictions)
        assert model.evaluate(x, y, batch_size=8, verbose=verbose) == results
        first, second = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"3/3 - 0s - \d+ms/step", first)
        numbers = " - ".join(f"{name}: {value:.4f}" for name, value in results.items())
        assert re.fullmatch(rf"3/3 - 0s - \d+ms/step - {re.escape(numbers)}", second)
    for use in (lambda: model.predict(x, verbose=3), lambda: model.evaluate(x, y, verbose="no")):
        with pytest.raises(OptionError, match=r"verbose 0, 1, 2 or 'auto'"):
            use()


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda model: model.predict(np.zeros((1, 4)), steps=2), "All batches are taken"),
        (lambda model: model.save("x.npz", overwrite=True), "A file that is there is replaced"),
        (lambda model: model.get_layer(index=0), r"arguments of get_layer \(name\)"),
        (lambda model: model.evaluate(np.zeros((1, 4)), [0], return_dict=True), "always come by name"),
        (lambda model: load_model("x.npz", custom_objects={}), "then call load_weights"),
        (lambda model: Input(batch_shape=(None, 4)), "without the batch"),
    ],
)
def test_keras_arguments_that_are_not_taken_are_answered(call: Any, advice: str) -> None:
    with pytest.raises(ArgumentError, match=advice):
        call(classifier())


def test_summary_prints_a_row_per_layer() -> None:
    lines: list[str] = []
    classifier().summary(lines.append)
    text = "\n".join(lines)
    assert all(name in text for name in ("fc1", "norm", "re_lu", "fc2", "(N, 5)"))
    size = classifier().count_params() * classifier().dtype.itemsize
    assert f"({size / 2**10:.1f} KiB)" in text


# -- what a dict of arrays, a list of layers and an optimiser are ------------------------------------------------------


@pytest.mark.parametrize("which", ["weights", "parameters", "state"])
def test_a_dict_of_arrays_is_not_written_to(which: str) -> None:
    model = classifier()
    arrays: Any = getattr(model, which)
    address, before = next(iter(arrays)), dict(arrays)
    changes: list[Callable[[], Any]] = [
        lambda: arrays.update({address: 1}),
        lambda: arrays.pop(address),
        lambda: arrays.__setitem__(address, np.zeros(3)),
        lambda: arrays.__delitem__(address),
        lambda: arrays.clear(),
        lambda: arrays.setdefault("a", 1),
        lambda: arrays.__ior__({"a": 1}),
    ]
    for change in changes:
        with pytest.raises(OptionError, match=r"\[\.\.\.\] = kernel, or call set_weights\.$"):
            change()
    assert getattr(model, which) == before
    doubled = 2 * arrays[address]
    arrays[address] *= 2
    np.testing.assert_array_equal(getattr(model, which)[address], doubled)
    for copied in (dict(arrays), copy.deepcopy(arrays), copy.copy(arrays), pickle.loads(pickle.dumps(arrays))):
        copied[address] = 1
        assert type(copied) is dict
    assert (arrays | {"a": 1}).keys() == {*arrays, "a"}


def test_the_list_of_layers_is_the_callers_own(rng: np.random.Generator) -> None:
    model, (x, _) = classifier(), data(rng)
    before, config = model(x), model.config()
    model.layers.pop()
    model.layers.append(Dense(2))
    assert len(model.layers) == 4
    assert model.config() == config
    assert model(x).tobytes() == before.tobytes()


def test_an_optimizer_that_trained_one_network_does_not_train_another(rng: np.random.Generator) -> None:
    x, y = data(rng)
    optimizer, model = Adam(), classifier()
    model.compile(optimizer, LOGITS)
    other = classifier()
    other.compile(optimizer, LOGITS)  # no step was made
    model.fit(x, y, verbose=0)
    for use in (other.fit, other.train_on_batch):
        with pytest.raises(OptionError, match="trained another network"):
            use(x, y)
    model.compile(optimizer, LOGITS)
    for _ in range(2):
        with pytest.raises(OptionError, match=r"for 'sequential' alone\..*Make a new one: Adam\(\.\.\.\)\.$"):
            classifier().compile(optimizer, LOGITS)
    model.compile(optimizer, LOGITS, metrics=["accuracy"])  # itself, and one that shares its layers
    longer = Sequential([*model.layers, Dense(3)], input_shape=(4,))
    longer.compile(optimizer, LOGITS)
    longer.fit(x, y, verbose=0)
    del model, longer
    with pytest.raises(OptionError, match="trained another network"):
        classifier().compile(optimizer, LOGITS)


@pytest.mark.parametrize("names", [("accuracy", "accuracy"), ("loss",), ("a", "b", "a")])
def test_numbers_are_reported_under_different_names(names: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match=rf"different names, none of them 'loss'\. Received: '{names[0]}' twice"):
        classifier().compile("sgd", LOGITS, metrics=[Accuracy(name=name) for name in names])


def test_labels_that_cannot_be_are_found_before_the_first_step(rng: np.random.Generator) -> None:
    """With their place in the data, also in those to validate on; nothing was learned then."""
    x, y = data(rng)
    wrong = y.copy()
    wrong[17] = 3
    model = classifier()
    model.compile("sgd", LOGITS)
    before = model.get_weights()
    for given in ({"y": wrong}, {"y": y, "validation_data": (x, wrong)}):
        with pytest.raises(LabelError, match=r"3 at position 17, 1 wrong in all"):
            model.fit(x, batch_size=2, verbose=0, **given)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_pictures_are_measured_as_they_are(rng: np.random.Generator) -> None:
    x, y = data(rng)
    distorted = Batches(x, y, augment=lambda pictures, chance: pictures + 1)
    model = classifier()
    model.compile("sgd", LOGITS)
    model.fit(distorted, verbose=0)
    for use in (lambda: model.evaluate(distorted), lambda: model.fit(x, y, validation_data=distorted, verbose=0)):
        with pytest.raises(OptionError, match=r"Batches without augment to measure on\."):
            use()


# -- calls that are one ------------------------------------------------------------------------------------------------


def test_two_calls_for_an_epoch_are_one_for_two(rng: np.random.Generator) -> None:
    x, y = data(rng, 23)

    def run(*calls: dict[str, int]) -> tuple[list[float], list[float]]:
        model = Sequential([Dense(3), Dropout(0.5)], input_shape=(4,), seed=1)
        model.compile("adam", LOGITS)
        drawn: list[float] = []

        def augment(pictures: Array, chance: np.random.Generator) -> Array:
            drawn.append(float(chance.random()))
            return pictures

        for call in calls:
            model.fit(x, y, batch_size=5, augment=augment, verbose=0, **call)
        return drawn, [float(array.sum()) for array in model.get_weights()]

    at_once = run({"epochs": 3})
    assert len(set(at_once[0])) == 15
    assert at_once == run({}, {}, {}) == run({"epochs": 2}, {"initial_epoch": 2, "epochs": 3})


def test_batches_are_measured_as_they_are(rng: np.random.Generator) -> None:
    x, y = data(rng)
    weight = rng.random(20)
    histories, results = [], []
    for given in ((x, y, weight), Batches(x, y, sample_weight=weight, batch_size=7, shuffle=False)):
        model = classifier(seed=2)
        model.compile("sgd", LOGITS, metrics=["accuracy"])
        histories.append(model.fit(x, y, validation_data=given, batch_size=7, epochs=2, verbose=0).history)
        arguments = (given,) if isinstance(given, Batches) else given[:2]
        more = {} if isinstance(given, Batches) else {"sample_weight": weight, "batch_size": 7}
        results.append(model.evaluate(*arguments, **more))
    assert histories[0] == histories[1]
    assert results[0] == results[1]


@pytest.mark.parametrize("more", [{"batch_size": 32}, {"shuffle": False}, {"y": np.zeros(20, int)}])
def test_what_belongs_to_batches_is_not_given_beside_them(more: dict[str, Any], rng: np.random.Generator) -> None:
    model = classifier()
    model.compile("sgd", LOGITS)
    with pytest.raises(OptionError, match=rf"Batches alone\. Received: also {next(iter(more))}\."):
        model.fit(Batches(*data(rng)), **more)


# -- layers of one's own -----------------------------------------------------------------------------------------------


def own(forward: Any = lambda x: (x, None), backward: Any = lambda dy: (dy, {"g": dy.sum(0)})) -> Sequential:
    class Own(Layer):
        def output_shape(self, input_shape: Any) -> Any:
            return input_shape

        def parameter_specs(self, input_shape: Any) -> dict[str, Weight]:
            return {"g": Weight(input_shape, initializers.get("ones"))}

        def forward(self, x: Any, context: Any = None) -> Any:
            return forward(x)

        def backward(self, dy: Any, cache: Any, *, input_gradient: bool = True) -> Any:
            return backward(dy)

    model = Sequential([Own(name="mine"), Dense(3)], input_shape=(4,))
    model.compile("sgd", LOGITS)
    return model


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (
            {"forward": lambda x: x},
            r"Layer 'mine': Expected \(y, cache\) from Own\.forward\. Received: ndarray\. The",
        ),
        ({"forward": lambda x: (x, None, 1)}, r"\(y, cache\) from Own\.forward\. Received: 3 things"),
        ({"backward": lambda dy: dy}, r"\(dx, gradients\), .* from Own\.backward\. Received: ndarray"),
        ({"backward": lambda dy: (dy, None)}, r"gradients a dict, from Own\.backward\."),
        (
            {"backward": lambda dy: (dy, {})},
            r"gradient of each parameter of 'mine'\. Received: none of \['g'\]",
        ),
    ],
)
def test_layers_of_ones_own_are_told_what_they_forgot(methods: Any, message: str, rng: np.random.Generator) -> None:
    own().fit(*data(rng), verbose=0)
    with pytest.raises((OptionError, ShapeError), match=message):
        own(**methods).fit(*data(rng), verbose=0)
    if "forward" in methods:
        with pytest.raises(OptionError, match=message):
            own(**methods).predict(np.ones((2, 4)))


def test_a_frozen_layer_of_ones_own_needs_no_gradients(rng: np.random.Generator) -> None:
    model = own(backward=lambda dy: (dy, {}))
    model.get_layer("mine").trainable = False
    model.fit(*data(rng), verbose=0)
