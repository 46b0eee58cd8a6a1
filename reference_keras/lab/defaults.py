"""What is assumed when nothing is said: minicnn's defaults against those of the Keras that is installed.

A version of Keras that changes an epsilon, a slope or a momentum changes the meaning of every program that did not
write it down. So signatures are read and compared, and a difference is a row by its name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from minicnn import initializers, losses, metrics, optimizers, schedules
from minicnn.io.keras_layers import OURS_ALONE
from minicnn.layers import LAYERS
from reference_keras.backend import load_keras
from reference_keras.lab.reports import Row

ELSEWHERE = {"name", "trainable"}  # whatever the class: no default that changes a number


def compare_defaults() -> Iterator[Row]:
    """A row per class that both sides have: are the defaults of the arguments that both know the same?"""
    keras = load_keras()
    homes: list[tuple[dict[str, Any], Any]] = [
        (dict(LAYERS), keras.layers),
        (losses.LOSSES, keras.losses),
        (optimizers.OPTIMIZERS, keras.optimizers),
        (schedules.SCHEDULES, keras.optimizers.schedules),
        (metrics.METRICS, keras.metrics),
        (initializers.INITIALIZERS, keras.initializers),
    ]
    for ours, home in homes:
        for cls in dict.fromkeys(ours.values()):
            theirs = getattr(home, cls.__name__, None)
            if theirs is not None:
                yield _row(cls, theirs, keras.__version__)


def _row(cls: Any, theirs: Any, version: str) -> Row:
    own, other = defaults(cls), defaults(theirs)
    both = {name: (own[name], other[name]) for name in own if name in other and name not in (*ELSEWHERE, *OURS_ALONE)}
    changed = {name: pair for name, pair in both.items() if plain(pair[0]) != plain(pair[1])}
    problem = "; ".join(f"{name}: minicnn {a!r}, Keras {version} {b!r}" for name, (a, b) in changed.items())
    return Row("defaults", cls.__name__, {name: b for name, (_, b) in both.items()}, not changed, problem)


def defaults(cls: Any) -> dict[str, Any]:
    """The arguments of a class that have a default."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def plain(value: Any) -> Any:
    """A value as it is compared: 2 and (2, 2) mean the same, as do 0 and 0.0, "glorot_uniform" and "GlorotUniform"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (float(value), float(value))
    if isinstance(value, float):
        return (value, value)
    if isinstance(value, str):
        return value.lower().replace("_", "")
    return tuple(map(float, value)) if isinstance(value, tuple | list) and len(value) == 2 else value
