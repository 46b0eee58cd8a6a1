"""BatchNormalization: the operation of ``minicnn.ops.batch_norm``, and the statistics it gathers by watching."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minicnn import initializers
from minicnn.errors import OptionError, explain
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Layer, Params, Weight
from minicnn.ops.batch_norm import (
    BatchNormCache,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_training,
    check_channels,
)
from minicnn.ops.checks import check_epsilon
from minicnn.ops.normalising import factors_of
from minicnn.options import flag, number
from minicnn.shapes import Array, Shape, whole


class BatchNormalization(Layer):
    """Normalise every channel, then ``gamma`` * that + ``beta``. (N, ..., C) -> (N, ..., C).

    A step of training normalises with the batch's mean and variance, and ``next_state`` moves the statistics towards
    them:

        moving_mean <- momentum * moving_mean + (1 - momentum) * mean of the batch           the variance likewise

    so ``momentum`` is the weight of the **old** value. Inference uses the moving statistics. A frozen layer
    (``trainable=False``) is in inference mode even during training, and its statistics rest, as in Keras.

    ``center=False`` leaves out beta, ``scale=False`` gamma. With ``gamma_initializer="zeros"`` a branch that is added
    to another begins as nothing. Channels are the last axis, the only one that ``axis`` may name.
    """

    acts_differently_in_training: ClassVar[bool] = True
    takes_relu: ClassVar[bool] = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Initializer = "zeros",
        gamma_initializer: str | Initializer = "ones",
        moving_mean_initializer: str | Initializer = "zeros",
        moving_variance_initializer: str | Initializer = "ones",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.axis = whole(axis, "axis", least=-1)
        self.momentum = number("momentum", momentum, least=0, most=1, fix="It is the weight of the old value.")
        self.epsilon = check_epsilon(epsilon)
        self.center, self.scale = flag("center", center), flag("scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self._factors: tuple[tuple[Any, ...], Array] | None = None

    def output_shape(self, input_shape: Shape) -> Shape:
        rank = len(input_shape) + 1
        if self.axis not in (-1, rank - 1) or min(input_shape, default=0) < 1:
            raise OptionError(
                explain(
                    f"axis -1 or {rank - 1}, the channels of inputs (N, ..., C)",
                    f"axis={self.axis} for inputs {tuple(input_shape)}",
                    "The layout is channels last; move the axis there first.",
                )
            )
        return input_shape

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        channels = input_shape[-1:]
        gamma = {"gamma": Weight(channels, self.gamma_initializer)} if self.scale else {}
        beta = {"beta": Weight(channels, self.beta_initializer)} if self.center else {}
        return gamma | beta

    def state_specs(self, input_shape: Shape) -> dict[str, Weight]:
        channels = input_shape[-1:]
        mean = Weight(channels, self.moving_mean_initializer)
        return {"moving_mean": mean, "moving_variance": Weight(channels, self.moving_variance_initializer)}

    def forward(self, x: Array, context: Context = INFERENCE, *, relu: bool = False) -> tuple[Array, BatchNormCache]:
        gamma, beta, mean, variance = self._per_channel()
        if context.training and self.trainable:
            return batch_norm_training(x, gamma, beta, self.epsilon, relu=relu)
        return batch_norm_inference(x, gamma, beta, mean, variance, self.epsilon, relu=relu)

    def factors(self) -> Array:
        """(3, C): what inference does to every channel, see ``minicnn.ops.normalising``. Not to be written to.

        Kept until one of the numbers changes that they come from: a small network asks as often as it computes.
        Raises ShapeError, DtypeError, OptionError for arrays or an epsilon that ``forward`` would refuse.
        """
        gamma, beta, mean, variance = arrays = self._per_channel()
        now = self.epsilon, *map(_looks, arrays)
        held = self._factors
        if held is None or held[0] != now:
            assert self.input_shape is not None
            statistics = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
            check_channels(self.input_shape[-1], mean, self.epsilon, **statistics)
            held = (now, factors_of(*arrays, self.epsilon))
            self._factors = held
        return held[1]

    def _per_channel(self) -> tuple[Array, Array, Array, Array]:
        """gamma, beta, mean and variance (C,)."""
        self.require_built()
        mean, variance = self.state["moving_mean"], self.state["moving_variance"]
        gamma = self.params["gamma"] if self.scale else np.ones_like(mean)
        beta = self.params["beta"] if self.center else np.zeros_like(mean)
        return gamma, beta, mean, variance

    def backward(self, dy: Array, cache: BatchNormCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        dx, dgamma, dbeta = batch_norm_backward(
            dy, cache, input_gradient=input_gradient, parameter_gradients=self.trainable and bool(self.params)
        )
        gradients = {"gamma": dgamma, "beta": dbeta} if self.trainable else {}
        return dx, {key: gradient for key, gradient in gradients.items() if key in self.params and gradient is not None}

    def next_state(self, cache: BatchNormCache) -> Params:
        """The moving statistics one step of training later; {} when that step normalised with the moving ones."""
        if not cache.batch_statistics:
            return {}
        seen = {"moving_mean": cache.mean, "moving_variance": cache.variance}
        return {key: old * self.momentum + seen[key] * (1 - self.momentum) for key, old in self.state.items()}

    def config(self) -> dict[str, Any]:
        return super().config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": self.beta_initializer.config(),
            "gamma_initializer": self.gamma_initializer.config(),
            "moving_mean_initializer": self.moving_mean_initializer.config(),
            "moving_variance_initializer": self.moving_variance_initializer.config(),
        }


def _looks(array: Any) -> Any:
    """What changes when an array does; of what is none, itself: it is refused."""
    return (array.shape, array.dtype, array.tobytes()) if isinstance(array, np.ndarray) else array
