"""Errors: one base class to catch them all, the built-in class a Python reader expects, and one way of wording."""

from __future__ import annotations

import inspect

import pytest

from minicnn import errors
from minicnn.errors import MinicnnError, did_you_mean, explain, missing

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MinicnnError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_ours_and_says_when_it_is_raised(kind: type[MinicnnError]) -> None:
    assert kind.__name__.endswith("Error")
    assert kind.__doc__
    with pytest.raises(MinicnnError, match=r"^what happened$"):
        raise kind("what happened")


@pytest.mark.parametrize(
    "kind, familiar",
    [
        (errors.ShapeError, ValueError),
        (errors.DtypeError, TypeError),
        (errors.OptionError, ValueError),
        (errors.ArgumentError, TypeError),
        (errors.LabelError, ValueError),
        (errors.StateError, RuntimeError),
        (errors.LoadError, ValueError),
        (errors.ImageError, ValueError),
        (errors.NoFaceError, ValueError),
        (errors.MissingDependencyError, ImportError),
    ],
)
def test_each_error_is_also_the_familiar_one(kind: type[MinicnnError], familiar: type[Exception]) -> None:
    assert issubclass(kind, familiar)


def test_the_table_above_is_complete() -> None:
    assert len(CLASSES) == 11  # ten and their base


def test_explain_says_expected_received_and_fix() -> None:
    assert explain("a dog", "a cat") == "Expected a dog. Received: a cat."
    assert explain("a dog", "a cat", "Bark.") == "Expected a dog. Received: a cat. Bark."


def test_a_missing_package_names_purpose_package_and_command() -> None:
    error = missing("dlib", "faces", "Detecting faces")
    assert isinstance(error, errors.MissingDependencyError)
    assert "Detecting faces needs the package 'dlib'" in str(error)
    assert "pip install 'minicnn[faces]'" in str(error)


@pytest.mark.parametrize(
    "word, meant",
    [("vgg", "vgg-face"), ("facecnn", "face-cnn"), ("Relu", "ReLU"), ("RESIDUAL-CNN", "residual-cnn"), (None, "")],
)
def test_what_may_have_been_meant_whatever_its_capitals(word: object, meant: str) -> None:
    question = did_you_mean(word, ("face-cnn", "residual-cnn", "vgg-face", "ReLU"))
    assert question == (f"Did you mean '{meant}'?" if meant else "")


def test_nothing_is_near_to_what_is_far() -> None:
    assert did_you_mean("alexnet", ("vgg-face", "ReLU")) == did_you_mean("relu", ()) == ""
