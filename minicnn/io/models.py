"""A whole network in one file: what it is, what it has learned, and in our own format how far its training has come.

The ending of the name says the format:

    .npz           minicnn's own: architecture, weights, optimiser; ``np.load`` opens it
    .safetensors   architecture and weights; PyTorch's world opens it
    .keras         architecture and weights, as Keras 3 writes them
    .h5, .hdf5     architecture and weights, as Keras 2 and Keras's legacy format write them
    .weights.h5    weights alone, as Keras writes them
    .onnx          architecture and weights for other runtimes; written only

An ``.npz`` holds

    metadata.json                          {"format": "minicnn model", "version": 1, "class_name": "Sequential",
                                            "config": the architecture, "training": optimiser, loss and metrics, or
                                            null}
    conv1/kernel.npy, conv1/bias.npy ...   weights under their addresses
    optimizer/momentum/conv1/kernel.npy    what the optimiser remembers of each weight

This file knows of models only what stands in these lines. Making a network of a config is the model class's business:
``Sequential.load``. See ``checks.py`` and the formats' own files for how they are distrusted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import LoadError, OptionError, explain
from minicnn.graph import Graph
from minicnn.io import keras_files
from minicnn.io.checks import Expected, parse_json, reading, refuse
from minicnn.io.npz import read_arrays, read_metadata, write_arrays
from minicnn.io.onnx_file import write_onnx
from minicnn.io.safetensors import read_header, write_safetensors
from minicnn.io.stored import read_stored, require_finite
from minicnn.shapes import Array, Shape

FORMAT, VERSION = "minicnn model", 1
SLOTS = "optimizer/"  # addresses of weights have one "/", those of slots at least two: they cannot meet
KERAS = (".keras", ".h5", ".hdf5", ".weights.h5")
READABLE = (".npz", ".safetensors", *KERAS)


class TrainingState(NamedTuple):
    """Where training stands: what ``compile`` was given, how many steps were made, what the optimiser remembers."""

    config: dict[str, Any]
    iterations: int
    slots: Mapping[str, Array]


class Description(NamedTuple):
    """What a file says of its network before an array is read. ``training`` is None unless minicnn wrote it."""

    class_name: str
    config: dict[str, Any]
    training: dict[str, Any] | None = None


def suffix(path: str | Path, known: tuple[str, ...]) -> str:
    """The ending of a file's name that says its format. Raises OptionError for one that is not ``known``."""
    if not isinstance(path, (str, os.PathLike)):
        raise OptionError(explain("the name of a file", repr(path), "For example 'net.npz'."))
    name = Path(path).name.lower()
    for ending in sorted(known, key=len, reverse=True):  # .weights.h5 before .h5
        if name.endswith(ending):
            return ending
    raise OptionError(explain(f"a file name that ends in {', '.join(known)}", f"'{path}'"))


def write_model(
    path: str | Path,
    class_name: str,
    config: Mapping[str, Any],
    weights: Mapping[str, Array],
    training: TrainingState | None,
) -> None:
    """Write one file, in the format that the ending of its name says. It appears complete or not at all.

    Raises OptionError for an unknown ending, and where the format cannot hold the network.
    """
    write = WRITERS[suffix(path, tuple(WRITERS))]
    write(path, Description(class_name, dict(config)), weights, training)


def _write_npz(
    path: str | Path, about: Description, weights: Mapping[str, Array], training: TrainingState | None
) -> None:
    slots = {f"{SLOTS}{address}": array for address, array in training.slots.items()} if training else {}
    metadata = {
        **_metadata(about),
        "training": training and {**training.config, "iterations": training.iterations, "slots": list(training.slots)},
    }
    write_arrays(path, {**weights, **slots}, metadata)


def _metadata(about: Description) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, "class_name": about.class_name, "config": about.config}


def _architecture(write: Callable[..., None]) -> Callable[..., None]:
    """A writer of the formats of others, which hold the network and its weights, and nothing of its training."""
    return lambda path, about, weights, training: write(path, about.config, weights)


WRITERS: dict[str, Callable[..., None]] = {
    ".npz": _write_npz,
    ".safetensors": lambda path, about, weights, training: write_safetensors(path, weights, _metadata(about)),
    ".keras": _architecture(keras_files.write_keras),
    ".h5": _architecture(keras_files.write_h5),
    ".hdf5": _architecture(keras_files.write_h5),
    ".weights.h5": _architecture(keras_files.write_weights_h5),
    ".onnx": _architecture(write_onnx),
}


def read_description(path: str | Path) -> Description:
    """What network a file holds, before any array is read. Raises LoadError, or OptionError for an unknown ending."""
    ending = suffix(path, READABLE)
    if ending in KERAS:
        return Description(*keras_files.read_config(path))
    if ending == ".npz":
        metadata = read_metadata(path)
    else:
        with reading(path, "a .safetensors file") as file:
            _, texts = read_header(file)
            if "minicnn" not in texts:
                refuse("it holds weights alone, without a network. Build the network, then model.load_weights(path)")
            metadata = parse_json(texts["minicnn"].encode(), "the description of the network")
    fields = (metadata.get("format"), metadata.get("version"))
    config, training, class_name = (metadata.get(key) for key in ("config", "training", "class_name"))
    if fields != (FORMAT, VERSION):
        raise LoadError(f"Cannot load '{path}': {explain(f'a {FORMAT} of version {VERSION}', f'{fields}')}")
    if not isinstance(config, dict) or not isinstance(training, dict | None) or not isinstance(class_name, str):
        raise LoadError(f"Cannot load '{path}': its description of the model is damaged.")
    return Description(class_name, config, training)


def read_config(path: str | Path, class_name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """(config, training) of a file, before any array is read. Raises LoadError when it is no model of that class."""
    about = read_description(path)
    if about.class_name != class_name:
        raise LoadError(f"Cannot load '{path}': {explain(f'a {class_name}', repr(about.class_name))}")
    return about.config, about.training


def read_weights(
    path: str | Path,
    shapes: Mapping[str, Shape],
    dtype: np.dtype[Any],
    slots: Mapping[str, Shape] | None,
    *,
    graph: Graph | None = None,
    allow_nan: bool = False,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(weights, slots) of a file whose config promised these shapes. Compared before anything is allocated.

    ``slots`` None: whatever the optimiser remembers is not read. ``graph``, of the network that takes the weights, is
    needed for Keras's files without one; otherwise the file says it. Raises LoadError, also for weights that are NaN or
    infinite unless ``allow_nan``.
    """
    expected: Expected = {address: (shape, dtype) for address, shape in shapes.items()}
    ending = suffix(path, READABLE)
    if ending in KERAS:
        return keras_files.read_weights(path, expected, graph, allow_nan=allow_nan), {}
    if ending == ".safetensors":
        with reading(path, "a .safetensors file") as file:
            return read_stored(read_header(file)[0], expected, allow_nan=allow_nan), {}
    remembered = {f"{SLOTS}{address}": (shape, dtype) for address, shape in (slots or {}).items()}
    arrays, _ = read_arrays(path, {**expected, **remembered}, leave_out=lambda name: slots is None and _is_slot(name))
    with reading(path, "an .npz file"):
        for address in () if allow_nan else expected:
            require_finite(address, arrays[address])
    return (
        {address: arrays[address] for address in shapes},
        {address: arrays[f"{SLOTS}{address}"] for address in slots or {}},
    )


def _is_slot(name: str) -> bool:
    """Whether an array is an optimiser's; a layer may be called "optimizer" too, and its weights are not."""
    return name.startswith(SLOTS) and name.count("/") > 1
