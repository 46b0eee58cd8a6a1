"""Adam: momentum, measured by the recent size of the gradient. AdamW: the same, and weights fade."""

from __future__ import annotations

import math

import numpy as np

from minicnn.optimizers import loops
from minicnn.optimizers.base import Optimizer, Rate, Slots
from minicnn.options import flag, number
from minicnn.shapes import Array


class Adam(Optimizer):
    """Moving mean over the root of a moving mean square (Kingma and Ba 2015), at step t = 1, 2, ...

        m += (1 - beta_1) * (g - m)
        v += (1 - beta_2) * (g**2 - v)
        p -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)

    m and v start at 0 and are too small at first; the fraction makes up for it. ``amsgrad`` (Reddi et al. 2018) divides
    by the largest v so far. ``epsilon`` stands outside the root, and is not scaled by the correction, as in Keras.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.beta_1 = number("beta_1", beta_1, least=0, below=1)
        self.beta_2 = number("beta_2", beta_2, least=0, below=1)
        self.epsilon = number("epsilon", epsilon, least=0)
        self.amsgrad = flag("amsgrad", amsgrad)

    def slot_values(self) -> dict[str, float]:
        return dict.fromkeys(["momentum", "velocity"] + ["velocity_hat"] * self.amsgrad, 0.0)

    def update(self, p: Array, g: Array, slots: Slots, learning_rate: float) -> None:
        m, v = slots["momentum"], slots["velocity"]
        m += (1 - self.beta_1) * (g - m)
        v += (1 - self.beta_2) * (np.square(g) - v)
        if self.amsgrad:
            v = np.maximum(slots["velocity_hat"], v, out=slots["velocity_hat"])
        p -= learning_rate * self._correction() * m / (np.sqrt(v) + self.epsilon)

    def formula(self, slots: Slots, learning_rate: float) -> loops.Formula:
        used = slots["momentum"], slots["velocity"], slots.get("velocity_hat")
        rate = learning_rate * self._correction()
        return loops.Formula(loops.ADAM, used, (rate, 1 - self.beta_1, 1 - self.beta_2, self.epsilon))

    def _correction(self) -> float:
        """In float64, whatever the parameters are: in float32, 1 - 0.999**t keeps few digits while t is small."""
        t = self.iterations + 1
        return math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): p -= weight_decay * lr * p, then Adam's step.

    Added to the gradient instead, the decay would be divided by sqrt(v) like the rest: strongest where gradients are
    small.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        decay = number("weight_decay", weight_decay, least=0)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, decay, clipnorm, clipvalue, global_clipnorm)
