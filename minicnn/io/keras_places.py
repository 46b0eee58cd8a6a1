"""Whose weights are where in one of Keras's files, for a network that may call its layers otherwise.

``keras_weights.py`` knows the two layouts. Which layer of ours is meant is another question. Names tell, if people gave
one to every layer. Those that a library makes, "dense_1", depend on what was made first: then, if the file describes
its network, the two graphs are laid beside each other; if it has weights alone, the order of the layers tells, which
Keras derives from its graph.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from minicnn.errors import LoadError, MinicnnError
from minicnn.graph import Graph
from minicnn.io.checks import Expected, refuse
from minicnn.io.hdf5 import Tree
from minicnn.io.keras_config import config_from_keras
from minicnn.io.keras_graph import keras_order
from minicnn.io.keras_layers import ACTIVATIONS, Row, to_keras
from minicnn.io.keras_networks import Kind, Kinds, leaves, network_of
from minicnn.io.keras_rows import MODELS
from minicnn.io.keras_weights import FOLDED, Found, find_by_name, find_weights, is_ours
from minicnn.keras_names import snake_case
from minicnn.layers import Activation, Dropout, Layer


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
    if described is not None and described.is_folded():
        refuse(f"{FOLDED}: it goes into the network that load_model(path) makes of it")
    found_by_name = find_by_name(tree, expected) if has_names_of_its_own(graph, expected) else None
    if found_by_name is not None and found_by_name.fits(expected):
        return found_by_name
    return _by_order(tree, expected, graph)


def _by_order(tree: Tree, expected: Expected, graph: Graph) -> Found:
    """An activation is a layer here. Whether it is one there changes the order, and the file does not say, unless it is
    one of ours."""
    found: list[Found] = []
    reasons: list[LoadError] = []
    for activations_inside in (False,) if is_ours(tree) else (False, True):
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

    def is_folded(self) -> bool:
        """Whether there are models within it."""
        return any(kind.layers is not None for kind in self.kinds.values())

    def names_of(self, graph: Graph, addresses: Iterable[str]) -> dict[str, str] | None:
        """{layer of ``graph`` that has weights: which one it is here}; None for networks that are not alike.

        Names tell, if they were given; those that a library makes depend on what was made first. Otherwise both graphs
        are laid beside each other; and where they are not alike, in Keras's order, with each activation as a layer.
        """
        names = {address.split("/")[0] for address in addresses}
        given = has_names_of_its_own(graph, addresses, folded=self.is_folded())
        if given and names <= set(leaves(self.kinds)):
            return {name: name for name in names}
        kinds = {type(layer) for layer in graph.path if layer.name in names}
        pairs = laid_beside(graph, self.graph, kinds) or in_one_order(graph, self.graph, kinds)
        there = {one.name: other.name for one, other in pairs.items()}
        return {name: there[name] for name in names} if names <= there.keys() else None


def in_one_order(graph: Graph, other: Graph, kinds: Collection[type[Layer]]) -> dict[Layer, Layer]:
    """Layers of these kinds and those of the other graph, in Keras's order; none if their classes are others."""
    own, there = ([one for one in keras_order(which) if type(one) in kinds] for which in (graph, other))
    return dict(zip(own, there, strict=True)) if list(map(type, own)) == list(map(type, there)) else {}


def laid_beside(graph: Graph, other: Graph, kinds: Collection[type[Layer]]) -> dict[Layer, Layer]:
    """Each layer of these kinds, and the one that stands in its place in the other graph; none if they are not alike.

    Both are followed from the outputs back, source by source. What stands between must be the same, but for what does
    nothing in a prediction.
    """
    pairs: dict[Layer, Layer] = {}
    values: dict[int, int] = {}
    if len(graph.outputs) != len(other.outputs):
        return {}
    waiting = list(zip(graph.outputs, other.outputs, strict=True))
    while waiting:
        (own, between), (there, between_there) = (
            _that_counts(which, value, kinds) for which, value in zip((graph, other), waiting.pop(), strict=True)
        )
        is_input = own < graph.inputs
        if between != between_there or is_input != (there < other.inputs) or (is_input and own != there):
            return {}
        is_known = own in values
        if values.setdefault(own, there) != there:
            return {}
        if is_known or is_input:
            continue
        one, two = graph.nodes[own - graph.inputs], other.nodes[there - other.inputs]
        alike = type(one.layer) is type(two.layer) and len(one.sources) == len(two.sources)
        if not alike or pairs.setdefault(one.layer, two.layer) is not two.layer:
            return {}
        waiting += zip(one.sources, two.sources, strict=True)
    return pairs if len(set(pairs.values())) == len(pairs) else {}


def _that_counts(graph: Graph, value: int, kinds: Collection[type[Layer]]) -> tuple[int, list[str]]:
    """(the value itself, or the one behind it that a layer of these kinds makes, a layer that merges, or an input; what
    stands between and computes something in a prediction)."""
    between: list[str] = []
    while value >= graph.inputs:
        layer, sources = graph.nodes[value - graph.inputs]
        if layer.merges or type(layer) in kinds:
            break
        computed = computed_by(layer)
        between += [computed] if computed else []
        (value,) = sources
    return value, between


def computed_by(layer: Layer) -> str | None:
    """The class of a layer without weights; that of its function for an ``Activation``; None for what does nothing."""
    if isinstance(layer, Activation):
        meant = ACTIVATIONS[layer.activation]
        return meant and (layer.activation if meant[0] == "Activation" else meant[0])
    return None if isinstance(layer, Dropout) else type(layer).__name__


def has_names_of_its_own(graph: Graph, addresses: Iterable[str], *, folded: bool = False) -> bool:
    """Whether every layer with weights was given a name, other than "dense_1". ``folded``: of a network that has models
    within it, where "sequential_conv1" and "base_dense_1" are none either."""
    names = {address.split("/")[0] for address in addresses}
    kinds = {layer.name: snake_case(type(layer).__name__) for layer in graph.path}
    if not folded:
        return not any(re.fullmatch(rf"{kinds[name]}(_\d+)?", name) for name in names)
    made = r"(^|_)({})(_\d+)?{}"  # by a library, for the layer or for a model that it was in
    models = "|".join(map(str.lower, MODELS))
    return not any(
        re.search(made.format(kinds[name], "$"), name) or re.search(made.format(models, "_"), name) for name in names
    )


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
