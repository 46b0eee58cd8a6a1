"""Both networks whole, on the crops: inference, gradients, and a step of training, in minicnn and in Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.agreement import JudgedModel, require_finite
from benchmarks.model_engines import ENGINES, model_call

BATCHES = (("face_cnn", 1), ("face_cnn", 32), ("vgg_face", 1))
LONG_BATCHES = (("vgg_face", 8),)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    batches = (*BATCHES, *(LONG_BATCHES if metafunc.config.getoption("--long") else ()))
    runs = [(*batch, direction, engine) for batch in batches for direction in ENGINES for engine in ENGINES[direction]]
    ids = [f"{name}-batch{size}-{direction}-{engine}" for name, size, direction, engine in runs]
    metafunc.parametrize("name, size, direction, engine", runs, ids=ids)


@functools.lru_cache(maxsize=1)  # the benchmarks of one network follow each other
def judged(name: str, size: int) -> JudgedModel:
    return JudgedModel(name, size)


@pytest.mark.benchmark(max_time=1.0, min_rounds=5)
def test_model(measure: Callable[..., Any], name: str, size: int, direction: str, engine: str) -> None:
    network = judged(name, size)
    timed = model_call(engine, direction, network.model, network.x, network.y)
    network.require_same(timed, engine, direction)
    require_finite(measure(timed.call, f"{name}, batch {size}: {direction}", engine))
