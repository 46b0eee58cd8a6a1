"""Predictions: the pass through a graph that remembers nothing of its numbers, but how it was done.

Of the time that a prediction of a small network takes, a third may go by between its loops: layer after layer is asked
whether its arrays fit, by code that the loop before has pushed out of the nearest caches (``benchmarks/NOTES.md``). All
that was asked in the last prediction has the same answer in the next one, as long as inputs have the same shape and
nobody has changed the network. So the second of two predictions alike leaves a *plan* behind: a call for every stage,
ready to run (``Layer.ready``), and what must not have changed (``layers/snapshot.py``). The third asks that first, all
of it in a row, and then does nothing but compute:

    plan.unchanged()           the same arrays? the same bits in those that were prepared? the same options?
    y = call5(call4(call3(call2(call1(x)))))

Small values between two stages have places of their own in memory that the plan keeps. The stages between them are then
bound down to the last argument (``ops/calls.py``): of most layers, one compiled call is left. That memory is for one
prediction at a time, in the thread that made the plan; whoever comes in between computes step by step.

The numbers are the same, bit for bit. Networks are open: arrays, options and windows may be exchanged or written to at
any time, by anybody; then the layers are asked again, and complain if they must. A layer without ``ready`` is asked
each time, and all of them if what it makes is of another kind than before. A network with layers of somebody's
own has no plan: these may do what they like, to other layers too. Training lets go of the plan, for its next step
changes everything.

Values are numbered as in ``graph.py``. Each is let go of after its last reader, so that inference needs no more memory
than the widest place of the network; but for what a plan keeps, at most ``MOST_KEPT``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numba
import numpy as np

from minicnn.fusion import Stage, fuse, read_for_the_last_time
from minicnn.graph import Graph
from minicnn.layers.base import Ready
from minicnn.layers.snapshot import Snapshot
from minicnn.ops.apart import keep_apart
from minicnn.ops.calls import Call, Into, Run
from minicnn.ops.conv2d.prepared import Watch
from minicnn.ops.memory import empty
from minicnn.shapes import Array

MOST_KEPT = 4 * 2**20  # bytes of memory that a plan has for values between its steps, and for results within a step


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
    """One stage: the call, which value it makes, and which ones are over then.

    ``into``: where the value lies in each prediction. ``run`` computes it, if what it is made of lies still too.
    """

    stage: Stage
    call: Call
    value: int
    over: Sequence[int]
    makes: Kind | None = None  # of a call that is not ready, and might make something else this time
    into: Array | None = None
    run: Run | None = None


class Plan(NamedTuple):
    """How to predict for inputs of these kinds, while the layers are as they were.

    Small values between steps lie in memory of the plan (``fixed``), for the thread that made it and as many cores as
    it had then.
    """

    kinds: list[Kind]
    steps: list[Step]
    layers: Snapshot
    watch: Watch
    fixed: dict[int, Array]
    place: tuple[int, int]
    busy: Any  # a lock, held while a prediction uses that memory
    elsewhere: list[tuple[int, int]]  # places of the last two predictions, if they were made at others

    def unchanged(self) -> bool:
        """Whether all that the calls rely on is as it was."""
        return self.layers.holds() and self.watch.unchanged()

    def run(self, inputs: Sequence[Array], outputs: Sequence[int]) -> list[Array] | None:
        """Every output; None when some step made something of another kind than before."""
        place, here = _place(), False
        try:
            here = self.place == place and self.busy.acquire(blocking=False)  # whoever interrupted us has to go around
            self.elsewhere[:] = [] if self.place == place else [*self.elsewhere[-1:], place]
            return self._run(inputs, outputs, here)
        finally:
            if here:
                self.busy.release()

    def has_moved(self) -> bool:
        """Whether the last two predictions came from one other place: a plan made there would be of more use."""
        return len(self.elsewhere) == 2 and self.elsewhere[0] == self.elsewhere[1]

    def _run(self, inputs: Sequence[Array], outputs: Sequence[int], here: bool) -> list[Array] | None:
        values: dict[int, Any] = dict(self.fixed) if here else {}
        values.update(enumerate(inputs))
        for stage, call, value, over, makes, into, run in self.steps:
            if here and run is not None:
                run()
                continue
            x = stage.node.pick(values)
            if here and into is not None and isinstance(call, Into):
                call.bind(x, into)()
            else:
                y = values[value] = call(x)
                if makes is not None and Kind.of(y) != makes:
                    return None
            del x
            for read in over:
                del values[read]
        return [values[value] for value in outputs]


def _place() -> tuple[int, int]:
    """Where a prediction is made: the thread, and how many cores its loops use. What was bound is for both."""
    return threading.get_ident(), numba.get_num_threads()


def is_ours(kind: type) -> bool:
    """Whether a class is written in this package."""
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]


_found: WeakKeyDictionary[Graph, Plan | list[Kind]] = WeakKeyDictionary()  # a plan, or the kinds of the last inputs
_changing = threading.RLock()  # of what is found: one thread may train a network while another predicts with another
# one; and what interrupts a thread, a signal's handler, may predict too


def infer(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Every output, for inputs that the network has looked at."""
    keep_apart()
    kinds, held = [Kind.of(x) for x in inputs], _found.get(graph)
    if isinstance(held, Plan):
        alike = held.kinds == kinds
        if alike and held.unchanged():
            outputs = held.run(inputs, graph.outputs)
            if outputs is not None:
                if held.has_moved():
                    with _changing:
                        _found[graph] = kinds
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
        for other in filter(None, (reference() for reference in _found.keyrefs())):  # what comes between may add some
            plan = _found.get(other)
            if isinstance(plan, Plan) and not layers.isdisjoint(plan.layers.layers):
                _found.pop(other, None)


