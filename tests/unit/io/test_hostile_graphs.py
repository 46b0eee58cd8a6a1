"""Descriptions of networks that branch, damaged in every way: a LoadError or a network, and nothing in between."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import load_model
from minicnn.errors import LoadError
from minicnn.io.keras_config import config_from_keras, config_to_keras
from minicnn.layers import Add, Concatenate, Conv2D, Dense, Flatten, Input, Multiply, ReLU
from minicnn.model import Model
from tests.unit.io.test_hostile import attack

pytest.importorskip("h5py", reason="Keras's files need the extra 'files'")


def network() -> Model:
    """Two inputs, two outputs, a layer in two places, and every layer that merges."""
    x, z = Input((6, 5, 2), name="x"), Input((3,), name="z")
    shared = Conv2D(2, 1, name="shared")
    a = shared(x)
    y = Concatenate(name="both")([Add(name="sum")([a, shared(ReLU(name="relu")(a))]), x])
    y = Dense(3, name="dense")(Flatten(name="flat")(y))
    return Model([x, z], [Multiply(name="product")([y, z]), y])


def description(legacy: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(config_to_keras(network().config(), legacy=legacy)))
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


JUNK: tuple[Any, ...] = (None, [], {}, "x", 0, -1, 1e308, True, [[]], 10**30, ["x", 0, 0], [["x", 0, 0, {}]])


def folded(legacy: bool) -> dict[str, Any]:
    """The network as a model within a model within a model, called twice, beside a Sequential."""
    inner = description(legacy)
    row = {"class_name": "Sequential", "name": "row", "config": {"name": "row", "layers": [_relu("only")]}}
    x, z = ({**one, "inbound_nodes": []} for one in inner["config"]["layers"] if one["class_name"] == "InputLayer")
    layers = [x, z]
    for name, within, sources in (("row", row, ["x"]), ("twice", inner, ["row", "z"])):
        calls = [{"args": [[tensor(source) for source in sources]], "kwargs": {}} for _ in range(len(sources))]
        layers.append({**within, "name": name, "inbound_nodes": calls})
    ends = {"input_layers": [["x", 0, 0], ["z", 0, 0]], "output_layers": [["twice", 1, 0], ["twice", 2, 0]]}
    middle = {"class_name": "Functional", "config": {"name": "middle", "layers": layers, **ends}}
    outer = {"name": "outer", "layers": [*copy.deepcopy([x, z]), {**middle, "name": "middle"}]}
    outer["layers"][2]["inbound_nodes"] = [{"args": [[tensor("x"), tensor("z")]], "kwargs": {}}]
    return {"class_name": "Functional", "config": {**outer, **ends, "output_layers": [["middle", 1, 0]]}}


def _relu(name: str) -> dict[str, Any]:
    return {"class_name": "ReLU", "config": {"name": name}}


def test_a_folded_network_is_unfolded() -> None:
    """The names, and each layer as often as the models that hold it are called."""
    kind, config = config_from_keras(folded(False))
    assert kind == "Model"
    names = [row["config"]["name"] for row in config["layers"]]
    inside = [row["config"]["name"] for row in network().config()["layers"]]
    assert names[0] == "middle_row_only"
    assert sorted(names[1:]) == sorted(f"middle_twice_{name}" for name in inside)
    called = [name for name, _ in config["nodes"]]
    assert called.count("middle_twice_shared") == 4
    assert called.count("middle_row_only") == 1


@pytest.mark.parametrize("describe", [description, folded])
@pytest.mark.parametrize("legacy", [False, True])
def test_damage_is_one_kind_of_error(legacy: bool, describe: Any) -> None:
    whole = describe(legacy)
    ways = list(places(whole))

    @settings(max_examples=400)
    @given(st.lists(st.tuples(st.sampled_from(ways), st.sampled_from([*JUNK, ...])), min_size=1, max_size=3))
    def check(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
        damaged = copy.deepcopy(whole)
        for (*way, last), junk in changes:
            holder: Any = damaged
            try:
                for key in way:
                    holder = holder[key]
                if junk is ...:
                    del holder[last]
                else:
                    holder[last] = copy.deepcopy(junk)
            except (LookupError, TypeError):  # an earlier change has taken it away
                continue
        kind, config, reason = "", {}, ""
        try:
            kind, config = config_from_keras(damaged)
        except LoadError as error:
            reason = str(error)
        assert 0 < len(reason) < 2000 or (kind in ("Model", "Sequential") and "layers" in config)

    check()


def layer(model: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in model["config"]["layers"] if one["name"] == name)
    return found


def tensor(name: str, call: int = 0, output: int = 0) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [name, call, output]}}


def read(name: str, *tensors: Any, **keywords: Any) -> Any:
    """A change: this layer is called once, on these tensors."""
    return lambda model: layer(model, name).update(inbound_nodes=[{"args": list(tensors), "kwargs": keywords}])


def write(path: Path, model: dict[str, Any]) -> None:
    """A .keras file with the network's weights and this description."""
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", weights)


