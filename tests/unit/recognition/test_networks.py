"""Which network is trained, with which weights, and what of it is frozen; and what a recipe makes of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.data import PeopleBatches
from minicnn.errors import LoadError, OptionError, ShapeError
from minicnn.layers import Dense, UnitNormalization
from minicnn.model import Model
from minicnn.recognition.networks import embedding_layer, freeze, make_network, start_from
from minicnn.recognition.recipe import Recipe, balanced_weights
from minicnn.sequential import Sequential
from tests.unit.recognition.faces import PEOPLE, data, network, recipe

OWN = """
from minicnn import Add, Conv2D, Dense, Flatten, Input, Model, ReLU, Sequential, Softmax

def tiny(input_shape, classes):
    layers = [Conv2D(4, 3, strides=2, name="conv1"), ReLU(), Flatten(name="flat"), Dense(classes, name="scores")]
    return Sequential(layers, input_shape=input_shape, name="tiny")

def with_softmax(input_shape, classes):
    return Sequential([Flatten(), Dense(classes), Softmax()], input_shape=input_shape)

def too_few(input_shape, classes):
    return Sequential([Flatten(), Dense(classes - 1)], input_shape=input_shape)

def no_network(input_shape, classes):
    return None

def branching(input_shape, classes):
    x = Input(input_shape)
    y = Conv2D(1, 3, padding="same", name="conv1")(x)
    return Model(x, Dense(classes, name="scores")(Flatten(name="flat")(Add()([x, y]))), name="tiny")

def not_built(input_shape, classes):
    return Sequential([Flatten(), Dense(classes)])

def of_another_size(input_shape, classes):
    return Sequential([Flatten(), Dense(classes)], input_shape=(8, 8, 1))

def by_one_argument(input_shape):
    return Sequential([Flatten(), Dense(3)], input_shape=input_shape)

def failing(input_shape, classes):
    return Sequential([Conv2D(4, 300, name="large")], input_shape=input_shape)

number = 5
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(OWN, encoding="utf-8")
    return str(tmp_path / "nets.py")


def made(name: str, objective: str = "softmax", seed: int = 0) -> Model:
    return make_network(name, (32, 32, 1), 5, objective=objective, dimensions=16, dropout=0.0, seed=seed)


def test_named_networks_end_in_scores() -> None:
    model = made("face-cnn")
    assert model.output_shape == (5,)
    assert isinstance(model.path[-1], Dense)
    assert embedding_layer(model, "softmax") == "drop6"


@pytest.mark.slow
def test_vgg_face_describes_faces_by_what_its_last_dense_layer_is_given() -> None:
    model = made("vgg-face")
    assert (model.output_shape, embedding_layer(model, "softmax")) == ((5,), "drop7")


def test_a_residual_network_describes_faces_by_its_channels_means() -> None:
    model = made("residual-cnn")
    assert (model.output_shape, embedding_layer(model, "softmax")) == ((5,), "drop")
    assert model.up_to("drop").output_shape == (128,)


@pytest.mark.parametrize("function", ["tiny", "branching"])
def test_a_network_of_ones_own(function: str, own: str) -> None:
    model = made(f"{own}:{function}")
    assert (model.name, model.output_shape) == ("tiny", (5,))
    assert embedding_layer(model, "softmax") == "flat"
    same, other = made(f"{own}:{function}"), made(f"{own}:{function}", seed=1)
    assert np.array_equal(model.weights["conv1/kernel"], same.weights["conv1/kernel"])
    assert not np.array_equal(model.weights["conv1/kernel"], other.weights["conv1/kernel"])  # the seed decides


@pytest.mark.parametrize("name", ["face-cnn", "residual-cnn", "OWN:tiny", "OWN:branching"])
def test_a_triplet_network_ends_on_the_sphere(name: str, own: str, rng: np.random.Generator) -> None:
    model = made(name.replace("OWN", own), "triplet")
    assert [type(layer) for layer in model.path[-2:]] == [Dense, UnitNormalization]
    assert embedding_layer(model, "triplet") == "unit"
    y = model(rng.standard_normal((3, 32, 32, 1), dtype=np.float32))
    assert y.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "name, match",
    [
        ("alexnet", "face-cnn, residual-cnn, vgg-face or FILE.py:function"),
        ("OWN:with_softmax", "ends in scores"),
        ("OWN:too_few", r"one score for each of 5 people, \(5,\)\. Received: \(4,\)\."),
        ("OWN:no_network", "minicnn Model or Sequential. Received: NoneType"),
        ("OWN:not_built", r"a built network\. Received: one that is not built.*input_shape=input_shape"),
        ("OWN:of_another_size", r"for \(32, 32, 1\)\. Received: \(8, 8, 1\)"),
        ("OWN:by_one_argument", r"called as by_one_argument\(input_shape, classes\)"),
        ("OWN:failing", r"nets\.py, line 32: ShapeError: .*large"),
        ("OWN:tyni", "Did you mean 'tiny'"),
        ("facecnn", "Did you mean 'face-cnn'"),
        ("VGG", "Did you mean 'vgg-face'"),
        ("OWN:number", "a function number"),
        ("OWN:missing", "a function missing"),
        ("missing.py:tiny", "no such file"),
    ],
)
def test_networks_that_are_none(name: str, match: str, own: str) -> None:
    with pytest.raises((OptionError, ShapeError, LoadError), match=match):
        made(name.replace("OWN", own))


