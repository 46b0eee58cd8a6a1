"""Asking for one number: of any layer forward, and of any gradient backward.

    explain(model, x, "conv3_2", (10, 12, 5))                              one output
    explain_gradient(model, x, "conv3_2", (10, 12, 5), dy=dy)              one entry of dx
    explain_gradient(model, x, "conv3_2", (0, 0, 7, 5), of="kernel", ...)  one entry of a parameter's gradient

Each answers with an ``Explanation``, worked out in float64 from the numbers that the layer itself read. Layers that a
network computes in one pass (``minicnn.fusion``) are explained one by one: the numbers are the same.

How a layer explains itself is in ``study/rules``.
"""

from __future__ import annotations

from collections.abc import Sequence

from minicnn.errors import OptionError
from minicnn.errors import explain as sentence
from minicnn.layers.base import INFERENCE, Context, Tensors
from minicnn.losses import Loss
from minicnn.model import Model
from minicnn.shapes import Array, Shape, whole
from minicnn.study.explanation import Explanation, Index, Terms, Worked
from minicnn.study.places import checked
from minicnn.study.rules import RULES
from minicnn.study.rules.curves import bend, softmax_axis
from minicnn.study.rules.losses import explain_loss, explain_loss_gradient, explain_scores_gradient
from minicnn.study.trace import Trace, trace, with_gradients
from minicnn.study.use import Use, worked_out

INPUT, OUTPUT = "input", "output"


def explain(
    model: Model,
    x: Tensors,
    layer: str,
    index: Sequence[int],
    *,
    sample: int = 0,
    context: Context = INFERENCE,
) -> Explanation:
    """How the number ``index`` of the output of ``layer`` came about, for picture ``sample`` of the batch ``x``.

    ``index`` has no batch axis: (row, column, channel) of a feature map, (unit,) of a dense layer. Raises OptionError
    for a layer that is not there (it names the nearest) and for an index out of range (it says the shape), and what
    the model raises for ``x``. Cost: one forward pass; to ask several times, make a ``trace`` once and use
    ``explain_in``.
    """
    return explain_in(trace(model, x, context=context), layer, index, sample=sample)


def explain_in(found: Trace, layer: str, index: Sequence[int], *, sample: int = 0) -> Explanation:
    """``explain`` in a pass that was made already."""
    use = found.use(layer)
    place = _place(use.y.shape, index, sample, f"the output of '{layer}'")
    return _explanation(use.name, place, use, RULES[type(use.layer)].forward(use, place), float(use.y[place]))


def activation_after(found: Trace, layer: str) -> str | None:
    """The activation that alone reads the output of ``layer`` and bends each number by itself; None without one."""
    graph, value = found.model.graph, found.value(layer)
    readers = [place for place, node in enumerate(graph.nodes) if value in node.sources]
    if len(readers) != 1 or value in graph.outputs:
        return None
    use = found.use_at(readers[0])
    return use.name if RULES[type(use.layer)].forward is bend and softmax_axis(use) is None else None


def explain_gradient(
    model: Model,
    x: Tensors,
    layer: str,
    index: Sequence[int],
    *,
    of: str = INPUT,
    source: int = 0,
    sample: int = 0,
    dy: Tensors | None = None,
    targets: Array | None = None,
    loss: str | Loss | None = None,
    context: Context = INFERENCE,
) -> Explanation:
    """Which output gradients flow into one gradient entry, and with what weight.

    The backward pass starts from ``dy``, the gradient of the network's output, or from ``targets`` and a ``loss``.
    ``of`` says which gradient of ``layer``:

    - "input": dx, of what it reads (of the input number ``source``, where it reads several);
    - "output": dy, which is what all of its readers send back, added up; at the end of the network, the loss;
    - the name of a parameter, "kernel": then ``index`` counts that array's axes and the sum goes over the whole batch.

    Otherwise as ``explain``.
    """
    after = with_gradients(trace(model, x, context=context), dy, targets, loss)
    return explain_gradient_in(after, layer, index, of=of, source=source, sample=sample)


def explain_gradient_in(
    found: Trace, layer: str, index: Sequence[int], *, of: str = INPUT, source: int = 0, sample: int = 0
) -> Explanation:
    """``explain_gradient`` in a trace that has gradients: ``trace(...).backward(dy)``."""
    found.require_gradients()
    if of == OUTPUT:
        return _value_gradient(found, found.value(layer), index, sample)
    use = found.use(layer)
    if of == INPUT:
        return _input_gradient(found, use, index, source, sample)
    return _parameter_gradient(found, use, of, index)


def _input_gradient(found: Trace, use: Use, index: Sequence[int], source: int, sample: int) -> Explanation:
    if not 0 <= source < len(use.xs):
        raise OptionError(sentence(f"source below {len(use.xs)}, the inputs of '{use.name}'", source))
    place = _place(use.xs[source].shape, index, sample, f"input {source} of '{use.name}'")
    worked = RULES[type(use.layer)].input_gradient(use, place, source)
    return _explanation(f"dx of {use.name}", place, use, worked, _sent_back(found, use, source, place))


def _sent_back(found: Trace, use: Use, source: int, place: Index) -> float:
    """One entry of the dx that this layer computed. If nobody else reads that value, it is the value's gradient."""
    value = found.value(use.reads[source])
    if found.model.graph.readers[value] == 1:
        return float(found.dvalues[value][place])
    dx = use.layer.backward(use.dy, use.cache)[0]
    return float((dx[source] if use.layer.merges else dx)[place])


