"""Everything that one pass computed: each layer's output, and after a backward pass the gradient of each.

``model.forward`` lets go of a value as soon as nobody reads it any more, and computes some layers together. A trace
computes each layer by itself and keeps all: the same numbers, bit for bit, and there to be looked at.

Values are called by the name of the layer that makes them, inputs by theirs. A layer that is used twice makes two:
"conv" and "conv@2".
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minicnn import losses, passes
from minicnn.errors import OptionError, ShapeError, StateError, did_you_mean, explain
from minicnn.layers.base import INFERENCE, Cache, Context, Gradients, Layer, Tensors
from minicnn.losses import Loss
from minicnn.model import Model
from minicnn.network import one_or_all
from minicnn.ops.gradients import OuterProducts
from minicnn.shapes import Array
from minicnn.study.explanation import Index
from minicnn.study.use import Use


class LossStep(NamedTuple):
    """The last step of a pass whose gradient comes from a loss."""

    loss: Loss
    targets: Array
    value: float


@dataclass(frozen=True, eq=False)
class Trace:
    """What one pass through ``model`` computed. ``values`` and ``dvalues`` are counted as in ``minicnn.graph``.

    ``dvalues`` and ``gradients`` are empty before ``backward``. Large kernel gradients of dense layers are kept as the
    factors they are a product of (``ops/gradients.py``); ``gradient`` writes one out.
    """

    model: Model
    values: list[Array]
    caches: list[Cache]
    names: tuple[str, ...]
    dvalues: dict[int, Array] = field(default_factory=dict)
    parameter_gradients: Gradients = field(default_factory=dict)
    start: dict[int, Array] = field(default_factory=dict)  # the gradient that each output was given
    loss: LossStep | None = None

    @property
    def output(self) -> Tensors:
        """The network's output; of several, a list."""
        return one_or_all([self.values[value] for value in self.model.graph.outputs])

    def value(self, name: str) -> int:
        """The number of the value ``name``. Raises OptionError that lists the names, and says which is nearest."""
        return number_of(self.model, name)

    def layer(self, name: str) -> Layer:
        """The layer that makes the value ``name``. Raises OptionError for an input too: no layer makes it."""
        found: Layer = self.use(name).layer
        return found

    def use(self, name: str) -> Use:
        """The use of a layer that makes the value ``name``."""
        place = self.value(name) - self.model.graph.inputs
        if place < 0:
            fix = "It is given, so there is nothing to explain."
            raise OptionError(explain("the name of a layer", f"'{name}', an input of the network", fix))
        return self.use_at(place)

    def use_at(self, place: int) -> Use:
        """The use of a layer that is node ``place`` of the graph."""
        graph = self.model.graph
        node, value = graph.nodes[place], graph.inputs + place
        return Use(
            node.layer,
            tuple(self.values[source] for source in node.sources),
            tuple(self.names[source] for source in node.sources),
            self.values[value],
            self.names[value],
            self.caches[place],
            self.dvalues.get(value),
        )

    def backward(self, dy: Tensors) -> Trace:
        """This trace with the gradients of everything for the gradient ``dy`` of the output (of several, a list)."""
        graph = self.model.graph
        dys = list(dy) if len(graph.outputs) > 1 else [dy]
        arrays = [np.ascontiguousarray(part, dtype=self.model.dtype) for part in dys]
        for array, value in zip(arrays, graph.outputs, strict=True):
            if array.shape != self.values[value].shape:
                raise ShapeError(
                    explain(f"dy in the output's shape {self.values[value].shape}", f"shape {array.shape}")
                )
        dvalues: dict[int, Array] = {}
        dx, found = passes.backward(graph, arrays, self.caches, input_gradient=True, dvalues=dvalues)
        assert dx is not None
        start: dict[int, Array] = {}
        for value, array in zip(graph.outputs, arrays, strict=True):  # one value may be two outputs
            start[value] = start[value] + array if value in start else array
        dvalues |= dict(enumerate(dx))
        return dataclasses.replace(self, dvalues=dvalues, parameter_gradients=found, start=start, loss=None)

    def backward_from(self, targets: Array, loss: str | Loss) -> Trace:
        """This trace with all gradients of ``loss`` (an instance or Keras's name) of the output for ``targets``."""
        step, dy = self.loss_step(targets, loss)
        return dataclasses.replace(self.backward(dy), loss=step)

    def loss_step(self, targets: Array, loss: str | Loss) -> tuple[LossStep, Array]:
        """The ``loss`` of the output for ``targets``, and its gradient: where ``backward_from`` starts.

        Raises OptionError for a network of several outputs.
        """
        chosen, output = losses.get(loss), self.output
        if isinstance(output, list):
            raise OptionError(explain("one output to take the loss of", f"{len(output)}"))
        value, cache = chosen.forward(targets, output)
        return LossStep(chosen, np.asarray(targets), value), chosen.backward(cache)

    def require_gradients(self) -> None:
        if not self.dvalues:
            fix = "Call trace.backward(dy) or trace.backward_from(targets, loss)."
            raise StateError(explain("a trace of both passes", "one of the forward pass alone", fix))

    def gradient(self, address: str) -> Array:
        """The gradient of the parameter ``address``, "conv1/kernel", written out. Raises OptionError, StateError."""
        self.require_gradients()
        if address not in self.parameter_gradients:
            weights = ", ".join(self.parameter_gradients)
            raise OptionError(explain(f"a parameter that learns, among {weights}", repr(address)))
        found = self.parameter_gradients[address]
        return found.array() if isinstance(found, OuterProducts) else found

    def gradient_entry(self, address: str, index: Index) -> float:
        """One entry of that gradient; of a large one, only its row is written out."""
        found = self.parameter_gradients[address]
        if isinstance(found, OuterProducts):
            return float(found.rows(index[0], index[0] + 1)[0, index[1]])
        return float(found[index])


