"""Losses, metrics, schedules and initialisers: what is one number, or should be one distribution."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from minicnn import initializers, losses, metrics, schedules
from minicnn.shapes import Array
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.lab.reports import Row
from reference_keras.tolerance import AGREE_FLOAT64, U, layer_limit, max_error
from reference_keras.twins import keras_loss
from reference_keras.ulps import EXACT, ulp_report

N, K = 64, 10
LOSS_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "CategoricalCrossentropy": tuple(
        {"from_logits": logits, "label_smoothing": smoothing} for logits in (False, True) for smoothing in (0.0, 0.1)
    ),
    "SparseCategoricalCrossentropy": ({"from_logits": False}, {"from_logits": True}),
    "BinaryCrossentropy": tuple(
        {"from_logits": logits, "label_smoothing": smoothing} for logits in (False, True) for smoothing in (0.0, 0.1)
    ),
    "MeanSquaredError": ({},),
    "MeanAbsoluteError": ({},),
    "Huber": ({}, {"delta": 0.3}),
}
OF_NUMBERS = ("MeanSquaredError", "MeanAbsoluteError", "Huber")  # not of probabilities
METRIC_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "SparseCategoricalAccuracy": ({},),
    "CategoricalAccuracy": ({},),
    "BinaryAccuracy": ({}, {"threshold": 0.25}),
    "SparseTopKCategoricalAccuracy": ({}, {"k": 2}),
    "TopKCategoricalAccuracy": ({}, {"k": 2}),
    "MeanSquaredError": ({},),
    "MeanAbsoluteError": ({},),
    "RootMeanSquaredError": ({},),
}
DECAY = {"initial_learning_rate": 0.1, "decay_steps": 7}
SCHEDULE_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "ExponentialDecay": tuple(DECAY | {"decay_rate": 0.6, "staircase": stairs} for stairs in (False, True)),
    "InverseTimeDecay": tuple(DECAY | {"decay_rate": 0.6, "staircase": stairs} for stairs in (False, True)),
    "PolynomialDecay": tuple(
        DECAY | {"end_learning_rate": 0.01, "power": power, "cycle": cycle}
        for power in (1.0, 2.5)
        for cycle in (False, True)
    ),
    "PiecewiseConstantDecay": ({"boundaries": [3, 10], "values": [0.1, 0.3, 0.05]},),
    "CosineDecay": (DECAY | {"alpha": 0.1}, DECAY | {"warmup_target": 0.3, "warmup_steps": 6}),
}
INITIALIZER_OPTIONS: dict[str, dict[str, Any]] = {"Constant": {"value": 0.3}}  # what has no default
STEPS = 45
SHAPES = ((700,), (50, 90), (3, 3, 8, 16))
DRAWS = 20_000
DOUBT = 1e-6  # two samples of one distribution look this different once in a million times


def compare_losses(seed: int = 0) -> Iterator[Row]:
    """Value, loss of each sample and gradient, for every choice of options."""
    for kind, every in LOSS_OPTIONS.items():
        for options in every:
            rng = np.random.default_rng(seed)
            targets, predictions = _loss_inputs(kind, options, rng)
            loss = losses.get({"class_name": kind, "config": options})
            referee = _our_loss(loss, targets, predictions.astype(np.float64))
            exact = _keras_loss(loss, targets, predictions.astype(np.float64))
            ours, keras = _our_loss(loss, targets, predictions), _keras_loss(loss, targets, predictions)
            yield _row("losses", kind, options, referee, exact, ours, keras)


def _loss_inputs(kind: str, options: dict[str, Any], rng: np.random.Generator) -> tuple[Array, Array]:
    scores = 3 * rng.standard_normal((N, K))
    if kind in OF_NUMBERS or options.get("from_logits"):
        predictions = scores
    elif kind == "BinaryCrossentropy":
        predictions = 1 / (1 + np.exp(-scores))
    else:
        predictions = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    if kind.startswith("Sparse"):
        return rng.integers(0, K, N), predictions.astype(np.float32)
    targets = rng.dirichlet(np.ones(K), N) if kind.startswith("Categorical") else rng.random((N, K))
    return targets, predictions.astype(np.float32)


def _our_loss(loss: losses.Loss, targets: Array, predictions: Array) -> dict[str, Array]:
    value, cache = loss.forward(targets, predictions)
    each = loss.per_sample(targets, predictions)
    return {"value": np.asarray([value]), "losses": each, "gradient": loss.backward(cache)}


def _keras_loss(loss: losses.Loss, targets: Array, predictions: Array) -> dict[str, Array]:
    tensorflow = load_tensorflow()
    twin = keras_loss(loss, dtype=str(predictions.dtype))
    x = tensorflow.constant(predictions)
    with tensorflow.GradientTape() as tape:
        tape.watch(x)
        value = twin(targets, x)
    each = type(twin)(**(loss.config() | {"dtype": str(predictions.dtype), "reduction": "none"}))(targets, x)
    return {"value": value.numpy()[None], "losses": each.numpy(), "gradient": tape.gradient(value, x).numpy()}


def _row(
    family: str,
    kind: str,
    options: dict[str, Any],
    referee: dict[str, Array],
    exact: dict[str, Array],
    ours: dict[str, Array],
    keras: dict[str, Array],
) -> Row:
    """A row from the arrays of four computations: the referee, Keras in float64, both in float32."""
    float64 = {name: max_error(exact[name], array) for name, array in referee.items()}
    errors = {name: (max_error(ours[name], a), max_error(keras[name], a)) for name, a in referee.items()}
    problems = [f"{name}: float64 differs by {e:.2g}" for name, e in float64.items() if not e <= AGREE_FLOAT64]
    problems += [f"{n}: error {a:.2g}, Keras's {b:.2g}" for n, (a, b) in errors.items() if not a <= layer_limit(b)]
    reports = {name: ulp_report(ours[name], keras[name], array) for name, array in referee.items()}
    sides = [[r.ours_rms for r in reports.values()], [r.keras_rms for r in reports.values()]]
    closer = "equal" if sides[0] == sides[1] else "minicnn" if sum(sides[0]) < sum(sides[1]) else "Keras"
    if all(report.exact for report in reports.values()):
        closer = EXACT
    name, worst = max(reports.items(), key=lambda pair: errors[pair[0]][0])
    return Row(
        family,
        kind,
        options,
        ok=not problems,
        problem="; ".join(problems),
        float64=max(float64.values()),
        ours=max(a for a, _ in errors.values()),
        keras=max(b for _, b in errors.values()),
        closer=closer,
        ours_ulps=tuple(map(sum, zip(*(r.ours for r in reports.values()), strict=True))),
        keras_ulps=tuple(map(sum, zip(*(r.keras for r in reports.values()), strict=True))),
        worst=f"{name}{list(worst.worst)}: minicnn {worst.values[0]:.9g}, Keras {worst.values[1]:.9g}, "
        f"float64 {worst.values[2]:.17g}",
    )


def compare_metrics(seed: int = 0) -> Iterator[Row]:
    """Three batches with ties and weights; Keras adds up in float32, so that is how far it may be off."""
    for kind, every in METRIC_OPTIONS.items():
        for options in every:
            rng = np.random.default_rng(seed)
            ours = metrics.get({"class_name": kind, "config": options})
            theirs = getattr(load_keras().metrics, kind)(**options)
            for size in (N, 1, 7):
                targets, predictions = _metric_inputs(kind, size, rng)
                weights = rng.random(size)
                ours.update(targets, predictions, weights)
                theirs.update_state(targets, predictions, weights)
            apart = abs(ours.result() - float(theirs.result()))
            limit = 16 * U
            problem = "" if apart <= limit else f"minicnn {ours.result()}, Keras {float(theirs.result())}"
            yield Row("metrics", kind, options, apart <= limit, problem, float64=apart)


def _metric_inputs(kind: str, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    predictions = (rng.integers(0, 5, (size, K)) / 4).astype(np.float32)  # full of ties
    if kind.startswith("Sparse"):
        return rng.integers(0, K, size), predictions
    if kind == "BinaryAccuracy":
        return rng.integers(0, 2, (size, K)), predictions
    return np.eye(K, dtype=np.float32)[rng.integers(0, K, size)], predictions


def compare_schedules() -> Iterator[Row]:
    """The learning rate at each of the first steps, in float64."""
    for kind, every in SCHEDULE_OPTIONS.items():
        for options in every:
            ours = schedules.get({"class_name": kind, "config": options})
            theirs = getattr(load_keras().optimizers.schedules, kind)(**_exact(options))
            rates = np.array([ours(step) for step in range(STEPS)])
            apart = max_error(np.array([float(theirs(step)) for step in range(STEPS)]), rates)
            problem = "" if apart <= AGREE_FLOAT64 else f"rates differ by {apart:.2g}"
            yield Row("schedules", kind, options, not problem, problem, float64=apart)


def _exact(options: dict[str, Any]) -> dict[str, Any]:
    """Python floats as NumPy's: TensorFlow takes the former for float32."""

    def exact(value: Any) -> Any:
        return (
            np.float64(value)
            if isinstance(value, float)
            else list(map(exact, value))
            if isinstance(value, list)
            else value
        )

    return {name: exact(value) for name, value in options.items()}


