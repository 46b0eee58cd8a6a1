"""Loading Keras's tests from the installed package, putting the shims in, and running them one by one."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import sys
import unittest
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.replay.layers import layer_shims
from reference_keras.replay.record import RECORD, NotApplicableError
from reference_keras.replay.shims import activation_shims, class_shims, initializer_calls

FILES = (
    *(f"layers/convolutional/{name}" for name in ("conv", "conv_transpose", "depthwise_conv", "separable_conv")),
    *(f"layers/pooling/{name}_pooling" for name in ("average", "max", "global_average", "global_max")),
    *(f"layers/normalization/{name}_normalization" for name in ("batch", "layer", "unit")),
    *(f"layers/activations/{name}" for name in ("activation", "elu", "leaky_relu", "relu", "softmax")),
    *(f"layers/reshaping/{name}" for name in ("flatten", "permute", "reshape", "up_sampling2d", "zero_padding2d")),
    *(
        "layers/core/dense",
        "layers/merging/merging",
        "layers/regularization/dropout",
        "losses/losses",
        "activations/activations",
    ),
    *("metrics/accuracy_metrics", "metrics/reduction_metrics", "metrics/regression_metrics"),
    "optimizers/schedules/learning_rate_schedule",
    *(f"optimizers/{name}" for name in ("optimizer", "adam", "adamw", "adagrad", "rmsprop", "sgd")),
    *("initializers/constant_initializers", "initializers/random_initializers"),
)


@dataclass(frozen=True)
class Outcome:
    """One of Keras's test cases: "passed" and "failed" ran with minicnn's numbers; "left out" has a reason."""

    case: str  # "layers/core/dense:DenseTest.test_dense_correctness"
    result: str
    reason: str = ""
    computed: int = 0  # calls that minicnn computed


def source(file: str) -> Path:
    """Where the installed package keeps the tests called ``file``; there may be none."""
    return Path(load_keras().__file__).parent / "src" / f"{file}_test.py"


def replay(file: str) -> Iterator[Outcome]:
    """Run every case of one of ``FILES``. Nothing is yielded where the package came without its tests."""
    path = source(file)
    if not path.is_file():
        return
    module = _load(path)
    tensorflow = load_tensorflow()
    tensorflow.config.run_functions_eagerly(True)  # so that fit and predict call the shims with numbers
    try:
        with contextlib.ExitStack() as patches:
            if file.startswith("initializers/"):  # which Keras saves by class, so the class itself must compute
                for cls, call in initializer_calls().items():
                    patches.enter_context(mock.patch.object(cls, "__call__", call))
            for test in _cases(unittest.defaultTestLoader.loadTestsFromModule(module)):
                yield _run(file, test)
    finally:
        tensorflow.config.run_functions_eagerly(False)
        sys.modules.pop(module.__name__, None)


def _cases(suite: Any) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _cases(test)
        else:
            yield test


def _run(file: str, test: unittest.TestCase) -> Outcome:
    case = f"{file}:{'.'.join(test.id().split('.')[-2:])}"
    load_keras().utils.set_random_seed(0)
    RECORD.clear()
    result = unittest.TestResult()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # Keras's progress bars and warnings
        warnings.simplefilter("ignore")
        test.run(result)
    problems = [text for _, text in (*result.errors, *result.failures)]
    if RECORD.reasons:
        return Outcome(case, "left out", RECORD.reasons[0], RECORD.computed)
    if result.skipped:
        return Outcome(case, "left out", f"Keras skips it here: {result.skipped[0][1]}", RECORD.computed)
    if not RECORD.computed:
        others = ", ".join(dict.fromkeys(RECORD.others))
        reason = f"minicnn has no {others}" if others else "nothing is computed in it by what minicnn has"
        return Outcome(case, "left out", reason)
    if problems:
        return Outcome(case, "failed", problems[0].strip().splitlines()[-1], RECORD.computed)
    return Outcome(case, "passed", "", RECORD.computed)


@functools.cache
def _shims() -> dict[type[Any], type[Any]]:
    return {**layer_shims(), **class_shims()}


@functools.cache
def _computing() -> tuple[type[Any], ...]:
    """What classes of Keras that compute numbers are made of."""
    keras = load_keras()
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return keras.layers.Layer, keras.Loss, keras.Metric, keras.Optimizer, keras.Initializer, schedule


@functools.cache
def _known() -> frozenset[type[Any]]:
    """Classes that minicnn has too, and networks, which compute nothing by themselves."""
    keras = load_keras()
    return frozenset({*_shims(), *initializer_calls(), keras.Model, keras.Sequential, keras.layers.InputLayer})


def _load(path: Path) -> ModuleType:
    """A test file as a module of its own, in which Keras's classes are exchanged."""
    spec = importlib.util.spec_from_file_location(f"replayed_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    kept = sys.modules.get("conftest")
    sys.modules["conftest"] = _conftest()
    home = importlib.import_module("keras.src.layers")
    try:
        with contextlib.ExitStack() as patches:  # parameter grids name classes while the file is read
            for cls, shim in _shims().items():
                if vars(home).get(cls.__name__) is cls:
                    patches.enter_context(mock.patch.object(home, cls.__name__, shim))
            spec.loader.exec_module(module)
    finally:
        del sys.modules["conftest"]
        if kept is not None:
            sys.modules["conftest"] = kept
    for name, value in list(vars(module).items()):
        if isinstance(value, type):
            setattr(module, name, _shims().get(value, value))
        elif isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "keras":
            setattr(module, name, _Exchanged(value))
    return module


def _conftest() -> ModuleType:
    """What some of the tests import from the conftest.py of Keras's repository, which the package does not bring."""
    module = ModuleType("conftest")

    def skip_if_backend(name: str, reason: str) -> Any:
        return unittest.skipIf(name == "tensorflow", reason)

    module.skip_if_backend = skip_if_backend  # type: ignore[attr-defined]
    return module


class _Exchanged:
    """A module of Keras in which the classes that minicnn has are exchanged, in its submodules too."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._functions = activation_shims() if module.__name__.endswith("activations") else {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, type):
            if issubclass(value, _computing()) and value not in _known():
                RECORD.others.append(name)
            return _shims().get(value, value)
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "keras":
            return _Exchanged(value)
        if self._functions and callable(value) and name not in (*self._functions, "get", "serialize", "deserialize"):
            RECORD.others.append(name)
        return self._functions.get(name, value) if callable(value) else value


__all__ = ["FILES", "NotApplicableError", "Outcome", "replay", "source"]
