"""Another framework's numbers: computed in the background, and whatever becomes of them is said."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minicnn.errors import OptionError
from minicnn.explorer.beside import Beside
from tests.unit.explorer.conftest import small_network

X = DY = np.zeros(1)


def test_without_a_reference_the_reason_is_said() -> None:
    beside = Beside(None, "not installed")
    beside.ask("q", small_network(), X, DY)
    assert beside.number(0, "conv1", (0,)) == {"status": "absent", "message": "not installed"}


def test_numbers_come_when_they_are_ready() -> None:
    go, asked = threading.Event(), []

    def reference(model, x, dy):  # type: ignore[no-untyped-def]
        asked.append(x)
        go.wait(10)
        return {"conv1": np.array([3.0])}, {"conv1": np.array([4.0])}

    beside = Beside(reference)
    for _ in range(3):  # the same question: asked once
        beside.ask("q", small_network(), X, DY)
    assert beside.number(0, "conv1", (0,))["status"] == "working"
    go.set()
    beside.wait()
    assert beside.number(0, "conv1", (0,)) == {"status": "ready", "value": 3.0}
    assert beside.number(1, "conv1", (0,)) == {"status": "ready", "value": 4.0}
    assert beside.number(0, "conv2", (0,))["status"] == "failed"
    assert len(asked) == 1
    beside.ask("another", small_network(), X, DY)
    beside.wait()
    assert len(asked) == 2


def test_a_refusal_is_passed_on_in_its_words() -> None:
    def reference(model, x, dy):  # type: ignore[no-untyped-def]
        raise OptionError("Keras has no such layer.")

    beside = Beside(reference)
    beside.ask("q", small_network(), X, DY)
    beside.wait()
    assert beside.number(0, "conv1", (0,)) == {"status": "failed", "message": "Keras has no such layer."}


def test_a_bug_is_not_hidden() -> None:
    def reference(model, x, dy):  # type: ignore[no-untyped-def]
        return 1 / 0

    beside = Beside(reference)
    beside.ask("q", small_network(), X, DY)
    beside.wait()
    with pytest.raises(ZeroDivisionError):
        beside.number(0, "conv1", (0,))
