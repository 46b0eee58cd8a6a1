"""What every layer is: parameters, a forward pass that returns what backward must remember, and a pure backward pass.

A layer holds its parameters and nothing else. ``forward`` returns its output **and its cache**; ``backward`` is a
function of the upstream gradient and that cache alone. So a layer can be used twice in one network, an evaluation in
the middle of an epoch cannot corrupt training, and what a training step has to remember can be looked at and counted
in bytes.

    y, cache = layer.forward(x, context)
    dx, gradients = layer.backward(dy, cache)        # {"kernel": ..., "bias": ...}: the keys of layer.params

``dname`` is always the gradient of the loss with respect to ``name``.
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minicnn.constructors import Explained
from minicnn.errors import ArgumentError, StateError, explain
from minicnn.initializers import Initializer
from minicnn.keras_names import OF_LAYERS, answers_for_keras, snake_case
from minicnn.layers import symbolic
from minicnn.layers.checks import naming, pair
from minicnn.layers.written import methods_of
from minicnn.ops.calls import Call
from minicnn.ops.conv2d.prepared import Kept
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.options import flag, label
from minicnn.shapes import Array, Shape

Params = dict[str, Array]
Gradients = dict[str, Any]  # arrays; or OuterProducts, where the forward pass's Context allowed it
Cache = Any  # each layer's own NamedTuple; only that layer's backward looks inside
Tensors = Any  # an Array; for a layer that merges, and for a network with several inputs, a list of them
Shapes = Any  # the Shape of one; of several, a tuple of Shapes


@dataclass(frozen=True)
class Context:
    """What a forward pass must know beyond its input: is this training, and where does chance come from?

    Every random choice is a function of ``(seed, step, layer name, use)``. So two runs from one seed agree, and a run
    that was interrupted at step 700 continues as if it had not been.
    """

    training: bool = False
    seed: int = 0
    step: int = 0
    #: how often the layer was used before in this pass: in two places, it draws twice
    use: int = 0
    #: backward may return a gradient as its factors (``ops/gradients.py``): whoever asks for that can multiply them out
    factored: bool = False
    #: backward is asked for the gradients of weights alone: what stands before the first that learns keeps no cache
    weights_only: bool = False

    def rng(self, name: str) -> np.random.Generator:
        """A generator for one use of a layer in one step, independent of the order in which layers ask."""
        return np.random.default_rng([self.seed, self.step, zlib.crc32(name.encode()), self.use])


INFERENCE = Context()


class Ready(NamedTuple):
    """A prediction of one layer, for inputs of one shape and dtype that are C-contiguous, as its results are.

    It holds for as long as the layer has the same options and arrays (``snapshot.py``), and nobody has written to the
    ``kernel``, if it was prepared, nor to the ``numbers`` from which others were computed, given with a copy that is
    older than these. What a call that ``is_view`` returns lies where x lies; any other neither keeps x nor returns it.
    """

    call: Call
    kernel: Kept | None = None
    numbers: tuple[tuple[Array, Array], ...] = ()
    is_view: bool = False


class Weight(NamedTuple):
    """An array that a layer is going to have: its shape, and what fills it at first."""

    shape: Shape
    initializer: Initializer


@answers_for_keras(OF_LAYERS)
class Layer(Explained, ABC):
    """Base class: one small subclass per layer, and ``parameter_specs`` overridden by those that have parameters."""

    #: forward looks at ``context.training``: the layer acts differently while it is trained
    acts_differently_in_training: ClassVar[bool] = False
    #: forward takes a list of arrays, and backward returns one: ``Add`` and its like (``layers/merging.py``)
    merges: ClassVar[bool] = False
    #: forward takes ``relu=True`` and cuts its output off at 0 in the same pass: see ``minicnn.fusion``
    takes_relu: ClassVar[bool] = False
    written_for_keras: ClassVar[Mapping[str, str]] = {
        "call": "Here forward(x, context) returns the output and what backward must remember, backward(dy, that) "
        "returns dx and the gradients, and output_shape(input_shape) the shape of one output: see CONTRIBUTING.md."
    }
    #: these as they were written: somebody may put others in their place later (``written.py``)
    computes: ClassVar[tuple[Any, ...]]

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Let the errors of every layer say which layer it was; operations do not know."""
        super().__init_subclass__(**keywords)
        for method in ("output_shape", "forward", "backward", "infer", "factors"):
            if method in cls.__dict__:
                own = method in ("forward", "backward") and not cls.__module__.startswith("minicnn.")
                setattr(cls, method, naming(pair(method, cls.__dict__[method]) if own else cls.__dict__[method]))
        places = {name: next(i for i, c in enumerate(cls.__mro__) if name in vars(c)) for name in ("forward", "infer")}
        if places["forward"] < places["infer"]:
            setattr(cls, "infer", Layer.infer)  # noqa: B010  (what it inherits may know nothing of this ``forward``)
        cls.computes = methods_of(cls)

    def __init__(self, *, name: str | None = None, trainable: bool = True) -> None:
        self.has_default_name = name is None
        self.name = snake_case(type(self).__name__) if name is None else label("a layer name", name)
        self.trainable = flag("trainable", trainable)
        self.params: Params = {}  # learned by gradient descent
        self.state: Params = {}  # learned by watching: the moving statistics of BatchNormalization
        self.input_shape: Shapes | None = None  # without the batch axis; None until built

    # -- what a layer computes ---------------------------------------------------------------------------------------

    @abstractmethod
    def output_shape(self, input_shape: Shapes) -> Shape:
        """Shape of one output, no batch axis. Raises ShapeError when this layer cannot take ``input_shape``."""

    def parameter_specs(self, input_shape: Shapes) -> dict[str, Weight]:
        """The arrays that gradient descent learns, for inputs of ``input_shape``. Allocates nothing."""
        return {}

    def state_specs(self, input_shape: Shapes) -> dict[str, Weight]:
        """The arrays that are learned by watching, for inputs of ``input_shape``. Allocates nothing."""
        return {}

    def build(self, input_shape: Shapes, rng: np.random.Generator, dtype: Any = np.float32) -> Shape:
        """Create the parameters for inputs of ``input_shape`` (no batch axis) and return the output's shape."""
        shape = self.output_shape(input_shape)
        self.params = {key: w.initializer(w.shape, rng, dtype) for key, w in self.parameter_specs(input_shape).items()}
        self.state = {key: w.initializer(w.shape, rng, dtype) for key, w in self.state_specs(input_shape).items()}
        self.input_shape = input_shape
        return shape

    def restore(self, input_shape: Shapes, weights: Mapping[str, Array]) -> Shape:
        """``build`` with arrays that exist already, under their addresses ("conv1/kernel"). They are not copied."""
        shape = self.output_shape(input_shape)
        self.params = {key: weights[f"{self.name}/{key}"] for key in self.parameter_specs(input_shape)}
        self.state = {key: weights[f"{self.name}/{key}"] for key in self.state_specs(input_shape)}
        self.input_shape = input_shape
        return shape

    @abstractmethod
    def forward(self, x: Tensors, context: Context = INFERENCE) -> tuple[Array, Cache]:
        """(N, ...) -> (N, ...) and the cache that ``backward`` needs."""

    @abstractmethod
    def backward(self, dy: Array, cache: Cache, *, input_gradient: bool = True) -> tuple[Tensors | None, Gradients]:
        """(dx, {parameter name: its gradient}).

        With ``context.factored`` in the forward pass, a gradient may be ``OuterProducts`` instead of an array.
        ``input_gradient=False`` spares the work of dx, and returns None for it: nobody needs it below the first
        trainable layer. A layer with ``trainable=False`` returns no parameter gradients.
        """

    def next_state(self, cache: Cache) -> Params:
        """What ``state`` becomes after a training step whose forward pass returned ``cache``; {} if nothing moves."""
        return {}

    def __call__(self, x: Tensors, *others: Any, training: bool = False) -> Any:
        """Inference: the output alone, no cache kept. Of a symbolic tensor, the symbolic tensor that will follow.

        ``others`` and ``training=True`` are there to be refused: several inputs are one list, and training is
        ``forward``.
        """
        if training:
            raise not_a_prediction()
        if others:
            kind = type(self).__name__ if self.merges else "Add"
            fix = f"Layers that take several are called on a list: {kind}()([a, b])."
            raise ArgumentError(explain(f"one argument for layer '{self.name}'", f"{1 + len(others)}", fix))
        return symbolic.note(self, x) if symbolic.is_symbolic(x) else self.infer(x)

    def infer(self, x: Tensors) -> Array:
        """The output for numbers: ``forward`` without its cache, which some layers can save themselves."""
        return self.forward(x, INFERENCE)[0]

    def ready(self, x: Tensors, finish: Finish = PLAIN) -> Ready | None:
        """``infer`` for inputs like this one, which it took, with everything done that need not be done again; None
        where that is nothing. What it computes may follow from nothing but x, the layer's attributes and its arrays.
        See ``minicnn.prediction``."""
        return None

    # -- what a layer is ---------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """The arguments that make this layer again, under Keras's names: ``type(layer)(**layer.config())``."""
        config: dict[str, Any] = {"name": self.name}
        if not self.trainable:
            config["trainable"] = False
        return config

    @property
    def built(self) -> bool:
        return self.input_shape is not None

    def count_params(self) -> int:
        """Numbers this layer holds, moving statistics included (as Keras counts)."""
        self.require_built()
        return sum(array.size for array in (*self.params.values(), *self.state.values()))

    def multiplications(self, input_shape: Shapes) -> int:
        """Of the definition, for one picture, forward: every entry of a kernel once per position of the output.

        H*W of them after a convolution, one after a dense layer; none without a kernel. The layer need not be built.
        """
        kernel = self.parameter_specs(input_shape).get("kernel")
        return math.prod(kernel.shape) * math.prod(self.output_shape(input_shape)[:-1]) if kernel else 0

    def require_built(self) -> None:
        if not self.built:
            raise StateError(
                explain(
                    f"layer '{self.name}' to be built",
                    "a layer without parameters yet",
                    "Call layer.build(input_shape, np.random.default_rng(0)), or put it into a Sequential.",
                )
            )

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.config().items())
        return f"{type(self).__name__}({arguments})"


def not_a_prediction() -> ArgumentError:
    """The error of those who call a layer or a network, as in Keras, with ``training=True``."""
    fix = "Training returns what backward must remember: y, cache = forward(x, Context(training=True))."
    return ArgumentError(explain("a call to predict", "training=True", fix))
