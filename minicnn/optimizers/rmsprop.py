"""RMSprop: each parameter's steps measured by the recent size of its own gradient."""

from __future__ import annotations

import numpy as np

from minicnn.optimizers import loops
from minicnn.optimizers.base import Optimizer, Rate, Slots
from minicnn.options import flag, number
from minicnn.shapes import Array


class RMSprop(Optimizer):
    """Divide by the root of a moving mean square (Tieleman and Hinton 2012).

        v = rho * v + (1 - rho) * g**2
        p -= lr * g / sqrt(v + epsilon)

    ``centered`` takes the variance instead of the mean square: a = rho * a + (1 - rho) * g, and v - a**2 in the root.
    ``momentum`` gathers the steps: m = momentum * m + step; p -= m.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.rho = number("rho", rho, least=0, most=1)
        self.momentum = number("momentum", momentum, least=0, most=1)
        self.epsilon = number("epsilon", epsilon, least=0)
        self.centered = flag("centered", centered)

    def slot_values(self) -> dict[str, float]:
        used = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        return {name: 0.0 for name, is_used in used.items() if is_used}

    def update(self, p: Array, g: Array, slots: Slots, learning_rate: float) -> None:
        v = slots["velocity"]
        v *= self.rho
        v += (1 - self.rho) * np.square(g)
        spread = v
        if self.centered:
            a = slots["average_gradient"]
            a *= self.rho
            a += (1 - self.rho) * g
            spread = v - np.square(a)
        step = learning_rate * g / np.sqrt(spread + self.epsilon)
        if self.momentum:
            m = slots["momentum"]
            m *= self.momentum
            m += step
            step = m
        p -= step

    def formula(self, slots: Slots, learning_rate: float) -> loops.Formula:
        used = slots["velocity"], slots.get("momentum"), slots.get("average_gradient")
        return loops.Formula(loops.RMSPROP, used, (learning_rate, self.rho, 1 - self.rho, self.epsilon, self.momentum))