LIES: dict[str, tuple[Any, str]] = {
    "a circle": (read("relu", tensor("relu")), "reads what no layer makes before it"),
    "a longer circle": (read("shared", tensor("dense")), "reads what no layer makes before it"),
    "a layer that is not there": (read("relu", tensor("nobody")), "call 0 of 'nobody'"),
    "a call that was never made": (read("relu", tensor("shared", 7)), "call 7 of 'shared'"),
    "a call before the first": (read("relu", tensor("shared", -1)), "call -1 of 'shared'"),
    "a second output": (read("relu", tensor("shared", 0, 1)), "called on what other layers give"),
    "a number": (read("relu", tensor("shared"), 1.0), "called on what other layers give"),
    "nothing": (read("relu"), "called on what other layers give"),
    "training": (read("relu", tensor("shared"), training=True), "called with .*training"),
    "a mask": (read("relu", tensor("shared"), mask=tensor("x")), "called with .*mask"),
    "calls that are no list": (lambda model: layer(model, "relu").update(inbound_nodes="shared"), "are no list"),
    "a layer nobody calls": (lambda model: layer(model, "relu").update(inbound_nodes=[]), "inputs listed"),
    "an input that is called": (read("z", tensor("x")), "inputs listed"),
    "an input too many": (lambda model: model["config"]["input_layers"].append(["relu", 0, 0]), "inputs listed"),
    "no inputs": (lambda model: model["config"].update(input_layers=[]), "inputs listed"),
    "no outputs": (lambda model: model["config"].update(output_layers=[]), "outputs listed"),
    "an output that is not there": (lambda model: model["config"].update(output_layers=["x", 1, 0]), "outputs listed"),
    "outputs in a deep hole": (
        lambda model: model["config"].update(output_layers=json.loads("[" * 50 + "]" * 50)),
        "nested too deeply",
    ),
    "a value that nobody reads": (lambda model: model["config"].update(output_layers=["dense", 0, 0]), "to be read"),
    "two layers of one name": (lambda model: layer(model, "relu").update(name="shared"), "one name"),
    "a function under a layer's name": (
        lambda model: layer(model, "both").update(module="keras.src.ops.numpy"),
        "only sums",
    ),
    "a module of somebody's own": (lambda model: layer(model, "both").update(module="evil"), "'evil'"),
    "11,000 layers": (lambda model: model["config"].update(layers=[layer(model, "relu")] * 11_000), "at most 10000"),
}


@pytest.mark.parametrize("lie", LIES)
def test_connections_that_lie_are_refused(lie: str, tmp_path: Path) -> None:
    model = description()
    change, reason = LIES[lie]
    change(model)
    write(tmp_path / "a.keras", model)
    with pytest.raises(LoadError, match=rf"Cannot load '.*a\.keras'.*{reason}"):
        load_model(tmp_path / "a.keras")


def test_networks_that_grow_without_end_cost_nothing(tmp_path: Path) -> None:
    """Each layer puts its input beside itself: 2^200 channels, in a file of some kilobytes."""
    model, before = description(), "x"
    model["config"]["layers"] = [layer(model, "x")]
    for name in (f"c{k}" for k in range(200)):
        calls = [{"args": [[tensor(before), tensor(before)]], "kwargs": {}}]
        config = {"name": name, "axis": -1}
        model["config"]["layers"].append(
            {"class_name": "Concatenate", "config": config, "name": name, "inbound_nodes": calls}
        )
        before = name
    model["config"] |= {"input_layers": ["x", 0, 0], "output_layers": [before, 0, 0]}
    write(tmp_path / "a.keras", model)
    assert {outcome for _, outcome in attack(tmp_path / "a.keras")} == {"LoadError"}
