"""Adagrad: steps that shrink as a parameter's gradients add up."""

from __future__ import annotations

import numpy as np

from minicnn.optimizers import loops
from minicnn.optimizers.base import Optimizer, Rate, Slots
from minicnn.options import number
from minicnn.shapes import Array


class Adagrad(Optimizer):
    """Divide by the root of all squared gradients so far (Duchi et al. 2011).

        a += g**2                               a starts at initial_accumulator_value
        p -= lr * g / sqrt(a + epsilon)

    What has moved a lot moves less; what is seldom touched keeps its large steps.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.initial_accumulator_value = number("initial_accumulator_value", initial_accumulator_value, least=0)
        self.epsilon = number("epsilon", epsilon, least=0)

    def slot_values(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update(self, p: Array, g: Array, slots: Slots, learning_rate: float) -> None:
        a = slots["accumulator"]
        a += np.square(g)
        p -= learning_rate * g / np.sqrt(a + self.epsilon)

    def formula(self, slots: Slots, learning_rate: float) -> loops.Formula:
        return loops.Formula(loops.ADAGRAD, (slots["accumulator"],), (learning_rate, self.epsilon))
