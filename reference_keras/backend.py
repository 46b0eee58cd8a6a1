"""Keras, imported when it is first needed, on the backend this package speaks: TensorFlow.

Keras decides its backend once, when it is imported: the environment variable KERAS_BACKEND wins over the
``"backend"`` of its JSON file (``keras.json`` in ``$KERAS_HOME``, or in ``~/.keras``), which wins over the default,
TensorFlow. Whoever chose another backend did so on purpose, so nothing is overridden here: the error says where the
choice stands and how to change it.

The JSON file may also choose other defaults. ``floatx`` and ``image_data_format`` cannot change a result: every twin
layer is given its dtype and ``channels_last`` explicitly. ``epsilon`` can (losses clip probabilities with it), so an
unusual one is an error too.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from minicnn.errors import LoadError, OptionError, explain, missing

EPSILON = 1e-7  # Keras's default; minicnn's losses clip with the same


class BackendChoice(NamedTuple):
    """Which backend Keras will use, and who said so: "KERAS_BACKEND", a keras.json, or "Keras's default"."""

    backend: str
    source: str


def keras_json_path() -> Path:
    """Where Keras looks for its JSON file; whether or not there is one."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path("~/.keras").expanduser()) / "keras.json"


def keras_settings() -> dict[str, object]:
    """What the JSON file says; {} without one. Raises LoadError when it is there but is not a JSON object."""
    path = keras_json_path()
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(
            explain(f"a JSON object in {path}", str(error), "Mend or delete the file; Keras makes it anew.")
        ) from error
    if not isinstance(settings, dict):
        raise LoadError(explain(f"a JSON object in {path}", type(settings).__name__, "Mend or delete the file."))
    return settings


def backend_choice() -> BackendChoice:
    """What Keras will choose when it is imported. Imports nothing itself, so it is quick."""
    variable = os.environ.get("KERAS_BACKEND")
    if variable:
        return BackendChoice(variable, "the environment variable KERAS_BACKEND")
    settings = keras_settings()
    if "backend" in settings:
        return BackendChoice(str(settings["backend"]), str(keras_json_path()))
    return BackendChoice("tensorflow", "Keras's default")


def require_tensorflow() -> None:
    """Raise what stands in Keras's way: OptionError or LoadError (settings), MissingDependencyError (packages)."""
    choice = backend_choice()
    if choice.backend != "tensorflow":
        where = "set KERAS_BACKEND=tensorflow for this command, or unset it"
        if choice.source != "the environment variable KERAS_BACKEND":
            where = f'set KERAS_BACKEND=tensorflow for this command, or "backend": "tensorflow" in {choice.source}'
        raise OptionError(
            explain(
                "Keras on the TensorFlow backend", f"{choice.backend!r}, from {choice.source}", f"To compare, {where}."
            )
        )
    epsilon = keras_settings().get("epsilon", EPSILON)
    if epsilon != EPSILON:
        raise OptionError(
            explain(
                f'"epsilon": {EPSILON}, Keras\'s default, with which probabilities are clipped',
                f"{epsilon!r} in {keras_json_path()}",
                "Set it back, or point KERAS_HOME to another folder for this command.",
            )
        )
    for package in ("keras", "tensorflow"):
        if importlib.util.find_spec(package) is None:
            raise missing(package, "keras", "Comparing with Keras")


@functools.cache
def load_keras() -> ModuleType:
    """The module ``keras``, on TensorFlow, without TensorFlow's start-up messages. The first call takes seconds."""
    require_tensorflow()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silenced_stderr():
        keras = importlib.import_module("keras")
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()  # looks for GPUs, loudly; settings of threads can still follow
    tensorflow.get_logger().setLevel("ERROR")  # that one function is traced for many shapes is meant so here

    if keras.backend.backend() != "tensorflow":
        raise OptionError(
            explain(
                "Keras on the TensorFlow backend",
                f"{keras.backend.backend()!r}: Keras was imported before, with other settings",
                "Restart Python with KERAS_BACKEND=tensorflow.",
            )
        )
    return keras


def load_tensorflow() -> ModuleType:
    """The module ``tensorflow`` behind Keras: for its gradient tape and its threads."""
    load_keras()
    return importlib.import_module("tensorflow")


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """TensorFlow's C++ side writes to file descriptor 2 before any setting reaches it; what fails still raises."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no stderr to silence
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
