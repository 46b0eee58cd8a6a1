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

A model within a model (``keras_networks.py``) is a group with groups of its own in the first layout,

    layers/functional/layers/conv2d/vars/0

and in the second one layer that has all the weights: first those that learn, then those that do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import explain
from minicnn.io.checks import Expected, refuse
from minicnn.io.hdf5 import Tree
from minicnn.io.keras_layers import our_name
from minicnn.io.keras_networks import Kind, Kinds, leaves
from minicnn.io.stored import Place, Stored
from minicnn.keras_names import snake_case
from minicnn.shapes import Array

KERAS_VERSION = "3.15.1"  # whose layout is written
ROOTS = ("layers", "_layer_checkpoint_dependencies")
WRITER, OURS = "written_by", "minicnn"  # an attribute of the root
FOLDED = "it holds models within models"


def is_ours(tree: Tree) -> bool:
    """Whether minicnn wrote this: each of its layers is one of Keras's there, in the order of ``keras_order``."""
    return tree.text("", WRITER) == OURS


def is_legacy(tree: Tree) -> str | None:
    """The group that holds the layers in the layout of Keras 2, or None."""
    for group in ("", "model_weights"):
        if group in tree.groups and tree.names(group, "layer_names") is not None:
            return group
    return None


class Found(NamedTuple):
    """What a file holds of a network's weights, and where each address lies."""

    stored: dict[str, Stored]
    places: dict[str, Place]

    def fits(self, expected: Expected) -> bool:
        """Whether every array is there in its shape."""
        lying = {address: self.stored.get(place.name) for address, place in self.places.items()}
        return all((one := lying.get(address)) and one.shape == shape for address, (shape, _) in expected.items())


def find_weights(tree: Tree, addresses: Iterable[str], kinds: Kinds) -> Found:
    """Where the weights of a network lie, by the order of its layers. Raises LoadError.

    ``addresses``: those of a layer in their order ("conv1/kernel", "conv1/bias"). ``kinds``: Keras's class of each
    layer by its name, in the order in which the file lists them.
    """
    group, by_name = is_legacy(tree), _by_layer(addresses)
    if group is None:
        return _numbered(tree, by_name, kinds)
    saved = legacy_weights(tree, group)
    layers = {name: own for name, kind in kinds.items() if (own := _in_legacy_order(name, kind, by_name))}
    counts = [(name, len(paths)) for name, paths in saved]
    wanted = [(name, len(addresses)) for name, addresses in layers.items()]
    if [count for _, count in counts] != [count for _, count in wanted]:
        refuse(explain(f"layers with weights {_counted(wanted)}", _counted(counts)))
    return _paired(tree, zip([paths for _, paths in saved], layers.values(), strict=True))


def find_by_name(tree: Tree, addresses: Iterable[str]) -> Found | None:
    """The same by the names of the layers; None unless the file has weights of these layers and of no others."""
    group, by_name = is_legacy(tree), _by_layer(addresses)
    if group is None:
        there = _named_paths(tree)
    else:
        there = {our_name(name): paths for name, paths in legacy_weights(tree, group)}
    counts = {name: len(paths) for name, paths in there.items()}
    if counts != {name: len(own) for name, own in by_name.items()}:
        return None
    return _paired(tree, ((there[name], own) for name, own in by_name.items()))


def _paired(tree: Tree, layers: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Found:
    """Paths in the file and addresses, layer by layer."""
    places = {
        address: Place(path) for paths, addresses in layers for path, address in zip(paths, addresses, strict=True)
    }
    return Found({place.name: tree.stored(place.name) for place in places.values()}, places)


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


def _in_legacy_order(name: str, kind: Kind, by_name: Mapping[str, list[str]]) -> list[str]:
    """The addresses of a layer, or of a model within the model: what learns comes before what does not."""
    if kind.layers is None:
        return by_name.get(name, [])
    layers = leaves(kind.layers)
    whole = [address for leaf in layers for address in by_name.get(leaf, ())]
    learning = {leaf for leaf, one in layers.items() if one.trainable and kind.trainable}
    first = {one: None for one in whole if one.split("/")[0] in learning and "/moving_" not in one}
    return [*first, *(address for address in whole if address not in first)]


def _numbered(tree: Tree, by_name: Mapping[str, list[str]], kinds: Kinds) -> Found:
    root = _root(tree)
    paths = _numbered_paths(kinds, root, root)
    stored = _numbers(tree)
    if all(kind.layers is None for kind in kinds.values()) and any(f"/{root}/" in path for path in stored):
        refuse(f"{FOLDED}, and not how they are connected: save the network itself, as .keras, and load_model it")
    places = {
        address: Place(f"{paths[name]}/vars/{index}")
        for name, addresses in by_name.items()
        for index, address in enumerate(addresses)
    }
    return Found(stored, places)


def _root(tree: Tree) -> str:
    return next((root for root in ROOTS if root in tree.groups), ROOTS[0])


def _numbers(tree: Tree) -> dict[str, Stored]:
    """The weights by their paths; seeds of dropout layers are none."""
    beginning = f"{_root(tree)}/"
    paths = [path for path in tree.datasets if path.startswith(beginning) and "seed_generator" not in path]
    return {path: tree.stored(path) for path in paths}


def _named_paths(tree: Tree) -> dict[str, list[str]]:
    """{"conv1_1": [paths of its weights, in order]}, by the names that Keras wrote beside them; {} if it wrote none."""
    groups: dict[str, list[str]] = {}
    for path in _numbers(tree):
        groups.setdefault(path.rpartition("/")[0], []).append(path)
    names = [tree.text(group, "name") for group in groups]
    if not all(names) or len(set(names)) < len(names):
        return {}
    paths = {group: [f"{group}/{index}" for index in range(len(own))] for group, own in groups.items()}
    if any(set(paths[group]) != set(own) for group, own in groups.items()):
        return {}
    return {our_name(str(name)): own for name, own in zip(names, paths.values(), strict=True)}


def _numbered_paths(kinds: Kinds, within: str, root: str) -> dict[str, str]:
    """{"conv1_1": "layers/conv2d", "conv1_2": "layers/conv2d_1"}: layers by name, numbered by class."""
    counts: dict[str, int] = {}
    paths: dict[str, str] = {}
    for name, kind in kinds.items():
        word = snake_case(kind.class_name)
        count = counts[word] = counts.get(word, -1) + 1
        path = f"{within}/{word}_{count}" if count else f"{within}/{word}"
        paths |= {name: path} if kind.layers is None else _numbered_paths(kind.layers, f"{path}/{root}", root)
    return paths


def write_numbered(root: Any, weights: Mapping[str, Array], kinds: Kinds) -> None:
    """The layout of Keras 3, into an open h5py file. ``kinds``: of all layers in order."""
    layers = _by_layer(weights)
    root.attrs[WRITER] = OURS
    for name, path in _numbered_paths(kinds, ROOTS[0], ROOTS[0]).items():
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
