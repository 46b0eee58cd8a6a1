"""Where Keras puts the weights of a network in an HDF5 file. Two layouts, and both leave out what they think is plain.

Keras 3 (``.weights.h5``, and inside ``.keras``): layers are numbered by class, weights by position.

    layers/conv2d/vars/0, layers/conv2d/vars/1, layers/conv2d_1/vars/0 ...        the names of the layers do not matter
    _layer_checkpoint_dependencies/conv2d/vars/0                                   the same, as Keras 2.13 wrote it

Keras 2, and full-model ``.h5`` to this day: layers and weights under their names, whose order stands in attributes.

    attributes of the root or of model_weights:   layer_names  = [conv1, relu1, fc6, fc6/relu]
    attributes of conv1:                          weight_names = [conv1/kernel:0, conv1/bias:0]
    conv1/conv1/kernel:0, conv1/conv1/bias:0                                       the numbers

In both, the weights of a layer stand in one order: kernel, bias; gamma, beta, moving_mean, moving_variance. It is the
order of our own ``parameter_specs`` and ``state_specs``, so a network's addresses, in order, say what lies where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minicnn.errors import explain
from minicnn.io.checks import refuse
from minicnn.io.hdf5 import Tree
from minicnn.io.stored import Place, Stored
from minicnn.keras_names import snake_case
from minicnn.shapes import Array

KERAS_VERSION = "3.15.1"  # whose layout is written
ROOTS = ("layers", "_layer_checkpoint_dependencies")


def is_legacy(tree: Tree) -> str | None:
    """The group that holds the layers in the layout of Keras 2, or None."""
    for group in ("", "model_weights"):
        if group in tree.groups and tree.names(group, "layer_names") is not None:
            return group
    return None


def find_weights(
    tree: Tree, addresses: Iterable[str], classes: Mapping[str, str]
) -> tuple[dict[str, Stored], dict[str, Place]]:
    """(what the file holds of a network's weights, where each address lies). Raises LoadError.

    ``addresses``: those of a layer in their order ("conv1/kernel", "conv1/bias"). ``classes``: the class of each layer
    by its name, in the order in which the file lists them.
    """
    group = is_legacy(tree)
    by_name = _by_layer(addresses)
    layers = {name: by_name[name] for name in classes if name in by_name}  # the file's order, not that of computing
    return _legacy(tree, group, layers) if group is not None else _numbered(tree, layers, classes)


def legacy_weights(tree: Tree, group: str) -> list[tuple[str, list[str]]]:
    """[(layer name, [paths of its weights, in order])] for the layers that have any. Raises LoadError."""
    found = []
    for layer in tree.names(group, "layer_names") or ():
        path = _join(group, layer)
        if path not in tree.groups:
            refuse(f"the layer '{layer}' that layer_names lists is missing")
        if weights := tree.names(path, "weight_names"):
            found.append((layer, [_join(path, weight) for weight in weights]))
    return found


def _legacy(tree: Tree, group: str, layers: Mapping[str, list[str]]) -> tuple[dict[str, Stored], dict[str, Place]]:
    saved = legacy_weights(tree, group)
    counts = [(name, len(paths)) for name, paths in saved]
    wanted = [(name, len(addresses)) for name, addresses in layers.items()]
    if [count for _, count in counts] != [count for _, count in wanted]:
        refuse(explain(f"layers with weights {_counted(wanted)}", _counted(counts)))
    stored = {path: tree.stored(path) for _, paths in saved for path in paths}
    places = {
        address: Place(path)
        for (_, paths), addresses in zip(saved, layers.values(), strict=True)
        for path, address in zip(paths, addresses, strict=True)
    }
    return stored, places


def _numbered(
    tree: Tree, layers: Mapping[str, list[str]], classes: Mapping[str, str]
) -> tuple[dict[str, Stored], dict[str, Place]]:
    root = next((root for root in ROOTS if root in tree.groups), ROOTS[0])
    stored = {
        path: tree.stored(path)
        for path in tree.datasets
        if path.startswith(f"{root}/") and "seed_generator" not in path
    }
    paths = numbered_paths({name: classes[name] for name in layers}, root)
    places = {
        address: Place(f"{paths[name]}/vars/{index}")
        for name, addresses in layers.items()
        for index, address in enumerate(addresses)
    }
    return stored, places


def numbered_paths(classes: Mapping[str, str], root: str = ROOTS[0]) -> dict[str, str]:
    """{"conv1_1": "layers/conv2d", "conv1_2": "layers/conv2d_1"}: layers by name, numbered by class."""
    counts: dict[str, int] = {}
    paths = {}
    for name, class_name in classes.items():
        kind = snake_case(class_name)
        count = counts[kind] = counts.get(kind, -1) + 1
        paths[name] = f"{root}/{kind}_{count}" if count else f"{root}/{kind}"
    return paths


def write_numbered(root: Any, weights: Mapping[str, Array], classes: Mapping[str, str]) -> None:
    """The layout of Keras 3, into an open h5py file. ``classes``: Keras's, of all layers in order."""
    layers = _by_layer(weights)
    for name, path in numbered_paths(classes).items():
        group = root.create_group(f"{path}/vars")
        group.attrs["name"] = name
        for index, address in enumerate(layers.get(name, ())):
            group.create_dataset(str(index), data=weights[address])


def write_legacy(root: Any, weights: Mapping[str, Array], names: Iterable[str], model: str) -> None:
    """The layout of full-model ``.h5`` files, into an open h5py group."""
    layers = _by_layer(weights)
    names = list(names)
    _write_names(root, "layer_names", names)
    root.attrs["backend"] = "tensorflow"
    root.attrs["keras_version"] = KERAS_VERSION
    for name in names:
        group = root.create_group(name)
        addresses = layers.get(name, [])
        _write_names(group, "weight_names", [f"{model}/{address}" for address in addresses])
        for address in addresses:
            group.create_dataset(f"{model}/{address}", data=weights[address])


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    """HDF5 keeps at most 64 KB in an attribute: longer lists are split, as Keras does it."""
    data = np.array([name.encode() for name in names], dtype="S" if names else "S1")
    parts = list(_split(data, limit=64_000))
    for index, part in enumerate(parts):
        group.attrs[attribute if len(parts) == 1 else f"{attribute}{index}"] = part


def _split(data: Array, limit: int) -> Iterator[Array]:
    step = max(1, limit // max(1, data.dtype.itemsize))
    yield from (data[start : start + step] for start in range(0, max(1, len(data)), step))


def _by_layer(addresses: Iterable[str]) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for address in addresses:
        layers.setdefault(address.split("/", 1)[0], []).append(address)
    return layers


def _counted(counts: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} ({count})" for name, count in counts[:6])
    return f"{len(counts)}: {shown}{', ...' if len(counts) > 6 else ''}"


def _join(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name
