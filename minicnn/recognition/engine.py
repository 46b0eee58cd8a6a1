"""From crops to scores and embeddings. Two engines can do it, from the same weights: minicnn, and Keras as its judge.

    engine = MinicnnEngine(Run.open("runs/orl"))
    engine.logits(x)        (N, H, W, C) -> (N, people): scores; their softmax is a probability
    engine.embed(x)         (N, H, W, C) -> (N, D): points on the unit sphere, close together for one person

``reference_keras.engine.KerasEngine`` is the other one. What they share, views and the length 1, is the base class;
each adds only how its framework computes a layer's output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.ops.unit_normalization import unit_normalization
from minicnn.recognition.run import Run
from minicnn.recognition.views import mean_embedding, mean_logits
from minicnn.shapes import Array

BATCH = 32


class Engine(Protocol):
    """What recognition needs of a network."""

    name: str  # "minicnn" or "keras"

    def logits(self, x: Array) -> Array: ...
    def embed(self, x: Array) -> Array: ...


class RunEngine(ABC):
    """Base of both engines: views, and embeddings of length 1.

    ``use_views`` asks about six views of each picture and takes the mean (``views``); None does what the run was
    calibrated with. Thresholds of a run hold for that choice alone.
    """

    name: str

    def __init__(self, run: Run, *, use_views: bool | None = None) -> None:
        self.config = run.config
        self.model = run.model()
        self.views = bool(run.config.settings.get("views", False)) if use_views is None else use_views

    def logits(self, x: Array) -> Array:
        """(N, H, W, C) -> (N, people). Raises OptionError for a run that learned no scores (objective triplet)."""
        if self.config.objective != "softmax":
            fix = "It knows people by their distance to the gallery: use embed()."
            raise OptionError(explain("a run with the objective softmax", self.config.objective, fix))
        return mean_logits(self.scores, x) if self.views else self.scores(x)

    def embed(self, x: Array) -> Array:
        """(N, H, W, C) -> (N, D) float32, each of length 1."""
        found = mean_embedding(self._unit, x) if self.views else self.features(x)
        return self._length_one(found)

    @abstractmethod
    def scores(self, x: Array) -> Array:
        """What the network's last layer says, of one view."""

    @abstractmethod
    def features(self, x: Array) -> Array:
        """What the embedding layer says, of one view, (N, D)."""

    def _unit(self, x: Array) -> Array:
        return self._length_one(self.features(x))

    @staticmethod
    def _length_one(found: Array) -> Array:
        return unit_normalization(np.ascontiguousarray(found, np.float32))[0]


class MinicnnEngine(RunEngine):
    """A run's network in minicnn."""

    name = "minicnn"

    def __init__(self, run: Run, *, use_views: bool | None = None) -> None:
        super().__init__(run, use_views=use_views)
        self.trunk = self.model.up_to(run.config.embedding_layer)

    def scores(self, x: Array) -> Array:
        scores: Array = self.model.predict(x, BATCH)
        return scores

    def features(self, x: Array) -> Array:
        found: Array = self.trunk.predict(x, BATCH)
        return found.reshape(len(found), -1)  # (N, ...) -> (N, D)
