"""Whose weights are where in one of Keras's files, for a network that may call its layers otherwise.

``keras_weights.py`` knows the two layouts. Which layer of ours is meant is another question. If the file describes its
network, that is read as any other, and the two graphs are laid beside each other. If it has weights alone, names that
people gave tell; else the order of the layers, which Keras derives from its graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from minicnn.errors import LoadError, MinicnnError
from minicnn.graph import Graph
from minicnn.io.checks import Expected, refuse
from minicnn.io.hdf5 import Tree
from minicnn.io.keras_config import config_from_keras
from minicnn.io.keras_graph import keras_order
from minicnn.io.keras_layers import Row, to_keras
from minicnn.io.keras_networks import Kind, Kinds, leaves, network_of
from minicnn.io.keras_weights import FOLDED, Found, find_by_name, find_weights
from minicnn.keras_names import snake_case


def places_of(tree: Tree, description: Mapping[str, Any] | None, expected: Expected, graph: Graph | None) -> Found:
    """Where each array of ``expected`` lies. Raises LoadError.

    ``description``: Keras's JSON, if the file has it. ``graph``: of the network that takes the weights; None for the
    one that is described.
    """
    if graph is None:
        return find_weights(tree, expected, network_of(description or {}).kinds)
    described = None if description is None else _described(description)
    if described is not None and (there := described.names_of(graph, expected)) is not None:
        addresses = {address: f"{there[name]}/{key}" for address in expected for name, key in [address.split("/")]}
        found = find_weights(tree, addresses.values(), described.kinds)
        return found._replace(places={own: found.places[other] for own, other in addresses.items()})
    if described is not None and any(kind.layers is not None for kind in described.kinds.values()):
        refuse(f"{FOLDED}: it goes into the network that load_model(path) makes of it")
    found_by_name = find_by_name(tree, expected) if has_names_of_its_own(graph, expected) else None
    if found_by_name is not None and found_by_name.fits(expected):
        return found_by_name
    return _by_order(tree, expected, graph)


def _by_order(tree: Tree, expected: Expected, graph: Graph) -> Found:
    """An activation is a layer here. Whether it is one there changes the order, and the file does not say."""
    found: list[Found] = []
    reasons: list[LoadError] = []
    for activations_inside in (False, True):
        try:
            found.append(find_weights(tree, expected, kinds_of(graph, activations_inside)))
        except LoadError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    fitting = [one for one in found if one.fits(expected)]
    if len(fitting) > 1 and fitting[0].places != fitting[1].places:
        apart = [address for address, place in fitting[0].places.items() if place != fitting[1].places[address]]
        refuse(
            f"two orders of its layers fit: '{apart[0]}' may lie in two places, as Keras counts an activation inside a "
            "layer and one behind it differently. Give all layers names of their own, the same in both; or save the "
            "network itself, as .keras"
        )
    return (fitting or found)[0]


class Described(NamedTuple):
    """A network as a file describes it: where Keras's layers stand, and its graph under our names."""

    kinds: Kinds
    graph: Graph

    def names_of(self, graph: Graph, addresses: Iterable[str]) -> dict[str, str] | None:
        """{layer of ``graph`` that has weights: which one it is here}; None for networks that are not alike.

        Names tell, if they were given; those that a library makes depend on what was made first. Then it is Keras's
        order, in which both graphs are written as ours are, with each activation as a layer.
        """
        names = {address.split("/")[0] for address in addresses}
        if has_names_of_its_own(graph, addresses) and names <= set(leaves(self.kinds)):
            return {name: name for name in names}
        own = [layer for layer in keras_order(graph) if layer.name in names]
        kinds = {type(layer) for layer in own}
        there = [layer for layer in keras_order(self.graph) if type(layer) in kinds]
        if [type(layer) for layer in own] != [type(layer) for layer in there]:
            return None
        return {one.name: other.name for one, other in zip(own, there, strict=True)}


def has_names_of_its_own(graph: Graph, addresses: Iterable[str]) -> bool:
    """Whether every layer with weights was given a name, other than "dense_1" and the like."""
    names = {address.split("/")[0] for address in addresses}
    kinds = {layer.name: snake_case(type(layer).__name__) for layer in graph.path}
    return not any(re.fullmatch(rf"{kinds[name]}(_\d+)?", name) for name in names)


def _described(description: Mapping[str, Any]) -> Described | None:
    """None for a network with layers that only their owner knows."""
    try:
        return Described(network_of(description).kinds, Graph.from_config(config_from_keras(description)[1]))
    except (MinicnnError, LookupError, TypeError, ValueError):
        return None


def kinds_of(graph: Graph, activations_inside: bool = False) -> dict[str, Kind]:
    """Keras's class of every layer by its name, in Keras's order."""
    order = keras_order(graph, activations_inside=activations_inside)
    return {layer.name: Kind(to_keras(Row(type(layer).__name__, {})).class_name) for layer in order}
