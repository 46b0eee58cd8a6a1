"""Networks in files: what comes back is what was saved; a file that lies is refused before arrays are made of it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.errors import LoadError, StateError
from minicnn.io.npz import read_arrays, write_arrays
from minicnn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, ReLU
from minicnn.losses import CategoricalCrossentropy, MeanSquaredError, SparseCategoricalCrossentropy
from minicnn.metrics import Accuracy, BinaryAccuracy, ChosenAccuracy
from minicnn.network import one_or_all
from minicnn.optimizers import SGD, Adam
from minicnn.schedules import CosineDecay
from minicnn.sequential import Sequential
from tests.cases import CASES, Case


def network(dtype: str = "float32") -> Sequential:
    layers = [Conv2D(3, 3), BatchNormalization(), ReLU(), Flatten(), Dropout(0.3), Dense(4)]
    return Sequential(layers, input_shape=(6, 5, 2), dtype=dtype, seed=7, name="small")


def data(rng: np.random.Generator) -> tuple[Any, Any]:
    return rng.standard_normal((12, 6, 5, 2)).astype(np.float32), np.eye(4)[np.arange(12) % 4].astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_layer_comes_back_with_its_options_and_weights(case: Case, tmp_path: Path) -> None:
    model = case.network()
    model.save(tmp_path / "model.npz")
    loaded = type(model).load(tmp_path / "model.npz")
    assert json.dumps(loaded.config()) == json.dumps(model.config())
    assert loaded.weights.keys() == model.weights.keys()
    for address, array in model.weights.items():
        np.testing.assert_array_equal(loaded.weights[address], array)
    x = one_or_all(case.x()) if isinstance(case.x(), list) else case.x()
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: SGD(CosineDecay(0.1, 20), momentum=0.9, nesterov=True),
        lambda: Adam(0.01, amsgrad=True, weight_decay=0.01),
    ],
)
def test_training_goes_on_where_it_stopped(
    optimizer: Callable[[], Any], dtype: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    x, y = data(rng)
    model = network(dtype)
    model.compile(optimizer(), CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), metrics=["accuracy"])
    model.fit(x, y, epochs=2, batch_size=5, verbose=0)
    model.save(tmp_path / "model.npz")
    loaded = Sequential.load(tmp_path / "model.npz")
    assert loaded.optimizer.iterations == model.optimizer.iterations > 0
    expected = model.fit(x, y, epochs=4, initial_epoch=2, batch_size=5, verbose=0)
    actual = loaded.fit(x, y, epochs=4, initial_epoch=2, batch_size=5, verbose=0)
    assert actual.history == expected.history
    for address, array in model.weights.items():
        np.testing.assert_array_equal(loaded.weights[address], array)


def test_a_network_that_was_not_compiled_comes_back_uncompiled(tmp_path: Path) -> None:
    network().save(tmp_path / "model.npz")
    with pytest.raises(StateError, match="compile"):
        _ = Sequential.load(tmp_path / "model.npz").optimizer


def test_numpy_reads_the_file_without_us(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        np.testing.assert_array_equal(file["conv2d/kernel"], model.weights["conv2d/kernel"])


@pytest.mark.parametrize(
    ("given", "kind", "in_files"),
    [
        ("accuracy", ChosenAccuracy, {"class_name": "Accuracy", "config": {}}),
        ("acc", ChosenAccuracy, {"class_name": "Accuracy", "config": {"name": "acc"}}),
        (Accuracy(), Accuracy, {"class_name": "exact_accuracy", "config": {}}),
    ],
)
def test_both_kinds_of_accuracy_come_back(given: Any, kind: type, in_files: dict[str, Any], tmp_path: Path) -> None:
    """Files have called the one that chooses "Accuracy" since before there was Keras's class of that name."""
    model = network()
    model.compile("sgd", "mse", metrics=[given])
    model.save(tmp_path / "model.npz")
    _, metadata = read_arrays(tmp_path / "model.npz")
    assert metadata["training"]["metrics"] == [in_files]
    (metric,) = Sequential.load(tmp_path / "model.npz").compiled.metrics
    assert type(metric) is kind
    assert metric.name == model.compiled.metrics[0].name


