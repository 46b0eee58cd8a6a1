"""Layers between Keras's description and ours: every public layer there and back, and the tables' own promises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from minicnn.errors import LoadError
from minicnn.io.keras_config import config_from_keras, config_to_keras
from minicnn.io.keras_layers import ACTIVATIONS, Row, from_keras, to_keras
from minicnn.io.keras_networks import network_of
from minicnn.layers import LAYERS
from minicnn.sequential import Sequential
from tests.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_layer_there_and_back(case: Case) -> None:
    """As JSON carries it, so tuples come back as lists. How to compute ("algorithm") is our own affair."""
    layer = case.layer()
    config = {key: value for key, value in layer.config().items() if key != "algorithm"}
    there = to_keras(Row(type(layer).__name__, layer.config()))
    rows = from_keras(Row(there.class_name, json.loads(json.dumps(there.config))), layer.name)
    again = [LAYERS[row.class_name](**row.config) for row in rows]
    if type(layer).__name__ == "Activation":  # becomes the layer of its function, which can be fused; "linear" is none
        meant = ACTIVATIONS[config["activation"]]
        assert [type(one).__name__ for one in again] == ([meant[0]] if meant else [])
        return
    assert [type(one) for one in again] == [type(layer)]
    assert again[0].config() == config


def test_activations_inside_a_layer_become_layers_behind_it() -> None:
    for name, activation in ACTIVATIONS.items():
        rows = from_keras(Row("Dense", {"units": 3, "activation": name}), "fc/1")
        assert rows[0] == Row("Dense", {"units": 3, "name": "fc_1"})
        assert [row.class_name for row in rows[1:]] == ([activation[0]] if activation else [])
        assert all(row.config["name"] == f"fc_1_{name}" for row in rows[1:])
        LAYERS[rows[-1].class_name](**rows[-1].config)


def test_an_initializer_that_we_do_not_have_is_left_out() -> None:
    """The weights come from the file anyway."""
    unknown = {"module": "keras.initializers", "class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}}
    known = {"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": None}}
    config = {"units": 3, "kernel_initializer": unknown, "bias_initializer": known}
    (row,) = from_keras(Row("Dense", config), "fc")
    assert row.config == {"units": 3, "bias_initializer": known, "name": "fc"}


def test_what_keras_2_wrote_for_every_convolution() -> None:
    """Its base class wrote ``groups``, and that of separable ones the initializer of a kernel that there is not."""
    initializer = {"class_name": "GlorotUniform", "config": {"seed": None}}
    for kind, options in (
        ("DepthwiseConv2D", {}),
        ("SeparableConv2D", {"filters": 3}),
        ("Conv2DTranspose", {"filters": 3}),
    ):
        config = {"kernel_size": [3, 3], "groups": 1, "kernel_initializer": initializer, **options}
        (row,) = from_keras(Row(kind, config), "conv")
        assert "groups" not in row.config
        LAYERS[kind](**row.config)
        with pytest.raises(LoadError, match="groups=2"):
            from_keras(Row(kind, {**config, "groups": 2}), "conv")
    (row,) = from_keras(Row("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}), "conv")
    assert row.config["groups"] == 2


def functional(*rows: tuple[str, list[Any]], keras2: bool) -> dict[str, Any]:
    """Layers named by letters; each with the letters that it reads."""
    layers: list[dict[str, Any]] = []
    for name, sources in rows:
        kind = "ReLU" if sources else "InputLayer"
        config: dict[str, Any] = {"name": name} if sources else {"name": name, "batch_shape": [None, 4]}
        if keras2:
            inbound: list[Any] = [[[source, 0, 0, {}] for source in sources]] if sources else []
        else:
            tensors = [
                {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "keras_history": [source, 0, 0]}}
                for source in sources
            ]
            args = tensors if len(tensors) < 2 else [tensors]
            inbound = [{"args": args, "kwargs": {"mask": None}}] if sources else []
        layers.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": inbound})
    read = {source for _, sources in rows for source in sources}
    ends = {
        "input_layers": [[name, 0, 0] for name, sources in rows if not sources],
        "output_layers": [[name, 0, 0] for name, _ in rows if name not in read],
    }
    return {"class_name": "Functional", "config": {"name": "net", "layers": layers, **ends}}


@pytest.mark.parametrize("keras2", [False, True])
def test_the_inputs_of_every_layer(keras2: bool) -> None:
    found = network_of(functional(("a", []), ("b", ["a"]), ("c", ["a", "b"]), keras2=keras2)).found
    assert [(layer.name, layer.calls) for layer in found] == [
        ("a", ()),
        ("b", ((("a", 0),),)),
        ("c", ((("a", 0), ("b", 0)),)),
    ]


@pytest.mark.parametrize("keras2", [False, True])
def test_rows_in_any_order_and_nothing_else(keras2: bool) -> None:
    _, config = config_from_keras(functional(("c", ["b"]), ("a", []), ("b", ["a"]), keras2=keras2))
    assert [row["config"]["name"] for row in config["layers"]] == ["b", "c"]
    broken = [
        [("a", []), ("b", ["c"]), ("c", ["b"])],
        [("a", ["b"]), ("b", ["a"])],
        [("a", []), ("b", ["nobody"])],
    ]
    for rows in broken:
        with pytest.raises(LoadError, match=r"what no layer makes|inputs listed|outputs listed"):
            config_from_keras(functional(*rows, keras2=keras2))


@pytest.mark.parametrize("keras2", [False, True])
def test_branches_become_nodes(keras2: bool) -> None:
    """Values are numbered: inputs first, then what each node makes; layers keep the order of the file."""
    rows: list[tuple[str, list[Any]]] = [("a", []), ("d", ["c", "b"]), ("b", ["a"]), ("c", ["a"])]
    model = functional(*rows, keras2=keras2)
    model["config"]["layers"][1]["class_name"] = "Add"
    kind, config = config_from_keras(model)
    assert kind == "Model"
    assert [row["config"]["name"] for row in config["layers"]] == ["d", "b", "c"]
    assert config["nodes"] == [["b", [0]], ["c", [0]], ["d", [2, 1]]]
    assert (config["outputs"], config["input_names"], config["input_shape"]) == ([3], ["a"], [4])


@pytest.mark.parametrize("legacy", [False, True])
def test_a_network_there_and_back(legacy: bool) -> None:
    layers = [LAYERS[kind](**options) for kind, options in (("Conv2D", {"filters": 2, "kernel_size": 3}), ("Tanh", {}))]
    config = Sequential(layers, input_shape=(5, 4, 1), name="net", dtype="float64").config()
    kind, back = config_from_keras(json.loads(json.dumps(config_to_keras(config, legacy=legacy))))
    assert kind == "Sequential"
    assert Sequential.from_config(back).path[0].config() == layers[0].config()
    assert {key: back[key] for key in ("name", "dtype", "input_shape")} == {
        "name": "net",
        "dtype": "float64",
        "input_shape": [5, 4, 1],
    }


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"class_name": "Sequential"},
        {"class_name": "Sequential", "config": {"layers": {}}},
        {"class_name": "Custom", "config": {"layers": []}},
        {"class_name": "Sequential", "config": {"layers": []}},
        {"class_name": "Sequential", "config": [{"class_name": "ReLU", "config": {"name": "a"}}]},
        functional(("a", []), ("a", ["a"]), keras2=True),
    ],
)
def test_what_describes_no_network(model: dict[str, Any]) -> None:
    with pytest.raises(LoadError):
        config_from_keras(model)
