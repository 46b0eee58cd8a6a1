"""The layers of a Keras model and their calls, as its JSON lists them; models within it are unfolded.

In Keras a model can be a layer of another one: a network trained before, with a new end. Ours has layers alone, so
what stands inside takes the place of the model. The layers of a model ``base`` are then called ``base/conv1`` and so
on; what they read is what the model was given, and a model called twice is all of its layers called twice:

    outer:  x -> base -> dense            becomes    x -> base/conv1 -> base/relu1 -> dense
    base:        input -> conv1 -> relu1

Where the weights of a file lie follows from how it was folded; so that is kept (``Kinds``; see ``keras_weights.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from minicnn.errors import explain
from minicnn.io.checks import refuse
from minicnn.io.keras_graph import Called, Source
from minicnn.io.keras_layers import our_name
from minicnn.io.keras_rows import MODELS, listed, require_unlike
from minicnn.layers import MOST_LAYERS

DEEPEST = 20  # models within models
MOST_READ = 10 * MOST_LAYERS  # calls, and what they read, of all layers of models within models


class Kind(NamedTuple):
    """Keras's class of a layer, and whether it learns; of a model, also its layers."""

    class_name: str
    trainable: bool = True
    layers: Mapping[str, Any] | None = None  # Kinds, which Python's types cannot say of itself here


Kinds = Mapping[str, Kind]  # by the names that our layers get, in the order of the file


class Network(NamedTuple):
    """``found``: every layer, inputs among them, in the order of the file; ``inputs`` and ``outputs`` in Keras's."""

    found: list[Called]
    inputs: list[str]
    outputs: list[Source]
    kinds: dict[str, Kind]


class Inside(NamedTuple):
    """A model within a model: what it is, and what it is given in each of its calls. None: it begins the network."""

    network: Network
    given: tuple[tuple[Source, ...], ...]


class Budget:
    """A file of a few bytes can ask for billions of calls: how many are still allowed."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            refuse(explain(f"at most {MOST_READ} calls of layers in models within models", "more"))


def network_of(model: Mapping[str, Any]) -> Network:
    """All layers of a Keras model. Raises LoadError where something is no layer, or not Keras's own."""
    return _unfolded(model, "", 0, Budget(MOST_READ))


def leaves(kinds: Kinds) -> dict[str, Kind]:
    """The layers alone, those of models within models among them, in their order."""
    found: dict[str, Kind] = {}
    for name, kind in kinds.items():
        found |= {name: kind} if kind.layers is None else leaves(kind.layers)
    return found


def _unfolded(model: Mapping[str, Any], prefix: str, depth: int, budget: Budget) -> Network:
    if depth > DEEPEST:
        refuse(f"models within models more than {DEEPEST} deep")
    layers, inputs, outputs = listed(model)
    inner = {
        layer.name: Inside(_unfolded(layer.raw, f"{prefix}{layer.name}/", depth + 1, budget), layer.given)
        for layer in layers
        if layer.row.class_name in MODELS
    }
    for name, inside in inner.items():
        _require_inputs(name, *inside)
    names = _Names(prefix, inner)
    found: list[Called] = []
    kinds: dict[str, Kind] = {}
    for name, row, given, _ in layers:
        if name in inner:
            found += _called(name, inner[name], names, budget)
        else:
            found.append(Called(prefix + name, row, tuple(tuple(map(names.resolve, one)) for one in given)))
        own = inner[name].network.kinds if name in inner else None
        kinds[our_name(prefix + name)] = Kind(row.class_name, row.config.get("trainable") is not False, own)
    if len(found) > MOST_LAYERS:
        refuse(explain(f"at most {MOST_LAYERS} layers", f"{len(found)}"))
    require_unlike(layer.name for layer in found)
    return Network(found, _input_names(prefix, inputs, inner), list(map(names.resolve, outputs)), kinds)


class _Names:
    """What a layer reads, said by the names and the calls that are left once models are unfolded."""

    def __init__(self, prefix: str, inner: Mapping[str, Inside]) -> None:
        self.prefix, self.inner = prefix, inner
        self.inputs = {name: {one: i for i, one in enumerate(inside.inputs)} for name, (inside, _) in inner.items()}
        self.counts = {name: {one.name: len(one.calls) for one in inside.found} for name, (inside, _) in inner.items()}
        self.known: dict[Source, Source] = {}

    def resolve(self, source: Source) -> Source:
        """Which layer's call made it, followed through models that hand on what they are given."""
        way: dict[Source, None] = {}
        while source not in self.known:
            if source in way:
                refuse(f"the layer '{source[0]}' reads what no layer makes before it")
            way[source] = None
            name, call = source
            if name not in self.inner:
                self.known[source] = f"{self.prefix}{name}", call
                break
            network, given = self.inner[name]
            if not 0 <= call < max(1, len(given)):
                refuse(f"it reads call {call} of '{name}', what no layer makes")
            made = network.outputs[0]
            if given and made[0] in self.inputs[name]:
                source = given[call][self.inputs[name][made[0]]]
            else:
                self.known[source] = self.within(name, made, call)
        self.known |= dict.fromkeys(way, self.known[source])
        return self.known[source]

    def within(self, name: str, source: Source, call: int) -> Source:
        """What a layer of the model ``name`` reads in this call of the model."""
        given = self.inner[name].given
        made, made_by = source
        if not given:
            return source
        if made in self.inputs[name]:
            return self.resolve(given[call][self.inputs[name][made]])
        count = self.counts[name].get(made, 0)
        if not 0 <= made_by < count:
            refuse(f"it reads call {made_by} of '{made}', what no layer makes")
        return made, call * count + made_by


def _called(name: str, inside: Inside, names: _Names, budget: Budget) -> Iterator[Called]:
    """The layers of a model within a model, each with all the calls that the model's calls mean."""
    network, given = inside
    times = max(1, len(given))
    budget.spend(times * sum(1 + len(sources) for layer in network.found for sources in layer.calls))
    for layer in network.found:
        if not given or layer.name not in names.inputs[name]:
            calls_of_it = [
                tuple(names.within(name, one, call) for one in own) for call in range(times) for own in layer.calls
            ]
            yield layer._replace(calls=tuple(calls_of_it))


def _require_inputs(name: str, network: Network, given: Sequence[Sequence[Source]]) -> None:
    if not network.outputs or any(len(one) != len(network.inputs) for one in given):
        refuse(explain(f"the model '{name}' called on {len(network.inputs)} inputs", f"{given!r:.200}"))


def _input_names(prefix: str, inputs: Sequence[str], inner: Mapping[str, Inside]) -> list[str]:
    """A model that begins the network has its inputs."""
    return [full for name in inputs for full in (inner[name].network.inputs if name in inner else [prefix + name])]
