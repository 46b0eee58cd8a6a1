"""100 steps of training with every optimiser: do the weights stay together?

One network with a convolution, batch normalisation, pooling and a dense layer, from the same weights, on the same
batches. In float64 only rounding may part the two sides. (In float32 they part slowly whatever one does: each step's
rounding enters the next.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, Tanh
from minicnn.losses import SparseCategoricalCrossentropy
from minicnn.optimizers import OPTIMIZERS
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from reference_keras.lab.reports import Row
from reference_keras.training import compare_training

STEPS = 100
AGREE = 1e-10  # relative to the largest weight of each array, in float64
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "SGD": ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}),
    "RMSprop": ({}, {"momentum": 0.7}, {"centered": True}),
    "Adam": ({}, {"amsgrad": True}),
    "Adagrad": ({}, {"initial_accumulator_value": 0.01}),
}
COMMON: tuple[dict[str, Any], ...] = (
    {"weight_decay": 0.01},
    {"clipnorm": 0.1},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.2},
)


def network(seed: int = 0) -> Sequential:
    """The network that is trained.

    Tanh rather than ReLU: a kink would turn a last bit into another path. No bias before the batch normalisation: its
    gradient is 0, and what both sides would compare is the rounding of nothing.
    """
    layers = [
        Conv2D(4, 3, padding="same", use_bias=False),
        BatchNormalization(),
        Tanh(),
        MaxPooling2D(),
        Flatten(),
        Dense(5),
    ]
    return Sequential(layers, input_shape=(8, 8, 2), seed=seed)


def batches(steps: int, seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """``steps`` batches of 16 pictures with labels."""
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        yield rng.standard_normal((16, 8, 8, 2)).astype(np.float32), rng.integers(0, 5, 16)


def compare_trajectories(steps: int = STEPS, seed: int = 0) -> Iterator[Row]:
    """A row for every optimiser and choice of options."""
    for cls in dict.fromkeys(OPTIMIZERS.values()):
        for options in (*OPTIONS.get(cls.__name__, ({},)), *(COMMON if cls.__name__ == "SGD" else COMMON[:1])):
            drift = compare_training(
                network(seed),
                batches(steps, seed),
                optimizer=cls(**options),
                loss=SparseCategoricalCrossentropy(from_logits=True),
                compiled=True,
            )
            apart = drift.relative
            problem = "" if apart <= AGREE else f"after {steps} steps in float64 the weights are {apart:.2g} apart"
            worst = max(drift.steps, key=lambda step: step.relative)
            yield Row(
                "optimizers",
                cls.__name__,
                options | {"steps": steps},
                not problem,
                problem,
                float64=apart,
                worst=f"after step {worst.step}, {worst.address}",
            )
