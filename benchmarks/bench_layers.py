"""Every kind of layer, forward and backward, in minicnn and in Keras, on the crops; and minicnn's algorithms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.agreement import JudgedLayer, require_finite
from benchmarks.cases import TABLES, LayerCase, layer_cases, network, reaching
from benchmarks.layer_engines import BACKWARD, ENGINES, FORWARD, MINICNN, layer_call
from minicnn.layers import Conv2D
from minicnn.ops.conv2d import ALGORITHMS
from reference_keras.parity import compare_layer

SMALL_TIME = 0.1  # seconds of measuring per benchmark, beyond the least number of rounds; there are hundreds of them


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = layer_cases(every_row=metafunc.config.getoption("--long"))
        runs = [(c, direction, engine) for c in cases for direction in ENGINES for engine in ENGINES[direction]]
        ids = [f"{c.id}-{direction}-{engine}" for c, direction, engine in runs]
        metafunc.parametrize("case, direction, engine", runs, ids=ids)


@functools.lru_cache(maxsize=1)  # the benchmarks of one case follow each other
def judged(case: LayerCase) -> JudgedLayer:
    return JudgedLayer(case)


@pytest.mark.benchmark(max_time=SMALL_TIME, min_rounds=5)
def test_layer(measure: Callable[..., Any], case: LayerCase, direction: str, engine: str) -> None:
    layer = judged(case)
    call = layer_call(engine, direction, layer.layer, layer.x, layer.dy)
    layer.require_same(call(), direction)
    require_finite(measure(call, f"{case.id}: {direction}", engine))


def _algorithms() -> list[tuple[str, str]]:
    """(layer, algorithm) for three kinds of convolution: one channel, few channels, many; loops would take minutes."""
    layers = ("face_cnn/conv1", "face_cnn/conv3", "vgg_face/conv3_2")
    return [(layer, name) for layer in layers for name in ALGORITHMS if name != "loops" and _possible(layer, name)]


def _possible(place: str, algorithm: str) -> bool:
    name, _, layer_name = place.partition("/")
    options = {row.name: row.options for row in TABLES[name].rows}[layer_name]
    window = Conv2D(**options).window
    return ALGORITHMS[algorithm].unsupported((*window.size, 1, 1), window, 1) is None


@pytest.mark.parametrize("direction", [FORWARD, BACKWARD])
@pytest.mark.parametrize("place, algorithm", _algorithms())
@pytest.mark.benchmark(max_time=SMALL_TIME, min_rounds=5)
def test_algorithm(measure: Callable[..., Any], place: str, algorithm: str, direction: str) -> None:
    """minicnn's algorithms against each other: the measurements behind the rule of "auto" (``ops.conv2d.choose``)."""
    name, _, layer_name = place.partition("/")
    model_layer, x = (
        next(layer for layer in network(name).layers if layer.name == layer_name),
        reaching(name)[layer_name],
    )
    layer = Conv2D(**model_layer.config() | {"algorithm": algorithm})
    layer.build(x.shape[1:], np.random.default_rng(0))
    layer.params = model_layer.params
    report = compare_layer(layer, x, backward=direction == BACKWARD)
    assert report.ok, "\n".join(report.failures())
    dy = np.random.default_rng(1).standard_normal(layer(x).shape, dtype=np.float32)
    call = layer_call(MINICNN, direction, layer, x, dy)
    call()
    measure(call, f"algorithms of {place}: {direction}", algorithm)
