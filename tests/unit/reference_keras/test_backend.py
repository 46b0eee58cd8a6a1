"""Which backend Keras would use, who decided it, and what one reads when it is not TensorFlow. Imports no Keras."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from minicnn.errors import LoadError, MissingDependencyError, OptionError
from reference_keras import backend


@pytest.fixture
def keras_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a keras.json that is in force, with no variable above it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return tmp_path / "keras.json"


def test_without_any_setting_keras_takes_tensorflow(keras_json: Path) -> None:
    assert backend.backend_choice() == ("tensorflow", "Keras's default")
    assert backend.keras_json_path() == keras_json


def test_the_json_file_decides(keras_json: Path) -> None:
    keras_json.write_text(json.dumps({"backend": "jax"}))
    assert backend.backend_choice() == ("jax", str(keras_json))


def test_the_variable_wins_over_the_file(keras_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras_json.write_text(json.dumps({"backend": "jax"}))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert backend.backend_choice() == ("torch", "the environment variable KERAS_BACKEND")


def test_without_keras_home_the_file_is_in_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert backend.keras_json_path() == Path.home() / ".keras" / "keras.json"


def test_another_backend_in_the_file_is_refused_with_file_and_cure(keras_json: Path) -> None:
    keras_json.write_text(json.dumps({"backend": "jax"}))
    with pytest.raises(OptionError) as error:
        backend.require_tensorflow()
    for part in ("TensorFlow", "'jax'", str(keras_json), "KERAS_BACKEND=tensorflow", '"backend": "tensorflow"'):
        assert part in str(error.value)


def test_another_backend_in_the_variable_is_refused_and_not_overridden(
    keras_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(OptionError, match=r"'torch', from the environment variable KERAS_BACKEND"):
        backend.require_tensorflow()
    assert backend.backend_choice().backend == "torch"


def test_an_unusual_epsilon_is_refused_because_losses_would_differ(keras_json: Path) -> None:
    keras_json.write_text(json.dumps({"backend": "tensorflow", "epsilon": 1e-4}))
    with pytest.raises(OptionError, match=r"0\.0001 in"):
        backend.require_tensorflow()


def test_keras_own_defaults_pass(keras_json: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the extra 'keras'")
    keras_json.write_text(json.dumps({"floatx": "float64", "epsilon": 1e-07, "backend": "tensorflow"}))
    backend.require_tensorflow()


@pytest.mark.parametrize("content", ["{not json", "[1, 2]", ""])
def test_a_broken_file_is_named(keras_json: Path, content: str) -> None:
    keras_json.write_text(content)
    with pytest.raises(LoadError, match=r"keras\.json"):
        backend.keras_settings()


@pytest.mark.parametrize("package", ["keras", "tensorflow"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    keras_json: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingDependencyError, match=rf"'{package}'.*minicnn\[keras\]"):
        backend.require_tensorflow()
