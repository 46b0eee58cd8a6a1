"""Attributes that Keras has: what somebody is told who asks for them here."""

from __future__ import annotations

import copy
import pickle
from inspect import getattr_static
from typing import Any

import pytest

from minicnn.keras_names import Elsewhere
from minicnn.layers import Dense, Layer
from minicnn.optimizers import SGD
from minicnn.sequential import Sequential


def things() -> list[object]:
    return [Sequential([Dense(2)], input_shape=(3,)), Dense(2), SGD()]


def answered(thing: object) -> list[str]:
    return [name for name in dir(type(thing)) if isinstance(getattr_static(thing, name), Elsewhere)]


CASES = [(thing, name) for thing in things() for name in answered(thing)]


@pytest.mark.parametrize(("thing", "name"), CASES, ids=[f"{type(thing).__name__}.{name}" for thing, name in CASES])
def test_every_name_is_missing_and_answered(thing: object, name: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(thing, name)
    assert str(caught.value).startswith(f"'{type(thing).__name__}' object has no attribute '{name}'. ")
    assert (caught.value.name, caught.value.obj) == (name, thing)
    assert not hasattr(thing, name)
    assert name not in dir(thing)
    with pytest.raises(AttributeError, match=f"^type object '{type(thing).__name__}' has no attribute '{name}'"):
        getattr(type(thing), name)


@pytest.mark.parametrize(("thing", "name"), CASES, ids=[f"{type(thing).__name__}.{name}" for thing, name in CASES])
def test_nothing_is_written_under_such_a_name(thing: object, name: str) -> None:
    with pytest.raises(AttributeError, match=f"^'{name}' of '{type(thing).__name__}' object cannot be set\\. "):
        setattr(thing, name, 1)
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        delattr(thing, name)
    assert name not in vars(thing)


def test_every_kind_of_thing_has_such_names() -> None:
    assert [len(answered(thing)) > 3 for thing in things()] == [True] * 3


@pytest.mark.parametrize("thing", things(), ids=lambda thing: type(thing).__name__)
def test_other_names_get_pythons_own_error(thing: Any) -> None:
    with pytest.raises(AttributeError, match=f"^'{type(thing).__name__}' object has no attribute 'nonsense'$"):
        _ = thing.nonsense
    assert type(copy.deepcopy(thing)) is type(pickle.loads(pickle.dumps(thing))) is type(thing)


def test_a_layer_of_ones_own_may_have_such_attributes() -> None:
    class Own(Layer):
        kernel = "mine"
        bias: int

        def output_shape(self, input_shape: Any) -> Any:
            return input_shape

        def forward(self, x: Any, context: Any = None) -> Any:
            return x, None

        def backward(self, dy: Any, cache: Any, *, input_gradient: bool = True) -> Any:
            return dy, {}

    own = Own()
    own.bias = 3
    assert (own.kernel, own.bias) == ("mine", 3)
    del own.bias
    assert not hasattr(own, "bias")
    own.bias = 3
    assert {"kernel", "bias"} <= set(dir(own))