def compare_initializers(seed: int = 0) -> Iterator[Row]:
    """The same numbers where nothing is drawn; otherwise the same distribution (Kolmogorov and Smirnov's test)."""
    for kind in dict.fromkeys(initializers.INITIALIZERS.values()):
        name, options = kind.__name__, INITIALIZER_OPTIONS.get(kind.__name__, {})
        ours, theirs = kind(**options), getattr(load_keras().initializers, name)
        for shape in SHAPES:
            count = -(-DRAWS // int(np.prod(shape)))
            rng = np.random.default_rng(seed)
            a = np.concatenate([ours(shape, rng, np.float64).ravel() for _ in range(count)])
            seeded = "seed" in inspect.signature(theirs).parameters
            more = ({"seed": number} if seeded else {} for number in range(count))
            made = [theirs(**_exact(options), **seed_option)(shape, "float64") for seed_option in more]
            b = np.concatenate([np.asarray(array).ravel() for array in made])
            if seeded:
                chance = float(stats.ks_2samp(a, b).pvalue)
                problem = (
                    "" if chance > DOUBT else f"another distribution: such samples come once in {1 / chance:.2g} times"
                )
                yield Row("initializers", name, {"shape": shape}, not problem, problem)
            else:
                problem = "" if np.array_equal(a, b) else "other numbers"
                yield Row("initializers", name, {"shape": shape}, not problem, problem, float64=max_error(a, b))
