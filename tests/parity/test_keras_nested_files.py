"""Models within models, in Keras's files: unfolded, they compute what Keras does, with every weight in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import load_model
from minicnn.errors import LoadError
from minicnn.layers import Add, BatchNormalization, Conv2D, Dense, Flatten, Input, ReLU
from minicnn.model import Model
from minicnn.sequential import Sequential

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.backend import load_keras
from tests.parity.test_keras_files import FORMATS, assert_alike

SIZE = (6, 5, 2)


def functional(name: str = "base") -> Any:
    """Branches, two convolutions of one shape, statistics between them: what an order that is wrong would mix up."""
    keras = load_keras()
    layers = keras.layers
    x = keras.Input(SIZE)
    a = layers.Conv2D(2, 3, padding="same", activation="relu", name="a")(x)
    a = layers.BatchNormalization(name="norm")(a)
    b = layers.Conv2D(2, 3, padding="same", name="b")(a)
    return keras.Model(x, layers.Add()([a, b]), name=name)


def sequential(name: str = "row") -> Any:
    keras = load_keras()
    layers = keras.layers
    rows = [layers.Conv2D(2, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(2, 1)]
    return keras.Sequential([keras.Input(SIZE), *rows], name=name)


def in_a_row(*rows: Any) -> Any:
    layers = load_keras().layers
    return load_keras().Sequential([*rows, layers.Flatten(), layers.Dense(3)], name="net")


def frozen(model: Any, *layers: int) -> Any:
    for index in layers:
        model.layers[index].trainable = False
    if not layers:
        model.trainable = False
    return model


def learning_again(model: Any) -> Any:
    """A layer of a frozen model that learns again: the model's own switch decides where its weights stand in .h5."""
    frozen(model).layers[1].trainable = True
    return model


def siamese() -> Any:
    """One model for two pictures, another for what the first made: called twice, and on its own result."""
    keras = load_keras()
    x, z = keras.Input(SIZE, name="x"), keras.Input(SIZE, name="z")
    base, row = functional(), sequential()
    product = keras.layers.Multiply()([base(x), base(row(row(z)))])
    return keras.Model([x, z], keras.layers.Dense(3)(keras.layers.Flatten()(product)))


def two_inputs() -> Any:
    """What a model is given goes to its inputs in their order."""
    keras = load_keras()
    a, b = keras.Input(SIZE), keras.Input((*SIZE[:2], 3))
    both = keras.Model([b, a], keras.layers.Concatenate()([keras.layers.Conv2D(2, 1)(a), b]), name="both")
    x = keras.Input(SIZE)
    return keras.Model(x, both([keras.layers.Conv2D(3, 1)(x), x]))


def handing_on() -> Any:
    """A model without layers hands on what it is given."""
    keras = load_keras()
    inside, x = keras.Input(SIZE), keras.Input(SIZE)
    same = keras.Model(inside, inside, name="same")
    return keras.Model(x, keras.layers.Conv2D(2, 3)(same(same(x))))


def deep() -> Any:
    """Three models deep, with classes that come again on every level."""
    keras = load_keras()
    middle = keras.Sequential([keras.Input(SIZE), sequential("deeper"), functional("deepest")], name="middle")
    return in_a_row(keras.Input(SIZE), keras.layers.Conv2D(2, 1), middle, sequential(), sequential("again"))


def end_of_a_network() -> Any:
    keras = load_keras()
    x = keras.Input(SIZE)
    return keras.Model(x, functional()(keras.layers.Conv2D(2, 1)(x)))


def outputs(draw: Callable[[Any, Any, Any], Any]) -> Any:
    """What Keras counts in two ways within one file: what layers read of a model, and what it makes for the outside."""
    keras = load_keras()
    x, z, base = keras.Input(SIZE, name="x"), keras.Input(SIZE, name="z"), functional()
    return keras.Model([x, z], draw(base, x, z))


def both_ways() -> Any:
    return outputs(lambda base, x, z: [(a := base(x)), load_keras().layers.Add()([a, base(z)])])


def first_second_and_more() -> Any:
    return outputs(lambda base, x, z: [base(x), (b := base(z)), load_keras().layers.Conv2D(2, 1)(b)])


def on_its_own_result() -> Any:
    return outputs(lambda base, x, z: load_keras().layers.Add()([base(base(x)), z]))


def once_and_read() -> Any:
    return outputs(lambda base, x, z: [(y := base(x)), load_keras().layers.Multiply()([y, z])])


def last_on_its_own_result() -> Any:
    keras = load_keras()
    x, base = keras.Input(SIZE), functional()
    return keras.Model(x, base(base(x)))