def trace(model: Model, x: Tensors, *, context: Context = INFERENCE) -> Trace:
    """A forward pass of ``x`` (a batch, of several inputs a list) in which every layer's output is kept.

    ``context=Context(training=True)`` for what training computes: batch statistics, dropout. Raises what the model
    raises for an input that does not fit. Memory: all outputs at once, 115 MB for a photograph in VGG-Face.
    """
    context = dataclasses.replace(context, factored=True)
    values, caches = passes.every_value(model.graph, model.as_inputs(x), context)
    return Trace(model, values, caches, value_names(model))


def value_names(model: Model) -> tuple[str, ...]:
    """A name for every value: the inputs', then the layers'; the second use of "conv" is "conv@2"."""
    names, uses = list(model.input_names), Counter(model.input_names)
    for layer in model.graph.path:
        uses[layer.name] += 1
        names.append(layer.name if uses[layer.name] == 1 else f"{layer.name}@{uses[layer.name]}")
    return tuple(names)


def number_of(model: Model, name: str) -> int:
    """The number of the value ``name``. Raises OptionError that lists the names, and says which is nearest."""
    names = value_names(model)
    if name in names:
        return names.index(name)
    raise OptionError(explain(f"a layer of '{model.name}': {', '.join(names)}", repr(name), did_you_mean(name, names)))


class GradientsOf(NamedTuple):
    """The gradients of one backward pass: ``activations`` by the names of values, ``parameters`` by their addresses."""

    activations: dict[str, Array]
    parameters: dict[str, Array]


def activations(model: Model, x: Tensors, *, context: Context = INFERENCE) -> dict[str, Array]:
    """Every layer's output for the batch ``x``, under its name; in the order of data, inputs first."""
    found = trace(model, x, context=context)
    return dict(zip(found.names, found.values, strict=True))


def gradients(
    model: Model,
    x: Tensors,
    *,
    dy: Tensors | None = None,
    targets: Array | None = None,
    loss: str | Loss | None = None,
    context: Context = INFERENCE,
) -> GradientsOf:
    """The gradient of every activation and parameter: of a ``loss`` for ``targets``, or for a given gradient ``dy`` of
    the output. Raises OptionError unless just one of the two is given.

    Frozen layers have no parameter gradients.
    """
    found = with_gradients(trace(model, x, context=context), dy, targets, loss)
    values = {name: found.dvalues[value] for value, name in enumerate(found.names)}
    return GradientsOf(values, {address: found.gradient(address) for address in found.parameter_gradients})


def with_gradients(found: Trace, dy: Tensors | None, targets: Any, loss: str | Loss | None) -> Trace:
    """``found`` after the backward pass that either ``dy`` or ``targets`` with ``loss`` ask for. Raises OptionError."""
    if dy is not None and targets is None and loss is None:
        return found.backward(dy)
    if dy is None and targets is not None and loss is not None:
        return found.backward_from(targets, loss)
    received = [name for name, given in (("dy", dy), ("targets", targets), ("loss", loss)) if given is not None]
    raise OptionError(explain("either dy, or targets and loss", " and ".join(received) or "none of them"))


def one_hot(output: Array, index: Sequence[int] | int) -> Array:
    """dy that asks for the gradient of one number of each output: 1 at ``index`` (no batch axis), else 0."""
    dy = np.zeros_like(output)
    dy[(slice(None), *(index if isinstance(index, (list, tuple)) else (index,)))] = 1
    return dy
