"""One network looking at one face: every number of the pass forward, and, once asked for, of the pass back.

The pass back starts from one class, ``target``. A network that ends in scores is asked what would raise that score; one
that ends in a softmax, what its training would ask: the cross-entropy, were that class the right answer. (The gradient
of a probability is nearly nothing wherever the network is sure.)
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.explorer.photo import Photo
from minicnn.explorer.planes import Planes
from minicnn.layers import Activation, Softmax
from minicnn.model import Model
from minicnn.shapes import Array
from minicnn.study import Explanation, Trace, explain_gradient_in, explain_in, one_hot, trace

FORWARD, BACKWARD = DIRECTIONS = ("forward", "backward")
LOSS = "categorical_crossentropy"


def require_explorable(model: Model) -> None:
    """Raise OptionError for a network of several inputs or outputs."""
    if model.graph.inputs > 1 or len(model.graph.outputs) > 1:
        received = f"{model.graph.inputs} inputs and {len(model.graph.outputs)} outputs"
        raise OptionError(explain(f"'{model.name}' to have one input and one output", received))


class Scene:
    """A network, a face, and what flows between them."""

    def __init__(self, model: Model, photo: Photo) -> None:
        self.model, self.photo = model, photo
        self.forward: Trace = trace(model, photo.x)
        self._backward: tuple[int, Trace] | None = None  # of the class that was asked for last

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of every value that pictures can be made of: the input, then layer by layer."""
        names = zip(self.forward.names, self.forward.values, strict=True)
        return tuple(name for name, values in names if values.ndim in (2, 4))

    @property
    def ends_in_softmax(self) -> bool:
        last = self.model.path[-1]
        return isinstance(last, Softmax) or (isinstance(last, Activation) and last.activation == "softmax")

    @cached_property
    def scores(self) -> Array:
        """The network's output as a vector."""
        output: Array = self.forward.output
        return np.ravel(output[0])

    @cached_property
    def best(self) -> int:
        """The class with the highest score: where the pass back starts unless told otherwise."""
        return int(self.scores.argmax())

    def planes(self, name: str) -> Planes:
        """How the values ``name`` become pictures. Raises OptionError for a name there is not."""
        return Planes.of(self.forward.values[self.forward.value(name)].shape[1:])

    def values(self, direction: str, name: str, target: int | None = None) -> Array:
        """What the layer ``name`` made (forward), or its gradient (backward); no batch axis. Raises OptionError."""
        if direction == FORWARD:
            return self.forward.values[self.forward.value(name)][0]  # type: ignore[no-any-return]
        if direction == BACKWARD:
            return self.backward(target).dvalues[self.forward.value(name)][0]  # type: ignore[no-any-return]
        raise OptionError(explain(f"a direction: {' or '.join(DIRECTIONS)}", repr(direction)))

    def backward(self, target: int | None = None) -> Trace:
        """The trace with all gradients for the class ``target``; the best one's unless told otherwise."""
        target = self.best if target is None else target
        if self._backward is None or self._backward[0] != target:
            asked = self._asked(target)
            found = self.forward.backward_from(asked, LOSS) if self.ends_in_softmax else self.forward.backward(asked)
            self._backward = target, found
        return self._backward[1]

    def output_gradient(self, target: int | None = None) -> Array:
        """The gradient of the output with which ``backward`` starts; that pass itself is not computed for it."""
        asked = self._asked(self.best if target is None else target)
        return self.forward.loss_step(asked, LOSS)[1] if self.ends_in_softmax else asked

    def _asked(self, target: int) -> Array:
        """1 for the class ``target``, 0 for all others, shaped like the output. Raises OptionError."""
        if not 0 <= target < self.scores.size:
            raise OptionError(explain(f"a class from 0 to {self.scores.size - 1}", str(target)))
        output: Any = self.forward.output
        return one_hot(output, [int(i) for i in np.unravel_index(target, output.shape[1:])])

    def explain(self, direction: str, name: str, index: tuple[int, ...], target: int | None = None) -> Explanation:
        """How one number came about. Raises OptionError, for an input too: it is given."""
        if direction == BACKWARD:
            return explain_gradient_in(self.backward(target), name, index, of="output")
        if direction == FORWARD:
            return explain_in(self.forward, name, index)
        raise OptionError(explain(f"a direction: {' or '.join(DIRECTIONS)}", repr(direction)))
