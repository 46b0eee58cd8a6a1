"""BatchNormalization: cases, and what goes wrong in it. Its formula has a knob for each of the classic mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.gradients import PARAMETER_GRADIENTS
from minicnn.checking.simple import instead
from minicnn.checking.subject import Arguments, Mistake, Results, Settings, Subject, numbers, ones_for_dy
from minicnn.layers import BatchNormalization
from minicnn.shapes import Array

CHOICES: dict[str, tuple[Any, ...]] = {
    "shape": ((2, 1), (3, 1), (3, 2), (2, 2, 1, 2), (2, 3, 2, 3)),
    "training": (True, False),
    "epsilon": (1e-3, 0.1),
    "momentum": (0.99, 0.8),
    "fill": ("counting", "random"),
    "scale": (1.0, 0.01),  # small numbers show where epsilon stands
}


def _grid() -> Iterator[Settings]:
    for values in product(*CHOICES.values()):
        yield dict(zip(CHOICES, values, strict=True))


def _arguments(settings: Settings, rng: np.random.Generator, backward: bool) -> Arguments:
    shape, fill = settings["shape"], settings["fill"]
    channels = shape[-1]
    arguments = {
        "x": settings["scale"] * numbers(shape, fill, rng),
        "gamma": rng.uniform(0.5, 1.5, channels),
        "beta": rng.uniform(-1.0, 1.0, channels),
        "moving_mean": rng.uniform(-1.0, 1.0, channels),
        "moving_variance": rng.uniform(0.5, 1.5, channels),
        **{name: settings[name] for name in ("training", "epsilon", "momentum")},
    }
    return arguments | ({"dy": numbers(shape, "random", rng)} if backward else {})


def _statistics(a: Arguments) -> tuple[Array, Array]:
    """The mean and variance that x is normalised with."""
    x = a["x"]
    if not a.get("use_batch", a["training"]):
        return a["moving_mean"], a["moving_variance"]
    axes = a.get("axes", tuple(range(x.ndim - 1)))
    mean, keep = x.mean(axis=axes, keepdims=True), {"axis": axes, "keepdims": True}
    return mean, np.square(x - mean).sum(**keep) / np.maximum(np.ones_like(x).sum(**keep) - a.get("ddof", 0), 1)


def _deviation(variance: Array, a: Arguments) -> Array:
    """What x - mean is divided by; ``epsilon_at`` says where epsilon stands."""
    epsilon = a.get("own_epsilon", a["epsilon"])
    places = {
        "inside": np.sqrt(variance + epsilon),
        "outside": np.sqrt(variance) + epsilon,
        "no root": variance + epsilon,
    }
    deviation: Array = places[a.get("epsilon_at", "inside")]
    return deviation


def _forward(a: Arguments) -> Results:
    mean, variance = _statistics(a)
    with np.errstate(all="ignore"):
        y = a["gamma"] * (a["x"] - mean) / _deviation(variance, a) + a["beta"]
    results = {"y": y, "moving_mean": a["moving_mean"], "moving_variance": a["moving_variance"]}
    if not a["training"]:
        return results
    axes = tuple(range(a["x"].ndim - 1))
    old = 1 - a["momentum"] if a.get("new_weight") else a["momentum"]
    count = a["x"].size / a["x"].shape[-1]
    seen = {"moving_mean": a["x"].mean(axis=axes), "moving_variance": a["x"].var(axis=axes)}
    seen["moving_variance"] = seen["moving_variance"] * count / (count - a.get("moving_ddof", 0))
    return results | {name: old * results[name] + (1 - old) * value for name, value in seen.items()}


def _backward(a: Arguments) -> Results:
    axes = tuple(range(a["x"].ndim - 1))
    mean, variance = _statistics(a)
    deviation, dy = _deviation(variance, a), a["dy"]
    xhat = (a["x"] - mean) / deviation
    dbeta, dgamma = dy.sum(axis=axes), (dy * (a["x"] if a.get("plain") else xhat)).sum(axis=axes)
    if not a["training"] or a.get("constant"):
        return {"dx": a["gamma"] / deviation * dy, "dgamma": dgamma, "dbeta": dbeta}
    common = dy.mean(axis=axes)
    stretch = 0.0 if a.get("constant_variance") else xhat * (dy * xhat).mean(axis=axes)
    return {"dx": a["gamma"] / deviation * (dy - common - stretch), "dgamma": dgamma, "dbeta": dbeta}


def _twin(a: Arguments) -> BatchNormalization:
    layer = BatchNormalization(momentum=a["momentum"], epsilon=a["epsilon"])
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    layer.restore(a["x"].shape[1:], {f"{layer.name}/{name}": a[name] for name in names})
    return layer


def _per_picture(a: Arguments) -> Arguments:
    return {"axes": tuple(range(1, a["x"].ndim - 1)) or (1,)}


EPSILON = (
    instead("epsilon 1e-5", "epsilon is 1e-5, PyTorch's default. Keras's is 1e-3.", own_epsilon=1e-5),
    instead("epsilon always 1e-3", "epsilon is 1e-3 whatever is asked for.", own_epsilon=1e-3),
    instead(
        "epsilon missing",
        "Without epsilon a constant channel divides by zero: sqrt(variance + epsilon).",
        own_epsilon=0.0,
    ),
    instead(
        "epsilon outside the root",
        "It divides by sqrt(variance) + epsilon; Keras by sqrt(variance + epsilon).",
        epsilon_at="outside",
    ),
)
FORWARD = (
    *EPSILON,
    instead(
        "root missing",
        "It divides by the variance; by its root is right, the standard deviation.",
        epsilon_at="no root",
    ),
    instead("unbiased variance", "The variance is divided by M - 1 (ddof=1); Keras divides by M.", ddof=1),
    instead(
        "statistics per number",
        "Mean and variance are taken over the batch axis alone. They belong to a channel: over all axes but the last.",
        axes=(0,),
    ),
    Mistake(
        "statistics per sample",
        "Every sample is normalised by itself, as in instance or layer normalisation. The batch axis belongs to "
        "the mean.",
        before=_per_picture,
    ),
    instead(
        "batch statistics in inference",
        "With training=False it still uses the batch; then the moving mean and variance count.",
        use_batch=True,
    ),
    instead(
        "moving statistics in training",
        "With training=True it uses the moving mean and variance; then the batch's own count.",
        use_batch=False,
    ),
    Mistake(
        "gamma missing",
        "The normalised numbers are not multiplied by gamma.",
        before=lambda a: {"gamma": np.ones_like(a["gamma"])},
    ),
    Mistake("beta missing", "beta is not added.", before=lambda a: {"beta": np.zeros_like(a["beta"])}),
    Mistake(
        "gamma and beta exchanged",
        "gamma multiplies, beta is added.",
        before=lambda a: {"gamma": a["beta"], "beta": a["gamma"]},
    ),
    instead(
        "momentum swapped",
        "momentum is the weight of the new value, as in PyTorch. In Keras it is that of the **old** one.",
        new_weight=True,
    ),
    instead(
        "moving variance unbiased",
        "The moving variance gathers the unbiased variance (M - 1), as in PyTorch. Keras gathers the biased one.",
        moving_ddof=1,
    ),
    Mistake(
        "moving statistics not updated",
        "In training the moving statistics move towards those of the batch; they are returned as they were.",
        after=lambda results, a: {name: a[name] for name in ("moving_mean", "moving_variance")},
    ),
)
BACKWARD = (
    *EPSILON,
    instead(
        "mean and variance as constants",
        "dx = gamma / deviation * dy holds in inference. In training, mean and variance depend on every x, and "
        "give two more terms.",
        constant=True,
    ),
    instead(
        "variance as a constant",
        "The term xhat * mean(dy * xhat) is missing: the variance depends on x as well.",
        constant_variance=True,
    ),
    instead("dgamma with x", "dgamma sums dy * x; it sums dy * xhat, what gamma was multiplied with.", plain=True),
    instead("unbiased variance", "The variance is divided by M - 1 (ddof=1); Keras divides by M.", ddof=1),
    *PARAMETER_GRADIENTS[:2],
    ones_for_dy(),
)

BATCH_NORM = (
    Subject(
        layer="BatchNormalization",
        direction="forward",
        results=("y", "moving_mean", "moving_variance"),
        choices=CHOICES,
        grid=_grid,
        arguments=lambda settings, rng: _arguments(settings, rng, False),
        formula=_forward,
        twin=_twin,
        mistakes=FORWARD,
        defaults={"training": True, "epsilon": 1e-3, "momentum": 0.99},
    ),
    Subject(
        layer="BatchNormalization",
        direction="backward",
        results=("dx", "dgamma", "dbeta"),
        choices=CHOICES,
        grid=_grid,
        arguments=lambda settings, rng: _arguments(settings, rng, True),
        formula=_backward,
        twin=_twin,
        mistakes=BACKWARD,
        defaults={"training": True, "epsilon": 1e-3, "momentum": 0.99},
    ),
)
