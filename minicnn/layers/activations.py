"""The activation layers. Formulas and derivatives are in ``minicnn.ops.activations``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.layers.base import INFERENCE, Context, Layer, Params, Ready
from minicnn.ops import activations as ops
from minicnn.ops.activation_calls import LOOPS, activation_of
from minicnn.ops.curves import CURVES, curve, curve_backward
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.options import number
from minicnn.shapes import MOST_AXES, Array, Shape, whole


class _Activation(Layer):
    """What they share: inputs of any shape, outputs of the same shape, nothing to learn."""

    def output_shape(self, input_shape: Shape) -> Shape:
        if min(input_shape, default=1) < 1:
            raise ShapeError(explain("inputs with at least one element in every axis", f"shape {tuple(input_shape)}"))
        return input_shape


class ReLU(_Activation):
    """max(x, 0). (N, ...) -> (N, ...)."""

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.ActivationCache]:
        return ops.relu(x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        return Ready(activation_of("relu", x.shape, x.dtype))

    def backward(
        self, dy: Array, cache: ops.ActivationCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.relu_backward(dy, cache) if input_gradient else None, {}


class LeakyReLU(_Activation):
    """x where positive, ``negative_slope`` * x elsewhere. (N, ...) -> (N, ...)."""

    def __init__(self, negative_slope: float = 0.3, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.negative_slope = number("negative_slope", negative_slope, least=0)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.LeakyReluCache]:
        return ops.leaky_relu(x, self.negative_slope)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        return Ready(activation_of("leaky_relu", x.shape, x.dtype, float(self.negative_slope)))

    def backward(
        self, dy: Array, cache: ops.LeakyReluCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.leaky_relu_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"negative_slope": self.negative_slope}


class ELU(_Activation):
    """x where positive, ``alpha`` * (e^x - 1) elsewhere. (N, ...) -> (N, ...)."""

    def __init__(self, alpha: float = 1.0, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.alpha = number("alpha", alpha, least=0)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.EluCache]:
        return ops.elu(x, self.alpha)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        return Ready(activation_of("elu", x.shape, x.dtype, x.dtype.type(self.alpha)))

    def backward(self, dy: Array, cache: ops.EluCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        return ops.elu_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"alpha": self.alpha}


class Sigmoid(_Activation):
    """1 / (1 + e^-x), every number for itself. (N, ...) -> (N, ...)."""

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.ActivationCache]:
        return ops.sigmoid(x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        return Ready(activation_of("sigmoid", x.shape, x.dtype))

    def backward(
        self, dy: Array, cache: ops.ActivationCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.sigmoid_backward(dy, cache) if input_gradient else None, {}


class Tanh(_Activation):
    """The hyperbolic tangent, every number for itself. (N, ...) -> (N, ...)."""

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.ActivationCache]:
        return ops.tanh(x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        return Ready(activation_of("tanh", x.shape, x.dtype))

    def backward(
        self, dy: Array, cache: ops.ActivationCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.tanh_backward(dy, cache) if input_gradient else None, {}


class Softmax(_Activation):
    """Scores -> probabilities along ``axis``, counted with the batch axis as 0. (N, ...) -> (N, ...)."""

    def __init__(self, axis: int = -1, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.axis = whole(axis, "axis", least=-MOST_AXES)

    def output_shape(self, input_shape: Shape) -> Shape:
        ops.check_softmax_axis(len(input_shape) + 1, self.axis)
        return super().output_shape(input_shape)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.SoftmaxCache]:
        return ops.softmax(x, self.axis)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        return Ready(ops.softmax_of(x.shape, x.dtype)) if x.ndim == 2 else None

    def backward(
        self, dy: Array, cache: ops.SoftmaxCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.softmax_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"axis": self.axis}


LEAKY_SLOPE = 0.2  # of Keras's function; its layer has 0.3
TwoPasses = tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]

#: Keras's names of activations, each with its forward and backward pass, and the defaults of Keras's function
ACTIVATIONS: MappingProxyType[str, TwoPasses] = MappingProxyType(
    {
        "linear": (ops.linear, ops.linear_backward),
        "relu": (ops.relu, ops.relu_backward),
        "leaky_relu": (partial(ops.leaky_relu, negative_slope=LEAKY_SLOPE), ops.leaky_relu_backward),
        "elu": (ops.elu, ops.elu_backward),
        "sigmoid": (ops.sigmoid, ops.sigmoid_backward),
        "tanh": (ops.tanh, ops.tanh_backward),
        "softmax": (ops.softmax, ops.softmax_backward),
        **{name: (partial(curve, name=name), curve_backward) for name in CURVES},
    }
)


class Activation(_Activation):
    """An activation by its Keras name, one of ``ACTIVATIONS``: ``Activation("relu")``. (N, ...) -> (N, ...).

    "leaky_relu" has slope 0.2 here, as Keras's function; the layer ``LeakyReLU`` has 0.3, as Keras's layer.
    """

    def __init__(self, activation: str, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise OptionError(explain(f"an activation among {', '.join(ACTIVATIONS)}", repr(activation)))
        self.activation = activation

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.activation == "softmax":
            ops.check_softmax_axis(len(input_shape) + 1, -1)
        return super().output_shape(input_shape)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, Any]:
        return ACTIVATIONS[self.activation][0](x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        if self.activation == "softmax" and x.ndim == 2:
            return Ready(ops.softmax_of(x.shape, x.dtype))
        if self.activation not in LOOPS:
            return None
        option = {"leaky_relu": LEAKY_SLOPE, "elu": x.dtype.type(1)}.get(self.activation)
        return Ready(activation_of(self.activation, x.shape, x.dtype, option))

    def backward(self, dy: Array, cache: Any, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        return ACTIVATIONS[self.activation][1](dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"activation": self.activation}
