"""Options: what counts as a number, a flag, a name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.errors import OptionError
from minicnn.options import arguments_of, flag, from_identifier, function, label, number


class Thing:
    def __init__(self, size: int, colour: str = "grey") -> None:
        self.size, self.colour = size, colour


CLASSES = {"thing": Thing}


@pytest.mark.parametrize("value", [0.5, np.float32(0.5)])
def test_numbers(value: Any) -> None:
    result = number("rate", value, least=0, below=1)
    assert type(result) is float
    assert result == 0.5
    assert number("rate", np.int64(3)) == 3.0


@pytest.mark.parametrize("value", [True, None, "0.5", float("nan"), float("inf"), 10**400, [0.5], 1j])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(OptionError, match="rate as a finite number"):
        number("rate", value)


def test_bounds_are_named_and_kept() -> None:
    assert number("rate", 0, least=0, most=1) == 0
    with pytest.raises(OptionError, match=r"rate as a finite number >= 0 and <= 1\. Received: 1\.5"):
        number("rate", 1.5, least=0, most=1)
    for value in (0, 1):
        with pytest.raises(OptionError, match="> 0 and < 1"):
            number("rate", value, above=0, below=1)


def test_the_message_ends_with_the_way_to_mend_it() -> None:
    with pytest.raises(OptionError, match=r"Received: 2\. 0\.5 drops half\."):
        number("rate", 2, most=1, fix="0.5 drops half.")


def test_labels() -> None:
    assert label("a layer name", "conv 1, für ü") == "conv 1, für ü"
    for name in ("", "a/b", ".", "..", "a\0b", None, 3):
        with pytest.raises(OptionError, match="a layer name without '/'"):
            label("a layer name", name)


def test_flags() -> None:
    assert flag("centered", np.True_) is True
    for value in (1, "yes", None):
        with pytest.raises(OptionError, match="centered"):
            flag("centered", value)


def test_from_a_name_a_description_or_itself() -> None:
    thing = from_identifier("a thing", {"class_name": "Thing", "config": {"size": 3}}, Thing, CLASSES)
    assert (thing.size, thing.colour) == (3, "grey")
    assert arguments_of(thing) == {"size": 3}
    assert arguments_of(Thing(3, "red")) == {"size": 3, "colour": "red"}
    assert from_identifier("a thing", thing, Thing, CLASSES) is thing


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("thong", "a thing: one of thing"),
        (None, "a thing"),
        (["thing"], "a thing"),
        ({"config": {}}, "a thing"),
        ({"class_name": ["Thing"]}, "a thing"),
        ("thing", "size"),
        ({"class_name": "thing", "config": {"size": 1, "weight": 2}}, "weight"),
        ({"class_name": "thing", "config": {"size": 1, "wieght": 2}}, r"arguments of thing \(size, colour\)"),
        ({"class_name": "thing", "config": {1: 2}}, "the arguments of thing by name"),
        ({"class_name": "thing", "config": None}, "the arguments of thing by name"),
        ({"class_name": "thing", "config": [1]}, "the arguments of thing by name"),
    ],
)
def test_what_is_no_identifier(identifier: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        from_identifier("a thing", identifier, Thing, CLASSES)


def test_functions_are_what_can_be_called() -> None:
    assert function("augment", len) is len
    with pytest.raises(OptionError, match=r"^Expected augment as a function\. Received: 'flip'\. Try len\.$"):
        function("augment", "flip", "Try len.")
