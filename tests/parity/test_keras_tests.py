"""Keras's own tests, with minicnn's numbers: none fails, and what is left out is left out for the reason that is known.

``keras_tests.json`` lists every case: "" for one that passes, otherwise why it does not apply. It was written by
``python -m reference_keras.replay``, for the version of Keras that it names; with another version new cases may come
and others go, but none may fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="replays Keras's tests: pip install 'minicnn[keras]'")

import keras

from reference_keras.replay import FILES, replay
from reference_keras.replay.layers import layer_shims
from reference_keras.replay.runner import source
from reference_keras.replay.shims import class_shims, initializer_calls

KNOWN: dict[str, Any] = json.loads(Path(__file__).with_name("keras_tests.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_keras_s_tests_pass_with_minicnn_s_numbers(file: str) -> None:
    if keras.__version__ != KNOWN["keras"] and not source(file).is_file():  # the known version has them all
        pytest.skip(f"this installation of Keras came without {source(file).name}")
    outcomes = list(replay(file))
    assert outcomes
    assert not [f"{outcome.case}: {outcome.reason}" for outcome in outcomes if outcome.result == "failed"]
    assert all(outcome.computed > 0 for outcome in outcomes if outcome.result == "passed")
    if keras.__version__ == KNOWN["keras"]:
        assert {outcome.case.partition(":")[2]: outcome.reason for outcome in outcomes} == KNOWN["cases"][file]


def test_every_file_has_cases_that_pass_and_every_other_case_a_reason() -> None:
    assert set(KNOWN["cases"]) == set(FILES)
    for cases in KNOWN["cases"].values():
        assert cases
        assert all(reason == "" or len(reason) > 15 for reason in cases.values())


def test_the_numbers_are_minicnn_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong minicnn fails Keras's tests: the shims really compute with it."""
    right = keras.layers.ReLU
    shim = layer_shims()[right]
    x = np.array([-1.0, 0.0, 2.0], np.float32)
    assert np.asarray(shim()(keras.ops.convert_to_tensor(x))).tolist() == [0, 0, 2]
    monkeypatch.setattr("minicnn.layers.activations.ops.relu", lambda x: (x + 1, None))
    assert np.asarray(shim()(keras.ops.convert_to_tensor(x))).tolist() == [0, 1, 3]
    assert np.asarray(right()(keras.ops.convert_to_tensor(x))).tolist() == [0, 0, 2]


def test_shims_stand_for_everything_that_both_sides_have() -> None:
    names = {cls.__name__ for cls in {**layer_shims(), **class_shims()}}
    assert {"Conv2D", "BatchNormalization", "Dense", "CategoricalCrossentropy", "Adam", "CosineDecay"} <= names
    assert "HeNormal" in {cls.__name__ for cls in initializer_calls()}
