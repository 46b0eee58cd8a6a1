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


def keras_2(model: Model) -> Model:
    """With calls as Keras 2 wrote them: lists."""
    for one in model["config"]["layers"]:
        histories = [[part["config"]["keras_history"] for part in entry["args"]] for entry in one["inbound_nodes"]]
        one["inbound_nodes"] = [[[*history, {}] for history in entry] for entry in histories]
    return model


def twice(model: Model, read: int, outside: int) -> Model:
    """The model on its own result: ``read`` is the number of its first call to layers, ``outside`` to the outputs."""
    inner = within(model, call(("x", 0)), call(("base", read)))
    end = layer("end", call(("base", read + 1)))
    return functional("net", ["x"], [["end", 0, 0], ["base", outside, 0]], layer("x"), inner, end)


WAYS = {
    "Keras 3, a Functional": (twice(base(), 0, 1), 0),
    "Keras 3, a Functional's second call": (twice(base(), 0, 2), 1),
    "Keras 3, a Sequential": (twice(row("base"), 0, 0), 0),
    "Keras 3, a Sequential's second call": (twice(row("base"), 0, 1), 1),
    "Keras 2, a Functional": (keras_2(twice(base(), 1, 1)), 0),
    "Keras 2, a Functional's second call": (keras_2(twice(base(), 1, 2)), 1),
    "Keras 2, a Sequential": (keras_2(twice(row("base"), 1, 1)), 0),
    "from 0 in all places": (keras_2(twice(base(), 0, 0)), 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_count_calls(way: str) -> None:
    """Of a Functional, Keras 3 counts from 0 what layers read, and from 1 what comes out; of a Sequential all from 0;
    Keras 2 counted all from 1."""
    model, which = WAYS[way]
    found = network_of(model)
    assert [(one.name, one.calls) for one in found.found] == [
        ("x", ()),
        ("base/a", ((("x", 0),), (("base/b", 0),))),
        ("base/b", ((("base/a", 0),), (("base/a", 1),))),
        ("end", ((("base/b", 1),),)),
    ]
    assert found.outputs == [("end", 0), ("base/b", which)]
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
    layers = [layer("x"), within(base("one"), call(("x", 0))), within(base("two"), call(("one", 0)))]
    _, config = config_from_keras(functional("net", ["x"], [["two", 1, 0]], *layers))
    assert [one["config"]["name"] for one in config["layers"]] == ["one_a", "one_b", "two_a", "two_b"]
    for name, reason in (("one/a", "one name"), ("one_a", "once '/' has become '_'")):
        with pytest.raises(LoadError, match=reason):
            config_from_keras(functional("net", ["x"], [[name, 0, 0]], *layers, layer(name, call(("two", 0)))))


def handing_on(name: str) -> Model:
    return functional(name, ["i"], [["i", 0, 0]], layer("i"))


def deep(levels: int) -> Model:
    model = base("b0")
    for level in range(1, levels + 1):
        inside = within(model, call(("x", 0)))
        model = functional(f"b{level}", ["x"], [[f"b{level - 1}", 1, 0]], layer("x"), inside)
    return model


def doubling(levels: int, reads: int = 1) -> Model:
    """Each model calls the one within it twice: 2^levels calls of its layers."""
    model = base("b0")
    model["config"]["layers"][-1]["inbound_nodes"] = [call(*[("a", 0)] * reads)]
    for level in range(1, levels + 1):
        name = f"b{level - 1}"
        inside = within(model, call(("x", 0)), call((name, 0)))
        model = functional(f"b{level}", ["x"], [[name, 2, 0]], layer("x"), inside)
    return model


def of(*layers: Model, output: str = "base", at: int = 1) -> Model:
    return functional("net", ["x"], [[output, at, 0]], layer("x"), *layers)


LIES: dict[str, tuple[Model, str]] = {
    "models that hand on to each other": (
        of(within(handing_on("a"), call(("b", 0))), within(handing_on("b"), call(("a", 0))), output="a"),
        "reads what no layer makes before it",
    ),
    "a model that reads itself": (of(within(base(), call(("base", 0)))), "reads what no layer makes before it"),
    "a call of a model that was never made": (of(within(base(), call(("x", 0))), at=3), "call 2 of 'base'"),
    "a call before the first": (of(within(base(), call(("x", 0))), at=0), "call -1 of 'base'"),
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
    "2^19 calls": (doubling(19), "at most 100000 calls"),
    "many models of many calls each": (
        of(*(within(doubling(11) | {"name": f"base{i}"}, call(("x", 0))) for i in range(99)), output="base0"),
        "at most 100000 calls",
    ),
    "an input listed twice": (
        functional("net", ["x", "x"], [["a", 0, 0]], layer("x"), layer("a", call(("x", 0)))),
        "one of its inputs is listed twice",
    ),
    "many calls of a layer that reads many": (doubling(12, reads=1000), "at most 100000 calls"),
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
    models = [within(handing_on(f"m{i}"), call((f"m{i - 1}", 0) if i else ("x", 0))) for i in range(count)]
    found = network_of(of(*models, output=f"m{count - 1}"))
    assert found.outputs == [("x", 0)]
    assert [one.name for one in found.found] == ["x"]


def test_deep_but_not_too_deep() -> None:
    assert len(network_of(deep(20)).found) == 3
    twice = network_of(doubling(5))
    assert [len(one.calls) for one in twice.found] == [0, 32, 32]