NETWORKS: dict[str, Callable[[], Any]] = {
    "first": lambda: in_a_row(functional()),
    "first, without an input of its own": lambda: in_a_row(sequential()),
    "between layers": lambda: in_a_row(load_keras().Input(SIZE), load_keras().layers.Conv2D(2, 1), sequential()),
    "frozen": lambda: in_a_row(
        load_keras().Input(SIZE), frozen(functional()), load_keras().layers.BatchNormalization()
    ),
    "frozen in part": lambda: in_a_row(frozen(functional(), 1), frozen(sequential(), 1)),
    "frozen, learning in part": lambda: in_a_row(learning_again(functional())),
    "last": end_of_a_network,
    "nothing else": lambda: load_keras().Sequential([load_keras().Input(SIZE), sequential()], name="net"),
    "three deep": deep,
    "two pictures": siamese,
    "two inputs": two_inputs,
    "handing on": handing_on,
    "an output, and read": both_ways,
    "two outputs, and read": first_second_and_more,
    "on its own result": on_its_own_result,
    "called once, an output, and read": once_and_read,
    "last, on its own result": last_on_its_own_result,
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_models_within_models(kind: str, ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    keras = load_keras()
    keras.backend.clear_session()
    theirs = NETWORKS[kind]()
    theirs.set_weights([array + rng.uniform(0.05, 0.2, array.shape) for array in theirs.get_weights()])
    theirs.save(tmp_path / f"theirs{ending}")
    ours = load_model(tmp_path / f"theirs{ending}")
    shapes = [value.shape[1:] for value in theirs.inputs]
    x = [rng.standard_normal((64, *shape), np.float32) for shape in shapes]
    if len(x) == 1:
        assert_alike(ours, theirs, x[0])
    else:
        found, there = (y if isinstance(y, list) else [y] for y in (ours.predict(x), theirs(x, training=False)))
        for one, other in zip(found, there, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    ours.save(tmp_path / f"ours{ending}")  # flat: a network of Keras's like any other
    back = keras.models.load_model(tmp_path / f"ours{ending}")
    for arrays in (theirs.get_weights(), back.get_weights()):  # each weight, and once
        assert sorted(array.tobytes() for array in arrays) == sorted(array.tobytes() for array in ours.weights.values())


def test_names_say_where_a_layer_was(tmp_path: Path) -> None:
    """``base/a`` cannot be an address's first half, so it is ``base_a``; who is frozen stays so."""
    theirs = in_a_row(load_keras().Input(SIZE), frozen(sequential("base")))
    theirs.save(tmp_path / "a.keras")
    ours = load_model(tmp_path / "a.keras")
    assert isinstance(ours, Sequential)
    inside = [layer.name for layer in ours.layers if layer.name.startswith("base_")]
    assert inside == [f"base_{layer.name}" for layer in theirs.layers[0].layers]
    assert not any(layer.trainable for layer in ours.layers if layer.name.startswith("base_"))
    assert ours.layers[-1].trainable


@pytest.mark.parametrize("ending", FORMATS)
def test_weights_alone(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """They go into the network that a file of it makes, and into one that is drawn flat; into no other."""
    theirs = in_a_row(load_keras().Input(SIZE), functional())
    theirs.save(tmp_path / f"before{ending}")
    ours = load_model(tmp_path / f"before{ending}")
    theirs.set_weights([rng.uniform(0.1, 0.2, array.shape) for array in theirs.get_weights()])
    theirs.save(tmp_path / f"after{ending}")
    ours.load_weights(tmp_path / f"after{ending}")
    assert_alike(ours, theirs, rng.standard_normal((64, *SIZE), np.float32))
    flat = Input(SIZE)
    a = BatchNormalization()(ReLU()(Conv2D(2, 3, padding="same")(flat)))
    drawn = Model(flat, Dense(3)(Flatten()(Add()([a, Conv2D(2, 3, padding="same")(a)]))))
    drawn.load_weights(tmp_path / f"after{ending}")
    assert_alike(drawn, theirs, rng.standard_normal((64, *SIZE), np.float32))
    other = Sequential([Flatten(), Dense(4), Dense(3)], input_shape=SIZE)
    with pytest.raises(LoadError, match=r"models within models: it goes into the network that load_model"):
        other.load_weights(tmp_path / f"after{ending}")
    theirs.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(LoadError, match=r"models within models, and not how they are connected"):
        ours.load_weights(tmp_path / "a.weights.h5")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("named", [False, True])
def test_names_that_a_library_makes_say_nothing_inside_a_model_either(
    named: bool, ending: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """One network drawn twice; what is made first has another number, and all shapes are alike."""
    keras = load_keras()

    def drawn(swapped: bool) -> Any:
        keras.backend.clear_session()
        dense, x = keras.layers.Dense, keras.Input((8,))
        if named:
            inside = keras.Input((8,))
            last = dense(8) if swapped else None
            value = dense(8)(inside)
            base = keras.Model(inside, (last or dense(8))(value), name="base")
            model = keras.Model(x, base(x))
        else:
            parts = [keras.Sequential([keras.Input((8,)), dense(8)]) for _ in range(2)]
            first, second = reversed(parts) if swapped else parts
            model = keras.Model(x, second(first(x)))
        model.set_weights([rng.standard_normal(array.shape) for array in model.get_weights()])
        return model

    drawn(swapped=False).save(tmp_path / f"a{ending}")
    ours = load_model(tmp_path / f"a{ending}")
    theirs = drawn(swapped=True)
    theirs.save(tmp_path / f"b{ending}")
    assert {layer.name for layer in load_model(tmp_path / f"b{ending}").layers} == {layer.name for layer in ours.layers}
    ours.load_weights(tmp_path / f"b{ending}")
    assert_alike(ours, theirs, rng.standard_normal((64, 8), np.float32))
