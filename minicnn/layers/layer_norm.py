"""LayerNormalization: the operation of ``minicnn.ops.layer_norm`` with a scale and an offset that learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import initializers
from minicnn.errors import OptionError, explain
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Layer, Params, Weight
from minicnn.ops.layer_norm import LayerNormCache, layer_norm, layer_norm_backward, parameter_shape
from minicnn.options import flag, number
from minicnn.shapes import Array, Shape, whole


class LayerNormalization(Layer):
    """Normalise along ``axis`` (one or several; the batch is axis 0), then ``gamma`` * that + ``beta``.

    (N, ...) -> (N, ...). Usually along the channels, so that every pixel is normalised by itself. ``center=False``
    leaves out beta, ``scale=False`` gamma. Several axes are counted either all from the front or all from the back:
    Keras, which sorts them as they are written, gives gamma another shape where both are mixed.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Initializer = "zeros",
        gamma_initializer: str | Initializer = "ones",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        several = axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axes = tuple(sorted(whole(value, "an axis", least=-1000) for value in several))
        if min(self.axes, default=0) < 0 <= max(self.axes, default=0):
            raise OptionError(explain("axes all below 0 or all above", repr(axis), "Count them all from the front."))
        self.axis: int | list[int] = list(self.axes) if isinstance(axis, (list, tuple)) else self.axes[0]
        self.epsilon = number("epsilon", epsilon, above=0)
        self.center, self.scale = flag("center", center), flag("scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        parameter_shape(self.axes, input_shape)  # raises when there are no such axes
        return input_shape

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        shape = parameter_shape(self.axes, input_shape)
        gamma = {"gamma": Weight(shape, self.gamma_initializer)} if self.scale else {}
        return gamma | ({"beta": Weight(shape, self.beta_initializer)} if self.center else {})

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, LayerNormCache]:
        self.require_built()
        assert self.input_shape is not None
        shape = parameter_shape(self.axes, self.input_shape)
        gamma = self.params["gamma"] if self.scale else np.ones(shape, x.dtype)
        beta = self.params["beta"] if self.center else np.zeros(shape, x.dtype)
        return layer_norm(x, gamma, beta, self.axes, self.epsilon)

    def backward(self, dy: Array, cache: LayerNormCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        learns = self.trainable and bool(self.params)
        dx, dgamma, dbeta = layer_norm_backward(dy, cache, input_gradient=input_gradient, parameter_gradients=learns)
        found = {"gamma": dgamma, "beta": dbeta}
        return dx, {key: gradient for key, gradient in found.items() if key in self.params and gradient is not None}

    def config(self) -> dict[str, Any]:
        return super().config() | {
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": self.beta_initializer.config(),
            "gamma_initializer": self.gamma_initializer.config(),
        }