def explain_loss_in(found: Trace, *, sample: int = 0) -> Explanation:
    """What picture ``sample`` cost, in a trace that ``backward_from`` made; its own loss, not the batch's mean."""
    found.require_gradients()
    if found.loss is None:
        fix = "Call trace.backward_from(targets, loss)."
        raise OptionError(sentence("a trace whose gradients come from a loss", "gradients of a given dy", fix))
    (value,), (loss, targets, _) = found.model.graph.outputs, found.loss
    predictions = found.values[value]
    place = _place(predictions.shape[:1], (), sample, "the losses")
    worked = explain_loss(loss, targets, predictions, place, found.names[value])
    cost = float(loss.per_sample(targets, predictions)[place])
    return Explanation("loss", place, type(loss).__name__, cost, worked.formula, worked.groups, worked.steps)


def explain_scores_gradient_in(found: Trace, index: Sequence[int], *, sample: int = 0) -> Explanation:
    """The gradient of the scores below a final softmax, with softmax and cross-entropy as one step: (p - t) / N.

    The softmax alone is ``explain_gradient_in(..., of="input")``: both lead to the same number. Raises OptionError for
    a network that does not end in a softmax, another loss, and probabilities that the loss clipped.
    """
    found.require_gradients()
    last = found.use(found.names[found.model.graph.outputs[0]])
    if softmax_axis(last) is None or found.loss is None:
        received = f"{last.layer!r} and {'no loss' if found.loss is None else repr(found.loss.loss)}"
        raise OptionError(sentence("a softmax at the end, and a cross-entropy", received))
    place = _place(last.y.shape, index, sample, f"input 0 of '{last.name}'")
    worked = explain_scores_gradient(found.loss.loss, found.loss.targets, last.y, place)
    return _explanation(f"dx of {last.name}", place, last, worked, _sent_back(found, last, 0, place))


def _parameter_gradient(found: Trace, use: Use, key: str, index: Sequence[int]) -> Explanation:
    """Over all uses of the layer: the gradients of a layer that stands in several places add up."""
    rules, address = RULES[type(use.layer)].parameters, f"{use.layer.name}/{key}"
    if key not in use.layer.params:
        choices = ", ".join((INPUT, OUTPUT, *use.layer.params))
        raise OptionError(sentence(f"one of {choices} for the gradients of '{use.layer.name}'", repr(key)))
    if address not in found.parameter_gradients:
        fix = "Set trainable=True to have its gradients."
        raise OptionError(sentence("a layer that learns", f"'{use.layer.name}', which is frozen", fix))
    place = checked(use.layer.params[key].shape, index, f"'{address}'")
    uses = [found.use_at(k) for k, node in enumerate(found.model.graph.nodes) if node.layer is use.layer]
    parts = [rules[key](each, place) for each in uses]
    groups = tuple(group for part in parts for group in part.groups)
    worked = Worked(parts[0].formula, groups, parts[0].steps)
    return _explanation(f"d {address}", place, use, worked, found.gradient_entry(address, place))


def _value_gradient(found: Trace, value: int, index: Sequence[int], sample: int) -> Explanation:
    """The gradient of a value: what each of its readers sends back, and what comes from the end of the network."""
    graph, name = found.model.graph, found.names[value]
    place = _place(found.values[value].shape, index, sample, f"the output of '{name}'")
    kind = type(graph.nodes[value - graph.inputs].layer).__name__ if value >= graph.inputs else "input"
    readers = [
        (node_place, source)
        for node_place, node in enumerate(graph.nodes)
        for source, read in enumerate(node.sources)
        if read == value
    ]
    parts = [
        RULES[type(graph.nodes[node_place].layer)].input_gradient(found.use_at(node_place), place, source)
        for node_place, source in readers
    ]
    if value in graph.outputs:
        parts.append(_end(found, value, place))
    groups: tuple[Terms, ...] = tuple(group for part in parts for group in part.groups)
    formula = parts[0].formula if len(parts) == 1 else "dy = the sum of what all readers send back"
    steps = parts[0].steps if len(parts) == 1 else ()
    return Explanation(f"d {name}", place, kind, float(found.dvalues[value][place]), formula, groups, steps)


def _end(found: Trace, value: int, place: Index) -> Worked:
    """What an output's gradient starts with: the loss, or the dy that was given."""
    if found.loss is None:
        given = worked_out("dy, as given", found.start[value][place])
        return Worked("dy is given: the backward pass starts here", (Terms.of(given),))
    loss, targets, _ = found.loss
    return explain_loss_gradient(loss, targets, found.values[value], place, found.names[value])


def _explanation(name: str, index: Index, use: Use, worked: Worked, value: float) -> Explanation:
    return Explanation(name, index, type(use.layer).__name__, value, worked.formula, worked.groups, worked.steps)


def _place(shape: Shape, index: Sequence[int], sample: int, what: str) -> Index:
    """``sample`` and ``index`` as one index into an array of ``shape``. Raises OptionError that says the shape."""
    if not 0 <= whole(sample, "sample", least=0) < shape[0]:
        raise OptionError(sentence(f"sample below {shape[0]}, the size of the batch", sample))
    return sample, *checked(shape[1:], index, what)