def test_what_is_not_built_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="built"):
        Sequential([Dense(3)]).save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def damaged(tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """A saved network whose metadata or arrays were changed afterwards, in a file that is whole."""
    model = network()
    model.compile(SGD(0.1, momentum=0.9), "mse", metrics=["accuracy"])
    model.train_on_batch(np.ones((2, 6, 5, 2), np.float32), np.ones((2, 4), np.float32))
    model.save(tmp_path / "good.npz")
    arrays, metadata = read_arrays(tmp_path / "good.npz")
    change(metadata, arrays)
    write_arrays(tmp_path / "bad.npz", arrays, metadata)
    return tmp_path / "bad.npz"


def set_at(*path: Any, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(metadata: dict[str, Any], arrays: dict[str, Any]) -> None:
        place: Any = metadata
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


LAYER = ("config", "layers", 0)
LIES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "another format": set_at("format", value="something else"),
    "a later version": set_at("version", value=2),
    "another class of model": set_at("class_name", value="Model"),
    "no architecture": set_at("config", value=None),
    "no layers": set_at("config", "layers", value=[]),
    "layers as a number": set_at("config", "layers", value=3),
    "a layer nobody knows": set_at(*LAYER, "class_name", value="Lambda"),
    "a class that is no layer": set_at(*LAYER, "class_name", value="__init__"),
    "a class as a list": set_at(*LAYER, "class_name", value=[]),
    "a class as a dict": set_at("training", "optimizer", "class_name", value={}),
    "a loss without a class": set_at("training", "loss", value=None),
    "metrics as a number": set_at("training", "metrics", value=3),
    "a metric as a number": set_at("training", "metrics", value=[3]),
    "a metric with a class as a list": set_at("training", "metrics", 0, "class_name", value=[]),
    "an option nobody knows": set_at(*LAYER, "config", "exec", value="print(1)"),
    "a layer that would need terabytes": set_at(*LAYER, "config", "filters", value=10**12),
    "another number of filters": set_at(*LAYER, "config", "filters", value=5),
    "an algorithm nobody knows": set_at(*LAYER, "config", "algorithm", value="magic"),
    "an input shape of words": set_at("config", "input_shape", value=["a", "b", "c"]),
    "an input too small": set_at("config", "input_shape", value=[1, 1, 2]),
    "another dtype": set_at("config", "dtype", value="float64"),
    "a dtype that is none": set_at("config", "dtype", value="object"),
    "two layers of one name": set_at("config", "layers", 1, "config", "name", value="conv2d"),
    "training as a list": set_at("training", value=[1, 2]),
    "an optimiser nobody knows": set_at("training", "optimizer", "class_name", value="os.system"),
    "steps as a word": set_at("training", "iterations", value="many"),
    "steps that nobody has made": set_at("training", "iterations", value=10**400),
    "one step more than an int64 counts": set_at("training", "iterations", value=2**63),
    "slots of a weight that is not there": set_at("training", "slots", value=["momentum/nothing/kernel"]),
    "slots that are missing": lambda metadata, arrays: arrays.pop("optimizer/momentum/conv2d/kernel"),
    "a weight that is missing": lambda metadata, arrays: arrays.pop("dense/bias"),
    "a weight too many": lambda metadata, arrays: arrays.update({"extra/kernel": np.ones(3, np.float32)}),
    "a weight of another shape": lambda metadata, arrays: arrays.update({"dense/bias": np.ones(5, np.float32)}),
    "a weight of another type": lambda metadata, arrays: arrays.update({"dense/bias": np.ones(4, np.int32)}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_refused_with_its_name(lie: str, tmp_path: Path) -> None:
    path = damaged(tmp_path, LIES[lie])
    with pytest.raises(LoadError, match=r"bad\.npz"):
        Sequential.load(path)


def test_the_same_file_without_a_lie_loads(tmp_path: Path) -> None:
    Sequential.load(damaged(tmp_path, lambda metadata, arrays: None))


def test_the_error_says_how_many_steps_there_may_be(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"iterations up to 9223372036854775807\. Received: an integer of 1329 bits"):
        Sequential.load(damaged(tmp_path, set_at("training", "iterations", value=10**400)))


@pytest.mark.parametrize("steps", [np.array(2**63, np.uint64), np.array(10**400), np.uint64(2**64 - 1)])
def test_nor_does_an_optimiser_take_over_more(steps: Any) -> None:
    optimizer = SGD()
    with pytest.raises(StateError, match="'iterations', one integer from 0 to 9223372036854775807"):
        optimizer.load_state({**optimizer.state(), "iterations": steps})
    optimizer.load_state({**optimizer.state(), "iterations": np.array(2**63 - 1)})
    assert optimizer.iterations == 2**63 - 1


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adagrad"])
def test_training_goes_on_after_the_most_steps_that_a_file_may_say(optimizer: str, tmp_path: Path) -> None:
    model = Sequential([Dense(2), Dropout(0.5)], input_shape=(3,))
    model.compile(optimizer, "mse")
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    model.fit(x, y, verbose=0)
    model.optimizer.iterations = 2**63 - 1
    model.save(tmp_path / "model.npz")
    loaded = Sequential.load(tmp_path / "model.npz")
    assert loaded.optimizer.iterations == 2**63 - 1
    loaded.fit(x, y, verbose=0)
    assert all(np.isfinite(array).all() for array in loaded.weights.values())


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    network().save(tmp_path / "model.npz")
    whole = (tmp_path / "model.npz").read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(LoadError, match=r"cut\.npz"):
            Sequential.load(tmp_path / "cut.npz")


def test_a_layer_of_ones_own_is_not_called_damage(tmp_path: Path) -> None:
    class Scale(ReLU):
        pass

    model = Sequential([Dense(2), Scale()], input_shape=(3,))
    model.save(tmp_path / "own.npz")
    with pytest.raises(LoadError, match=r"own.npz': Expected layers that minicnn has. Received: 'Scale'.*load_weights"):
        Sequential.load(tmp_path / "own.npz")
    again = Sequential([Dense(2), Scale()], input_shape=(3,), seed=1)
    again.load_weights(tmp_path / "own.npz")
    assert all(map(np.array_equal, model.get_weights(), again.get_weights()))


def test_a_layer_may_be_called_optimizer(tmp_path: Path) -> None:
    """Its weights stand beside what the optimiser remembers, and are not mistaken for it."""
    model, twin = (Sequential([Dense(3, name="optimizer")], input_shape=(4,), seed=seed) for seed in (0, 1))
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 3)))
    model.save(tmp_path / "model.npz")
    twin.load_weights(tmp_path / "model.npz")
    loaded = Sequential.load(tmp_path / "model.npz")
    for other in (twin, loaded):
        np.testing.assert_array_equal(other.weights["optimizer/kernel"], model.weights["optimizer/kernel"])
    assert loaded.optimizer.slots.keys() == model.optimizer.slots.keys()


