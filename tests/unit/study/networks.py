"""A small network with every kind of step, and pictures for it."""

from __future__ import annotations

import numpy as np

from minicnn.layers import Conv2D, Dense, Flatten, MaxPooling2D, ReLU, Softmax, Tanh
from minicnn.sequential import Sequential
from minicnn.shapes import Array


def network(*, softmax: bool = True) -> Sequential:
    """Scores of three classes, with or without a softmax behind them; float64."""
    layers = [
        Conv2D(4, 3, padding="same", name="conv1"),
        Tanh(name="tanh1"),
        MaxPooling2D(name="pool1"),
        Conv2D(5, 3, padding="same", name="conv2"),
        ReLU(name="relu2"),
        Flatten(name="flat"),
        Dense(3, name="scores"),
        *([Softmax(name="prob")] if softmax else []),
    ]
    return Sequential(layers, input_shape=(8, 6, 3), dtype="float64", seed=5)


def photos(rng: np.random.Generator, count: int = 2) -> Array:
    """(count, 8, 6, 3), from 0 to 1."""
    return rng.uniform(0, 1, (count, 8, 6, 3))
