"""What the explorer's tests look at: a face of the AT&T/ORL set, a small network, and Keras's stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minicnn.cli.explore_steps import Looking, prepare_looking
from minicnn.explorer.beside import Beside
from minicnn.explorer.explorer import Explorer
from minicnn.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, ReLU, Softmax
from minicnn.sequential import Sequential

INPUT = (48, 48, 1)


def small_network(*, softmax: bool = True, seed: int = 0) -> Sequential:
    layers = [
        Conv2D(6, 3, padding="same", name="conv1"),
        BatchNormalization(name="bn1"),
        ReLU(name="relu1"),
        MaxPooling2D(name="pool1"),
        Conv2D(8, 3, strides=2, padding="same", bias_initializer="random_normal", name="conv2"),
        ReLU(name="relu2"),
        Flatten(name="flatten"),
        Dense(5, name="scores"),
    ]
    return Sequential([*layers, *([Softmax(name="prob")] if softmax else [])], input_shape=INPUT, seed=seed, name="small")


@pytest.fixture(scope="session")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Looking:
    """The small network, from a file, as the command opens it."""
    path = tmp_path_factory.mktemp("explorer") / "small.npz"
    small_network().save(path)
    return prepare_looking(str(path), None, None, 0, None)


@pytest.fixture
def explorer(looking: Looking) -> Explorer:
    """An explorer beside which a reference computes: minicnn itself, and 1 more, to be told from it."""

    def reference(model, x, dy):  # type: ignore[no-untyped-def]
        from minicnn.study import trace

        found = trace(model, x).backward(dy)
        values = dict(zip(found.names, (value + 1 for value in found.values), strict=True))
        return values, {name: found.dvalues[k] + 1 for k, name in enumerate(found.names)}

    return Explorer(looking.subject, looking.first(None), looking.read, beside=Beside(reference))


def plain_picture(size: int = 64) -> np.ndarray:
    """A picture in which there is no face."""
    return np.full((size, size, 3), 90, np.uint8)
