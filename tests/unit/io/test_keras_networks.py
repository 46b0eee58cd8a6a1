"""Models within models unfolded: whose call reads what, in both of Keras's ways to count, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from minicnn.errors import LoadError
from minicnn.io.keras_config import config_from_keras
from minicnn.io.keras_networks import network_of

Model = dict[str, Any]


def tensor(name: str, call: int = 0) -> Model:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "keras_history": [name, call, 0]}}


def call(*sources: tuple[str, int]) -> Model:
    return {"args": [tensor(*source) for source in sources], "kwargs": {}}


def layer(name: str, *calls: Model, kind: str = "ReLU") -> Model:
    config = {"name": name, **({} if calls else {"batch_shape": [None, 4]})}
    return {"class_name": kind if calls else "InputLayer", "name": name, "config": config, "inbound_nodes": list(calls)}


def functional(name: str, inputs: list[str], outputs: list[list[Any]], *layers: Model) -> Model:
    ends = {"input_layers": [[one, 0, 0] for one in inputs], "output_layers": outputs}
    return {"class_name": "Functional", "name": name, "config": {"name": name, "layers": list(layers), **ends}}


def within(model: Model, *calls: Model) -> Model:
    return {**model, "inbound_nodes": list(calls)}


def base(name: str = "base") -> Model:
    return functional(name, ["i"], [["b", 0, 0]], layer("i"), layer("a", call(("i", 0))), layer("b", call(("a", 0))))


def row(name: str = "row") -> Model:
    layers = [{"class_name": "ReLU", "config": {"name": one, "batch_input_shape": [None, 4]}} for one in ("a", "b")]
    return {"class_name": "Sequential", "name": name, "config": {"name": name, "layers": layers}}


@pytest.mark.parametrize(("model", "first"), [(base(), 1), (row("base"), 0), (row("base"), 1)])
def test_two_ways_to_count_calls(model: Model, first: int) -> None:
    """Keras counts the calls of a Functional within another from 1, of a Sequential from 0; Keras 2 of both from 1."""
    inner = within(model, call(("x", 0)), call(("base", first)))
    found = network_of(
        functional("net", ["x"], [["end", 0, 0]], layer("x"), inner, layer("end", call(("base", first + 1))))
    )
    assert [(one.name, one.calls) for one in found.found] == [
        ("x", ()),
        ("base/a", ((("x", 0),), (("base/b", 0),))),
        ("base/b", ((("base/a", 0),), (("base/a", 1),))),
        ("end", ((("base/b", 1),),)),
    ]
    assert found.outputs == [("end", 0)]
    assert found.inputs == ["x"]
    assert list(found.kinds) == ["x", "base", "end"]


def test_a_model_that_begins_a_sequential_gives_it_its_input() -> None:
    for first in (base("first"), row("first")):
        kind, config = config_from_keras(
            {"class_name": "Sequential", "config": {"layers": [first, layer("end", call())]}}
        )
        assert (kind, config["input_shape"]) == ("Sequential", [4])
        assert [one["config"]["name"] for one in config["layers"]] == ["first_a", "first_b", "end"]


def test_layers_of_one_name_in_several_models() -> None:
    """``one/a`` and ``two/a`` are two. What would have one name here is refused."""
    layers = [layer("x"), within(base("one"), call(("x", 0))), within(base("two"), call(("one", 1)))]
    _, config = config_from_keras(functional("net", ["x"], [["two", 1, 0]], *layers))
    assert [one["config"]["name"] for one in config["layers"]] == ["one_a", "one_b", "two_a", "two_b"]
    for name, reason in (("one/a", "one name"), ("one_a", "once '/' has become '_'")):
        with pytest.raises(LoadError, match=reason):
            config_from_keras(functional("net", ["x"], [[name, 0, 0]], *layers, layer(name, call(("two", 1)))))


def handing_on(name: str) -> Model:
    return functional(name, ["i"], [["i", 0, 0]], layer("i"))


def deep(levels: int) -> Model:
    model = base("b0")
    for level in range(1, levels + 1):
        inside = within(model, call(("x", 0)))
        model = functional(f"b{level}", ["x"], [[f"b{level - 1}", 1, 0]], layer("x"), inside)
    return model


def doubling(levels: int) -> Model:
    """Each model calls the one within it twice: 2^levels calls of its layers."""
    model = base("b0")
    for level in range(1, levels + 1):
        name = f"b{level - 1}"
        inside = within(model, call(("x", 0)), call((name, 1)))
        model = functional(f"b{level}", ["x"], [[name, 2, 0]], layer("x"), inside)
    return model


def of(*layers: Model, output: str = "base", at: int = 1) -> Model:
    return functional("net", ["x"], [[output, at, 0]], layer("x"), *layers)


LIES: dict[str, tuple[Model, str]] = {
    "models that hand on to each other": (
        of(within(handing_on("a"), call(("b", 1))), within(handing_on("b"), call(("a", 1))), output="a"),
        "reads what no layer makes before it",
    ),
    "a model that reads itself": (of(within(base(), call(("base", 1)))), "reads what no layer makes before it"),
    "a call of a model that was never made": (of(within(base(), call(("x", 0))), at=3), "call 3 of 'base'"),
    "a call before the first": (of(within(base(), call(("x", 0))), at=-1), "call -1 of 'base'"),
    "an input too many": (of(within(base(), call(("x", 0), ("x", 0)))), "'base' called on 1 inputs"),
    "no outputs": (of(within(functional("base", ["i"], [], layer("i")), call(("x", 0)))), "'base' called on 1 inputs"),
    "an output that nobody makes": (
        of(within(functional("base", ["i"], [["nobody", 0, 0]], layer("i")), call(("x", 0)))),
        "call 0 of 'base/nobody'",
    ),
    "a call of a layer inside that was never made": (
        of(within(functional("base", ["i"], [["a", 1, 0]], layer("i"), layer("a", call(("i", 0)))), call(("x", 0)))),
        "call 1 of 'base/a'",
    ),
    "a model of somebody's own": (
        of(within({**base(), "registered_name": "My>Model"}, call(("x", 0)))),
        "only Keras's own layers",
    ),
    "a model from elsewhere": (of(within({**base(), "module": "evil"}, call(("x", 0)))), "'evil'"),
    "21 models deep": (deep(22), "more than 20 deep"),
    "2^19 calls": (doubling(19), "at most 10000 calls"),
    "no layers": (of(within({**base(), "config": {"name": "base", "layers": []}}, call(("x", 0)))), "Functional model"),
}


@pytest.mark.parametrize("lie", LIES)
def test_models_that_lie_are_refused(lie: str) -> None:
    model, reason = LIES[lie]
    with pytest.raises(LoadError, match=reason):
        config_from_keras(model)


def test_many_models_that_hand_on_are_followed_once() -> None:
    """Each is asked about by the next: followed anew each time, they took time by their square."""
    count = 3000
    models = [within(handing_on(f"m{i}"), call((f"m{i - 1}", 1) if i else ("x", 0))) for i in range(count)]
    found = network_of(of(*models, output=f"m{count - 1}"))
    assert found.outputs == [("x", 0)]
    assert [one.name for one in found.found] == ["x"]


def test_deep_but_not_too_deep() -> None:
    assert len(network_of(deep(20)).found) == 3
    twice = network_of(doubling(5))
    assert [len(one.calls) for one in twice.found] == [0, 32, 32]
