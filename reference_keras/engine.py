"""A run's network in Keras: the same weights, carried over bit for bit, and Keras's own arithmetic.

What ``minicnn.recognition.engine.MinicnnEngine`` answers, this one should answer too; where the two name different
people, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.recognition.engine import BATCH, RunEngine, in_rows
from minicnn.recognition.run import Run
from minicnn.shapes import Array
from reference_keras.backend import load_keras
from reference_keras.twins import keras_twin


class KerasEngine(RunEngine):
    """Scores and embeddings of a run, computed by Keras. Raises MissingDependencyError without it."""

    name = "keras"

    def __init__(self, run: Run, *, use_views: bool | None = None) -> None:
        super().__init__(run, use_views=use_views)
        keras = load_keras()
        twin: Any = keras_twin(self.model)
        embedding = twin.get_layer(run.config.embedding_layer).output
        self.trunk: Any = keras.Model(twin.inputs, embedding)
        self.whole: Any = keras.Model(twin.inputs, [embedding, twin.outputs[0]])

    def features(self, x: Array) -> Array:
        (found,) = _in_parts(self.trunk.predict_on_batch, x)
        return in_rows(found)

    def both(self, x: Array) -> tuple[Array, Array]:
        found, scores = _in_parts(self.whole.predict_on_batch, x)
        return in_rows(found), scores


def _in_parts(predict: Callable[[Array], Any], x: Array) -> list[Array]:
    """The outputs of a network, computed ``BATCH`` pictures at a time. Of a single output, Keras makes no list."""
    found = [predict(x[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    each = [outputs if isinstance(outputs, list) else [outputs] for outputs in found]
    return [np.concatenate([np.asarray(part) for part in parts]) for parts in zip(*each, strict=True)]
