"""Faces nobody has: a pattern of blobs per person, seen with noise. Small, quick, and easy enough to learn."""

from __future__ import annotations

import numpy as np

from minicnn.recognition.recipe import Recipe, Samples
from minicnn.recognition.train import Data
from minicnn.sequential import Sequential
from minicnn.shapes import Array

SIDE = 12
PEOPLE = ("anna", "boris", "çelik")


def pictures(labels: Array, seed: int) -> Samples:
    """(N, 12, 12, 1) float32, standardised; a person's pattern depends on the label alone."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).standard_normal((len(PEOPLE), 4, 4)).repeat(3, axis=1).repeat(3, axis=2)
    x = patterns[labels] + 0.8 * rng.standard_normal((len(labels), SIDE, SIDE))
    x -= x.mean(axis=(1, 2), keepdims=True)
    x /= x.std(axis=(1, 2), keepdims=True)
    return Samples(x[..., None].astype(np.float32), labels)


def data(*, validation: bool = True) -> Data:
    """Seven pictures of one person, six of another, four of the third; two of each to validate."""
    learned = pictures(np.repeat([0, 1, 2], [7, 6, 4]), seed=1)
    return Data(learned, pictures(np.repeat([0, 1, 2], 2), seed=2) if validation else None, PEOPLE)


def network(objective: str = "softmax", seed: int = 0) -> Sequential:
    """Small, with every kind of layer that remembers something: batch statistics, dropout."""
    from minicnn.layers import (
        BatchNormalization,
        Conv2D,
        Dense,
        Dropout,
        Flatten,
        MaxPooling2D,
        ReLU,
        UnitNormalization,
    )

    body = [
        Conv2D(6, 3, padding="same", use_bias=False, name="conv1"),
        BatchNormalization(momentum=0.8, name="bn1"),
        ReLU(name="relu1"),
        MaxPooling2D(name="pool1"),
        Flatten(name="flatten"),
        Dropout(0.2, name="drop"),
    ]
    ends = {
        "softmax": [Dense(len(PEOPLE), name="scores")],
        "triplet": [Dense(8, name="embedding"), UnitNormalization(name="unit")],
    }
    return Sequential([*body, *ends[objective]], input_shape=(SIDE, SIDE, 1), name="small", seed=seed)


def recipe(objective: str = "softmax", **changes: object) -> Recipe:
    """Quick: four epochs of mild augmentation."""
    augment = {"flip": False, "shift": 0.05, "rotate": 4.0, "zoom": 0.05, "contrast": 0.1}
    settings = {"objective": objective, "epochs": 4, "batch": 5, "people": 3, "pictures": 2, "learning_rate": 0.01}
    return Recipe(**settings | {"augment": augment} | changes)  # type: ignore[arg-type]
