"""A whole network in one ``.npz`` file: what it is, what it has learned, and how far its training has come.

    metadata.json                          {"format": "minicnn model", "version": 1, "class_name": "Sequential",
                                            "config": the architecture, "training": optimiser, loss and metrics, or
                                            null}
    conv1/kernel.npy, conv1/bias.npy ...   weights under their addresses
    optimizer/momentum/conv1/kernel.npy    what the optimiser remembers of each weight

This file knows of models only what stands in these lines. Making a network of a config is the model class's business:
``Sequential.load``. See ``npz.py`` for how a file is distrusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import LoadError, explain
from minicnn.io.npz import Expected, read_arrays, read_metadata, write_arrays
from minicnn.shapes import Array, Shape

FORMAT, VERSION = "minicnn model", 1
SLOTS = "optimizer/"  # addresses of weights have one "/", those of slots at least two: they cannot meet


class TrainingState(NamedTuple):
    """Where training stands: what ``compile`` was given, how many steps were made, what the optimiser remembers."""

    config: dict[str, Any]
    iterations: int
    slots: Mapping[str, Array]


def write_model(
    path: str | Path,
    class_name: str,
    config: Mapping[str, Any],
    weights: Mapping[str, Array],
    training: TrainingState | None,
) -> None:
    """Write one file. It appears complete or not at all."""
    slots = {f"{SLOTS}{address}": array for address, array in training.slots.items()} if training else {}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "class_name": class_name,
        "config": config,
        "training": training and {**training.config, "iterations": training.iterations, "slots": list(training.slots)},
    }
    write_arrays(path, {**weights, **slots}, metadata)


def read_config(path: str | Path, class_name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """(config, training) of a file, before any array is read. Raises LoadError when it is no model of that class."""
    metadata = read_metadata(path)
    fields = (metadata.get("format"), metadata.get("version"), metadata.get("class_name"))
    if fields != (FORMAT, VERSION, class_name):
        reason = explain(f"a {FORMAT} of version {VERSION}, class {class_name}", f"{fields}")
        raise LoadError(f"Cannot load '{path}': {reason}")
    config, training = metadata.get("config"), metadata.get("training")
    if not isinstance(config, dict) or not isinstance(training, dict | None):
        raise LoadError(f"Cannot load '{path}': its description of the model is damaged.")
    return config, training


def read_weights(
    path: str | Path, shapes: Mapping[str, Shape], dtype: np.dtype[Any], slots: Mapping[str, Shape]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(weights, slots) of a file whose config promised these shapes. Compared before anything is allocated."""
    expected: Expected = {address: (shape, dtype) for address, shape in shapes.items()} | {
        f"{SLOTS}{address}": (shape, dtype) for address, shape in slots.items()
    }
    arrays, _ = read_arrays(path, expected)
    return (
        {address: arrays[address] for address in shapes},
        {address: arrays[f"{SLOTS}{address}"] for address in slots},
    )
