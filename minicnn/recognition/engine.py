"""From crops to scores and embeddings. Two engines can do it, from the same weights: minicnn, and Keras as its judge.

    engine = MinicnnEngine(Run.open("runs/orl"))
    engine.logits(x)        (N, H, W, C) -> (N, people): scores; their softmax is a probability
    engine.embed(x)         (N, H, W, C) -> (N, D): points on the unit sphere, close together for one person
    engine.ask(x)           both, for the time of one

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
from minicnn.recognition.views import mean_embedding, mean_logits, parts_in_views
from minicnn.shapes import Array

BATCH = 32


class Engine(Protocol):
    """What recognition needs of a network."""

    name: str  # "minicnn" or "keras"

    def logits(self, x: Array) -> Array: ...
    def embed(self, x: Array) -> Array: ...
    def ask(self, x: Array) -> tuple[Array, Array | None]: ...


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
        logits = self.ask(x)[1]
        if logits is None:
            fix = "It knows people by their distance to the gallery: use embed()."
            raise OptionError(explain("a run with the objective softmax", self.config.objective, fix))
        return logits

    def embed(self, x: Array) -> Array:
        """(N, H, W, C) -> (N, D) float32, each of length 1."""
        if not self.views:
            return _length_one(self.features(x))
        parts = ([_length_one(self.features(view)) for view in part] for part in parts_in_views(x))
        return _length_one(np.concatenate([mean_embedding(part) for part in parts]))

    def ask(self, x: Array) -> tuple[Array, Array | None]:
        """(``embed(x)``, ``logits(x)``) of one pass through the network; without logits for a run that has none."""
        if self.config.objective != "softmax":
            return self.embed(x), None
        if not self.views:
            features, scores = self.both(x)
            return _length_one(features), scores
        embeddings, logits = [], []
        for part in parts_in_views(x):
            found = [self.both(view) for view in part]
            embeddings.append(mean_embedding([_length_one(features) for features, _ in found]))
            logits.append(mean_logits([scores for _, scores in found]))
        return _length_one(np.concatenate(embeddings)), np.concatenate(logits)

    @abstractmethod
    def features(self, x: Array) -> Array:
        """What the embedding layer says, of one view, (N, D)."""

    @abstractmethod
    def both(self, x: Array) -> tuple[Array, Array]:
        """``features``, and what the network's last layer says, of one view, in one pass: (N, D), (N, people)."""


def _length_one(found: Array) -> Array:
    return unit_normalization(np.ascontiguousarray(found, np.float32))[0]


class MinicnnEngine(RunEngine):
    """A run's network in minicnn."""

    name = "minicnn"

    def __init__(self, run: Run, *, use_views: bool | None = None) -> None:
        super().__init__(run, use_views=use_views)
        self.trunk = self.model.up_to(run.config.embedding_layer)
        self.whole = self.model.up_to(run.config.embedding_layer, self.model.path[-1].name)

    def features(self, x: Array) -> Array:
        return in_rows(self.trunk.predict(x, BATCH))

    def both(self, x: Array) -> tuple[Array, Array]:
        features, scores = self.whole.predict(x, BATCH)
        return in_rows(features), scores


def in_rows(maps: Array) -> Array:
    """(N, ...) -> (N, D): what a layer says of a picture, as one vector."""
    return maps.reshape(len(maps), -1)