@pytest.mark.parametrize(
    ("training", "kind"),
    [
        ({"optimizer": type("MySGD", (SGD,), {})()}, "an optimizer that minicnn has. Received: 'MySGD'"),
        ({"loss": type("MyError", (MeanSquaredError,), {})()}, "a loss that minicnn has. Received: 'MyError'"),
        ({"metrics": [type("Mine", (BinaryAccuracy,), {})()]}, "metrics that minicnn has. Received: 'Mine'"),
    ],
)
def test_nor_is_training_with_classes_of_ones_own(training: dict[str, Any], kind: str, tmp_path: Path) -> None:
    model = Sequential([Dense(2)], input_shape=(3,))
    model.compile(**{"optimizer": "sgd", "loss": "mse", **training})
    model.save(tmp_path / "own.npz")
    with pytest.raises(LoadError, match=rf"own.npz': Expected {kind}.*load_weights\(path\)\.$"):
        Sequential.load(tmp_path / "own.npz")
    again = Sequential([Dense(2)], input_shape=(3,), seed=1)
    again.load_weights(tmp_path / "own.npz")
    assert all(map(np.array_equal, model.get_weights(), again.get_weights()))


def test_a_file_may_hold_what_is_remembered_column_by_column(tmp_path: Path, rng: np.random.Generator) -> None:
    """Other programs write arrays so; what is remembered must move on all the same."""
    x, y = rng.random((8, 5), np.float32), rng.integers(0, 3, 8)
    model = Sequential([Dense(4), ReLU(), Dense(3)], input_shape=(5,), seed=0)
    model.compile(SGD(0.1, momentum=0.9), SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.npz")
    with zipfile.ZipFile(tmp_path / "model.npz") as archive:
        names = archive.namelist()
        with zipfile.ZipFile(tmp_path / "columns.npz", "w") as columns:
            for name in names:
                data = archive.read(name)
                if name.endswith(".npy"):
                    file = io.BytesIO()
                    np.save(file, np.asfortranarray(np.load(io.BytesIO(data))))
                    data = file.getvalue()
                columns.writestr(name, data)
    assert b"'fortran_order': True" in (tmp_path / "columns.npz").read_bytes()
    again = [Sequential.load(tmp_path / name) for name in ("model.npz", "columns.npz")]
    for one in again:
        one.fit(x, y, epochs=5, initial_epoch=2, verbose=0)
    for address, array in again[0].compiled.optimizer.slots.items():
        np.testing.assert_array_equal(again[1].compiled.optimizer.slots[address], array)
    for address, array in again[0].weights.items():
        np.testing.assert_array_equal(again[1].weights[address], array)
