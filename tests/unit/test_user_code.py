"""Somebody's own function: found in its file, called, and whatever goes wrong in it is one message with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from minicnn.errors import LoadError
from minicnn.user_code import call, load_function

OWN = """from pathlib import Path
from minicnn import Dense

def both(first, second):
    return first - second

def one(first):
    return first

def breaks(first, second):
    return first / (second - second)

def breaks_below(first, second):
    return Path(first)

def calls_wrongly(first, second):
    return one(first, second)

def leaves(first, second):
    raise SystemExit(0)
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return str(tmp_path / "own.py")


def test_a_function_is_called_with_the_values_in_their_order(file: str) -> None:
    place = f"{file}:both"
    assert call(load_function(place), place, larger=5, smaller=3) == 2


def test_only_what_the_file_defines_is_listed(file: str) -> None:
    with pytest.raises(LoadError) as refusal:
        load_function(f"{file}:nothing_like_it_at_all")
    listed = "both, one, breaks, breaks_below, calls_wrongly, leaves"
    assert str(refusal.value).endswith(f"It has: {listed}.")
    with pytest.raises(LoadError, match="Did you mean 'both'"):
        load_function(f"{file}:Boht")


def test_a_function_that_takes_other_arguments_hears_how_it_is_called(file: str) -> None:
    place = f"{file}:one"
    message = r"called as one\(input_shape, classes\)\. Received: one that refuses it: one\(\) takes 1 positional"
    with pytest.raises(LoadError, match=message):
        call(load_function(place), place, input_shape=(1,), classes=2)


@pytest.mark.parametrize(
    "name, message",
    [
        ("breaks", r"own\.py, line 11: ZeroDivisionError: "),
        ("breaks_below", r"own\.py, line 14: TypeError: "),  # the line is theirs, whoever raised it
        ("calls_wrongly", r"own\.py, line 17: TypeError: one\(\) takes"),
        ("leaves", r"own\.py, line 20: SystemExit: 0"),
    ],
)
def test_what_goes_wrong_inside_is_named_with_its_line(name: str, message: str, file: str) -> None:
    place = f"{file}:{name}"
    with pytest.raises(LoadError, match=message):
        call(load_function(place), place, first=1, second=2)
