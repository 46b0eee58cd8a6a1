"""Predictions: the pass through a graph that remembers nothing of its numbers, but how it was done.

Of the time that a prediction of a small network takes, a third may go by between its loops: layer after layer is asked
whether its arrays fit, by code that the loop before has pushed out of the nearest caches (``benchmarks/NOTES.md``). All
that was asked in the last prediction has the same answer in the next one, as long as inputs have the same shape and
nobody has changed the network. So the second of two predictions alike leaves a *plan* behind: a
call for every stage, ready to run (``Layer.ready``), and what must not have changed. The third asks that first, all of
it in a row, and then does nothing but compute:

    plan.unchanged()           the same arrays? the same bits in those that were prepared? the same options?
    y = call5(call4(call3(call2(call1(x)))))

The numbers are the same, bit for bit. Networks are open: arrays, options and windows may be exchanged or written to at
any time, by anybody; then the layers are asked again, and complain if they must. A layer without ``ready`` is asked
each time, and all of them if what it makes is of another kind than before. A network with layers of somebody's
own has no plan: these may do what they like, to other layers too. Training lets go of the plan, for its next step
changes everything.

Values are numbered as in ``graph.py``. Each is let go of after its last reader, so that inference needs no more memory
than the widest place of the network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from minicnn.fusion import Stage, fuse, read_for_the_last_time
from minicnn.graph import Graph
from minicnn.layers.base import Layer, Ready
from minicnn.layers.written import as_written
from minicnn.ops.conv2d.prepared import Watch
from minicnn.shapes import Array


class Kind(NamedTuple):
    """What a ready call may rely on: arrays of another kind are not for it."""

    type: type
    shape: tuple[int, ...]
    dtype: Any
    contiguous: bool

    @classmethod
    def of(cls, array: Any) -> Kind:
        return cls(type(array), array.shape, array.dtype, array.flags.c_contiguous)


class Step(NamedTuple):
    """One stage: the call, which value it makes, and which ones are over then."""

    stage: Stage
    call: Callable[[Any], Array]
    value: int
    over: Sequence[int]
    makes: Kind | None  # of a call that is not ready, and might make something else this time


class Plan(NamedTuple):
    """How to predict for inputs of these kinds. ``layers`` are of these ``classes``, all of them minicnn's: what
    somebody's own does, to other layers too, is not known here."""

    kinds: list[Kind]
    steps: list[Step]
    layers: list[Layer]
    classes: list[type[Layer]]
    checks: list[Callable[[], bool]]
    kernels: Watch

    def unchanged(self) -> bool:
        """Whether all that the calls rely on is as it was."""
        known = list(map(type, self.layers)) == self.classes and as_written(*self.layers)
        same = known and all(check() for check in self.checks)
        return same and self.kernels.unchanged()

    def run(self, inputs: Sequence[Array], outputs: Sequence[int]) -> list[Array] | None:
        """Every output; None when some step made something of another kind than before."""
        values: dict[int, Any] = dict(enumerate(inputs))
        for stage, call, value, over, makes in self.steps:
            y = values[value] = call(stage.node.pick(values))
            if makes is not None and Kind.of(y) != makes:
                return None
            for read in over:
                del values[read]
        return [values[value] for value in outputs]


def _is_ours(kind: type) -> bool:
    """Whether a class is written in this package."""
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]


_found: WeakKeyDictionary[Graph, Plan | list[Kind]] = WeakKeyDictionary()  # a plan, or the kinds of the last inputs
_changing = threading.Lock()  # of what is found: one thread may train a network while another predicts with another one


def infer(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Every output, for inputs that the network has looked at."""
    kinds, held = [Kind.of(x) for x in inputs], _found.get(graph)
    if isinstance(held, Plan):
        alike = held.kinds == kinds
        if alike and held.unchanged():
            outputs = held.run(inputs, graph.outputs)
            if outputs is not None:
                return outputs
    else:
        alike = held == kinds
    held = None
    with _changing:
        _found.pop(graph, None)  # and its prepared kernels, before there are new ones
    outputs, plan = _walk(graph, inputs, kinds, plan=alike)
    with _changing:
        _found[graph] = plan or kinds
    return outputs


def forget(graph: Graph) -> None:
    """Let go of the plan, and of those of other networks that share layers with this one: of what was prepared."""
    layers = set(graph.path)
    with _changing:
        _found.pop(graph, None)
        for other, plan in list(_found.items()):
            if isinstance(plan, Plan) and not layers.isdisjoint(plan.layers):
                _found.pop(other, None)


def _walk(graph: Graph, inputs: Sequence[Array], kinds: list[Kind], plan: bool) -> tuple[list[Array], Plan | None]:
    """Every output, each layer being asked; and the plan, if one is wanted."""
    stages, notes, layers = fuse(graph, predicting=True), [], graph.path
    classes = list(map(type, layers))
    plan = plan and all(map(_is_ours, classes)) and as_written(*layers)
    values: dict[int, Any] = dict(enumerate(inputs))
    for stage, over in zip(stages, read_for_the_last_time(graph, stages), strict=True):
        value, read = graph.inputs + stage.places[-1], stage.node.pick(values)
        values[value] = stage.infer(read)
        if plan:
            notes.append(_note(stage, read, value, over, values[value]))
        del read  # no name must keep alive what the dict lets go of
        for source in over:
            del values[source]
    outputs = [values[value] for value in graph.outputs]
    if not plan:
        return outputs, None
    steps, known = [step for step, _ in notes], [ready for _, ready in notes if ready is not None]
    checks = [ready.unchanged for ready in known if ready.unchanged is not None]
    kernels = Watch.over([ready.kernel for ready in known if ready.kernel is not None])
    return outputs, Plan(kinds, steps, layers, classes, checks, kernels)


def _note(stage: Stage, read: Any, value: int, over: Sequence[int], y: Any) -> tuple[Step, Ready | None]:
    """The step for a stage that made ``y`` of what it ``read``, and what it is ready with."""
    ready = stage.ready(read) if type(read) is np.ndarray and read.flags.c_contiguous else None
    if ready is None:
        return Step(stage, stage.infer, value, over, Kind.of(y)), None
    return Step(stage, ready.call, value, over, None), ready
