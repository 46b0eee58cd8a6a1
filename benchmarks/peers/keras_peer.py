"""Keras on TensorFlow, without XLA: a compiled ``tf.function``, an eager call, and Keras's own methods.

TensorFlow's convolutions are oneDNN's; float32 stays float32 (oneDNN's default mathematics mode is "strict").
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from benchmarks.layer_engines import BACKWARD as LAYER_BACKWARD
from benchmarks.layer_engines import COMPILED, EAGER, PREDICT, layer_call
from benchmarks.model_engines import FORWARD as MODEL_FORWARD
from benchmarks.model_engines import LOSS, TRAIN_ON_BATCH, model_call
from benchmarks.model_engines import TRAINING as MODEL_TRAINING
from benchmarks.peers.interface import Timed
from benchmarks.peers.work import BACKWARD, FIT, FORWARD, LEARNING_RATE, TRAINING, Data, Work
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.twins import keras_loss, keras_optimizer, keras_twin

WAYS = {
    FORWARD: {"compiled": COMPILED, "eager": EAGER, "predict": PREDICT},
    BACKWARD: {"compiled": COMPILED, "eager": EAGER},
    TRAINING: {"compiled": COMPILED, "train_on_batch": TRAIN_ON_BATCH},
    FIT: {"fit": "fit"},
}


class Peer:
    """The twin of a minicnn network (``reference_keras.twins``), so the weights are the same bit for bit."""

    def __init__(self, threads: int) -> None:
        threading = load_tensorflow().config.threading
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1)
        self._twin: Any = None  # of a forward pass, shared by its ways: it does not learn

    def describe(self) -> dict[str, Any]:
        return {"threads": load_tensorflow().config.threading.get_intra_op_parallelism_threads()}

    def ways(self, work: Work) -> tuple[str, ...]:
        return tuple(WAYS[work.direction])

    def build(self, work: Work, data: Data, way: str) -> Timed:
        from minicnn.models.table import build

        model = build(work.architecture())
        model.set_weights(data.weights)
        engine = WAYS[work.direction][way]
        if work.direction == BACKWARD:
            return Timed(layer_call(engine, LAYER_BACKWARD, model.layers[0], data.x, data.y), _arrays)
        if work.direction == FORWARD:
            self._twin = self._twin or keras_twin(model)
            return Timed(model_call(engine, MODEL_FORWARD, model, data.x, data.y, self._twin).call, _arrays)
        if work.direction == TRAINING:
            timed = model_call(engine, MODEL_TRAINING, model, data.x, data.y)
            return Timed(timed.call, _arrays, timed.weights)
        return self._fit(keras_twin(model), data)

    def clear(self) -> None:
        self._twin = None
        load_keras().backend.clear_session()
        gc.collect()

    def _fit(self, twin: Any, data: Data) -> Timed:
        from benchmarks.peers.cases import FIT_BATCH
        from minicnn.optimizers import SGD

        twin.compile(keras_optimizer(SGD(LEARNING_RATE)), keras_loss(LOSS))
        options = {"batch_size": FIT_BATCH, "epochs": 1, "verbose": 0, "shuffle": False}
        return Timed(lambda: {"loss": twin.fit(data.x, data.y, **options).history["loss"][-1]}, _arrays)


def _arrays(found: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(array) for name, array in found.items()}