def _walk(graph: Graph, inputs: Sequence[Array], kinds: list[Kind], plan: bool) -> tuple[list[Array], Plan | None]:
    """Every output, each layer being asked; and the plan, if one is wanted."""
    stages, notes, layers = fuse(graph, predicting=True), [], graph.path
    snapshot = Snapshot.of(layers) if plan and all(map(is_ours, map(type, layers))) else None
    values: dict[int, Any] = dict(enumerate(inputs))
    for stage, over in zip(stages, read_for_the_last_time(graph, stages), strict=True):
        value, read = graph.inputs + stage.places[-1], stage.node.pick(values)
        values[value] = stage.infer(read)
        if snapshot:
            notes.append(_note(stage, read, value, over, values[value]))
        del read  # no name must keep alive what the dict lets go of
        for source in over:
            del values[source]
    outputs = [values[value] for value in graph.outputs]
    if not snapshot:
        return outputs, None
    known = [ready for _, ready in notes if ready is not None]
    watch = Watch.over(
        [ready.kernel for ready in known if ready.kernel is not None],
        [both for ready in known for both in ready.numbers],
    )
    steps, fixed = _bound(notes, graph.outputs)
    return outputs, Plan(kinds, steps, snapshot, watch, fixed, _place(), threading.Lock(), [])


def _note(stage: Stage, read: Any, value: int, over: Sequence[int], y: Any) -> tuple[Step, Ready | None]:
    """The step for a stage that made ``y`` of what it ``read``, and what it is ready with."""
    ready = stage.ready(read) if type(read) is np.ndarray and read.flags.c_contiguous else None
    if ready is None:
        return Step(stage, stage.infer, value, over, Kind.of(y)), None
    return Step(stage, ready.call, value, over), ready


def _bound(notes: Sequence[tuple[Step, Ready | None]], outputs: Sequence[int]) -> tuple[list[Step], dict[int, Array]]:
    """The steps, with memory for small values that nobody sees outside, and calls bound to it; and that memory.

    What a view is an output of is seen; so may be what a layer reads that is not ready: who knows what it returns.
    """
    seen = set(outputs)
    for step, ready in reversed(notes):
        if ready is None or (ready.is_view and step.value in seen):
            seen.update(step.stage.node.sources)
    steps: list[Step] = []
    fixed: dict[int, Array] = {}
    left = MOST_KEPT
    for step, ready in notes:
        x = fixed.get(step.stage.node.sources[0])
        if ready is not None and ready.is_view and x is not None:
            fixed[step.value] = step.call(x)
            step = step._replace(run=_nothing)
        elif isinstance(step.call, Into) and step.value not in seen and step.call.nbytes + step.call.keeps <= left:
            into = fixed[step.value] = empty(step.call.shape, step.call.dtype)
            left -= into.nbytes + step.call.keeps
            step = step._replace(into=into, run=None if x is None else step.call.bind(x, into))
        steps.append(step)
    return steps, fixed


def _nothing() -> None:
    """What is left to do for a view of memory that stays where it is."""