def test_weights_of_another_training_are_taken_where_they_fit(tmp_path: Path) -> None:
    before = network(seed=3)
    before.save(tmp_path / "before.npz")
    model = network("triplet", seed=4)
    taken, new = start_from(model, tmp_path / "before.npz")
    assert "conv1/kernel" in taken
    assert "bn1/moving_mean" in taken
    assert new == ["embedding/kernel", "embedding/bias"]
    assert np.array_equal(model.weights["conv1/kernel"], before.weights["conv1/kernel"])


def test_weights_that_fit_nowhere(tmp_path: Path) -> None:
    Sequential([Dense(3, name="other")], input_shape=(4,)).save(tmp_path / "other.npz")
    with pytest.raises(ShapeError, match="other/kernel"):
        start_from(network(), tmp_path / "other.npz")
    (tmp_path / "other.npz").write_bytes(b"nothing")
    with pytest.raises(LoadError, match=r"other\.npz"):
        start_from(network(), tmp_path / "other.npz")


def test_frozen_layers_rest(rng: np.random.Generator) -> None:
    model, how = network(), recipe()
    assert freeze(model, ["conv1", "bn*"]) == ["conv1", "bn1"]
    before = {address: array.copy() for address, array in model.weights.items()}
    batches = how.batches(data().train, len(PEOPLE), 0)
    model.compile(how.optimizer(len(batches)), how.loss())
    for x, y, weight in batches.epoch(0):
        model.train_on_batch(x, y, weight)
    moved = {address for address, array in model.weights.items() if not np.array_equal(array, before[address])}
    assert moved == {"scores/kernel", "scores/bias"}


@pytest.mark.parametrize("patterns, match", [(["conv7"], "'conv7'"), (["*"], "not frozen")])
def test_what_cannot_be_frozen(patterns: list[str], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        freeze(network(), patterns)


# -- recipes -----------------------------------------------------------------------------------------------------------


def test_everybody_counts_alike() -> None:
    labels = data().train.labels  # 7, 6 and 4 pictures
    weights = balanced_weights(labels, 3)
    assert weights is not None
    totals = [weights[k] * int((labels == k).sum()) for k in range(3)]
    np.testing.assert_allclose(totals, len(labels) / 3)
    assert balanced_weights(np.array([0, 1, 1, 0]), 2) is None


def test_batches_of_a_recipe() -> None:
    learned = data().train
    plain = recipe(balanced=False).batches(learned, 3, seed=1)
    assert plain.weight is None
    weighted = recipe().batches(learned, 3, seed=1)
    assert weighted.weight is not None
    assert weighted.weight.sum() == pytest.approx(len(learned.labels), rel=1e-6)
    assert isinstance(recipe("triplet").batches(learned, 3, seed=1), PeopleBatches)
    (x, _, _), *_ = recipe(augment={}).batches(learned, 3, seed=1).epoch(0)
    assert all(any(np.array_equal(picture, other) for other in learned.x) for picture in x)


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": "guess"},
        {"epochs": 0},
        {"batch": 1.5},
        {"patience": -1},
        {"learning_rate": 0},
        {"margin": float("nan")},
        {"label_smoothing": 1},
        {"dropout": 2},
        {"balanced": "yes"},
        {"pictures": 1},
        {"augment": {"shift": 5}},
        {"augment": {"sharpen": 1}},
    ],
    ids=str,
)
def test_recipes_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Recipe(**wrong)


def test_a_recipe_with_other_values_as_they_are_typed() -> None:
    typed = ["epochs=3", "views=false", "augment.rotate=2.5", "objective=triplet"]
    augment = dict(Recipe().augment) | {"rotate": 2.5}
    assert Recipe().changed(typed) == Recipe(epochs=3, views=False, objective="triplet", augment=augment)
    assert Recipe(augment={}).changed(["batch=4"]) == Recipe(augment={}, batch=4)


@pytest.mark.parametrize(
    "setting", ["epochs", "eposchs=3", "epochs.x=3", "augment.spin=3", "augment=none", "epochs=0", "epochs=[1]", "=3"]
)
def test_values_that_a_recipe_cannot_have(setting: str) -> None:
    with pytest.raises(OptionError):
        Recipe().changed([setting])
