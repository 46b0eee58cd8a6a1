"""Optimisers against Keras: the same parameters and gradients for many steps, over a grid of every option."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn import optimizers, schedules
from minicnn.optimizers import Optimizer
from minicnn.shapes import Array

keras = pytest.importorskip("keras", reason="compares with Keras")
pytest.importorskip("tensorflow", reason="compares with Keras on TensorFlow")

SHAPES = {"conv/kernel": (3, 3, 2, 4), "dense/bias": (5,), "scalar/gain": ()}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "learning_rate": 0.03}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.8, "epsilon": 1e-3}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"momentum": 0.7}),
    ("RMSprop", {"momentum": 0.7, "centered": True, "learning_rate": 0.01}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.01, "epsilon": 1e-4, "learning_rate": 0.1}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True}),
]
COMMON: list[dict[str, Any]] = [
    {"weight_decay": 0.05},
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 1.5},
    {"global_clipnorm": 1e6},  # longer than any gradient: nothing is clipped
    {"weight_decay": 0.05, "clipnorm": 1.0},
]


@pytest.fixture
def float64() -> Iterator[None]:
    """Keras keeps the learning rate in floatx, whatever the parameters are."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def gradients_at(step: int, dtype: str) -> dict[str, Array]:
    """Random, of sizes that grow and shrink, and all zero in one step."""
    rng = np.random.default_rng([7, step])
    size = 0.0 if step == 3 else float(np.exp(rng.normal()))
    return {name: np.asarray(size * rng.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def ours(optimizer: Optimizer, steps: int, dtype: str) -> dict[str, Array]:
    parameters = initial(dtype)
    for step in range(steps):
        optimizer.apply(parameters, gradients_at(step, dtype))
    return parameters


def theirs(optimizer: Any, steps: int, dtype: str) -> dict[str, Array]:
    variables = {name: keras.Variable(value, dtype=dtype) for name, value in initial(dtype).items()}
    for step in range(steps):
        gradients = gradients_at(step, dtype)
        optimizer.apply([keras.ops.convert_to_tensor(gradients[name]) for name in SHAPES], list(variables.values()))
    return {name: np.asarray(variable) for name, variable in variables.items()}


def initial(dtype: str) -> dict[str, Array]:
    rng = np.random.default_rng(11)
    return {name: np.asarray(rng.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def flat(parameters: dict[str, Array]) -> Array:
    return np.concatenate([parameters[name].ravel() for name in SHAPES])


def keras_optimizer(kind: str, options: dict[str, Any]) -> Any:
    """Every number as a NumPy float64: a plain Python float would pass through float32 on its way into TensorFlow."""
    cls = getattr(keras.optimizers, kind)
    defaults = {p.name: p.default for p in inspect.signature(cls).parameters.values() if isinstance(p.default, float)}
    arguments = {**defaults, **options}
    return cls(**{name: np.float64(value) if type(value) is float else value for name, value in arguments.items()})


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_every_option_in_float64(kind: str, options: dict[str, Any]) -> None:
    a = ours(optimizers.get({"class_name": kind, "config": options}), 15, "float64")
    b = theirs(keras_optimizer(kind, options), 15, "float64")
    np.testing.assert_allclose(flat(a), flat(b), rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_a_hundred_steps_in_float64(kind: str) -> None:
    options: dict[str, Any] = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    a = ours(optimizers.get({"class_name": kind, "config": options}), 100, "float64")
    b = theirs(keras_optimizer(kind, options), 100, "float64")
    np.testing.assert_allclose(flat(a), flat(b), rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("common", COMMON, ids=str)
@pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adagrad", "AdamW"])
def test_clipping_and_decay_in_float64(kind: str, common: dict[str, Any]) -> None:
    a = ours(optimizers.get({"class_name": kind, "config": common}), 10, "float64")
    b = theirs(keras_optimizer(kind, common), 10, "float64")
    np.testing.assert_allclose(flat(a), flat(b), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_in_float32_we_are_as_close_to_the_truth(kind: str, options: dict[str, Any]) -> None:
    """The float64 run is the referee; the rule is the one for layers."""
    options = {"weight_decay": 0.05, "clipnorm": 1.0, **options}
    ours_is = optimizers.get({"class_name": kind, "config": options})
    referee = optimizers.get({"class_name": kind, "config": options})
    rounded = {name: value.astype("float64") for name, value in initial("float32").items()}
    for step in range(12):
        referee.apply(rounded, {name: g.astype("float64") for name, g in gradients_at(step, "float32").items()})
    parameters = ours(ours_is, 12, "float32")
    assert {value.dtype for value in parameters.values()} == {np.dtype("float32")}
    truth = flat(rounded)
    error = np.abs(flat(parameters) - truth).max() / np.abs(truth).max()
    keras_parameters = theirs(getattr(keras.optimizers, kind)(**options), 12, "float32")
    keras_error = np.abs(flat(keras_parameters) - truth).max() / np.abs(truth).max()
    assert error <= max(2 * keras_error, 8 * 2**-24)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("common", [{}, {"weight_decay": 0.1}], ids=str)
def test_a_schedule_as_learning_rate(common: dict[str, Any]) -> None:
    arguments = {"initial_learning_rate": 0.1, "decay_steps": 6, "warmup_target": 0.3, "warmup_steps": 3}
    a = ours(optimizers.SGD(schedules.CosineDecay(**arguments), momentum=0.9, **common), 12, "float64")
    exact = {name: np.float64(value) for name, value in arguments.items()}
    schedule = keras.optimizers.schedules.CosineDecay(**exact)
    b = theirs(keras_optimizer("SGD", {"learning_rate": schedule, "momentum": 0.9, **common}), 12, "float64")
    np.testing.assert_allclose(flat(a), flat(b), rtol=1e-12)


def test_the_defaults_are_the_same() -> None:
    for kind, cls in optimizers.OPTIMIZERS.items():
        mine, other = cls(), keras.optimizers.get(kind)
        for name, value in other.get_config().items():
            if hasattr(mine, name) and name != "name":
                expected = value if value is None else pytest.approx(value, rel=1e-6)
                assert getattr(mine, name) == expected, (kind, name)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_our_config_makes_the_keras_optimizer(kind: str, options: dict[str, Any]) -> None:
    config = optimizers.get({"class_name": kind, "config": options}).config()
    twin = keras.optimizers.deserialize({"class_name": kind, "config": config}).get_config()
    for name, value in options.items():
        assert twin[name] == pytest.approx(value, rel=1e-6)
