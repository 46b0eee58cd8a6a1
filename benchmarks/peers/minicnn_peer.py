"""minicnn as a peer: through the calls everybody uses. "float64" is the referee's way, and is never timed; a
way may also be the name of a convolution algorithm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.layer_engines import MINICNN, layer_call
from benchmarks.model_engines import LOSS, model_call
from benchmarks.peers.algorithms import with_algorithm
from benchmarks.peers.interface import Timed
from benchmarks.peers.work import BACKWARD, FORWARD, LEARNING_RATE, MATMUL, TRAINING, Data, Work

REFEREE = "float64"
PLAIN = "im2col"  # every convolution as one matrix product


class Peer:
    """``Sequential.__call__``, ``train_step``, ``fit``, a layer's ``forward`` and ``backward``, ``ops.gemm.matmul``."""

    def __init__(self, threads: int) -> None:
        import numba

        from minicnn.models import table

        numba.set_num_threads(threads)
        self._table = table
        self._numba = numba
        self._algorithms: dict[str, str] = {}

    def describe(self) -> dict[str, Any]:
        return {"threads": self._numba.get_num_threads(), "algorithms": self._algorithms}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("minicnn",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        dtype = "float64" if way == REFEREE else "float32"
        x = data.x.astype(dtype, copy=False)
        if work.direction == MATMUL:
            return self._matmul(x, data.y.astype(dtype, copy=False), way)
        if way != "minicnn":  # an algorithm by its name; a referee should not share what it judges
            work = with_algorithm(work, PLAIN if way == REFEREE else way)
        model = self._table.build(work.architecture(), dtype=dtype)
        model.set_weights(data.weights)
        if way != REFEREE:
            self._remember_algorithms(model)
        if work.direction == FORWARD:
            return Timed(lambda: model(x), lambda y: {"y": y})
        if work.direction == BACKWARD:
            layer = model.layers[0]
            return Timed(layer_call(MINICNN, BACKWARD, layer, x, data.y.astype(dtype, copy=False)), dict)
        if work.direction == TRAINING:
            timed = model_call(MINICNN, TRAINING, model, x, data.y)
            return Timed(timed.call, _loss, timed.weights)
        return self._fit(model, x, data.y)

    def clear(self) -> None:
        self._algorithms.clear()

    def _fit(self, model: Any, x: Any, y: Any) -> Timed:
        from benchmarks.peers.cases import FIT_BATCH
        from minicnn.optimizers import SGD

        model.compile(SGD(LEARNING_RATE), LOSS)
        options = {"batch_size": FIT_BATCH, "epochs": 1, "verbose": 0, "shuffle": False}
        return Timed(lambda: {"loss": model.fit(x, y, **options).history["loss"][-1]}, _loss)

    def _matmul(self, a: Any, b: Any, way: str) -> Timed:
        if way == REFEREE:
            return Timed(lambda: a @ b, lambda y: {"y": y})
        from minicnn.ops.gemm import matmul

        return Timed(lambda: matmul(a, b), lambda y: {"y": y})

    def _remember_algorithms(self, model: Any) -> None:
        from minicnn.summary import summarize

        self._algorithms.update({row.name: row.algorithm for row in summarize(model) if row.algorithm})


def _loss(found: dict[str, Any]) -> dict[str, Any]:
    return {"loss": np.asarray(found["loss"])}
