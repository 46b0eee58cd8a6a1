"""Stochastic gradient descent: a step against the gradient, with momentum if wanted."""

from __future__ import annotations

from minicnn.optimizers import loops
from minicnn.optimizers.base import Optimizer, Rate, Slots
from minicnn.options import flag, number
from minicnn.shapes import Array


class SGD(Optimizer):
    """Down the slope.

        p -= lr * g                             without momentum

        m = momentum * m - lr * g               with: a ball that rolls, and keeps rolling
        p += m
        p += momentum * m - lr * g              instead of the last line, with nesterov

    Momentum (Polyak 1964) adds up where gradients agree and cancels where they quarrel. Nesterov's form (Sutskever et
    al. 2013) takes the gradient as if the momentum's step had been made already.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.momentum = number("momentum", momentum, least=0, most=1)
        self.nesterov = flag("nesterov", nesterov)  # of no effect without momentum

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, p: Array, g: Array, slots: Slots, learning_rate: float) -> None:
        step = learning_rate * g
        if not self.momentum:
            p -= step
            return
        m = slots["momentum"]
        m *= self.momentum
        m -= step
        p += self.momentum * m - step if self.nesterov else m

    def formula(self, slots: Slots, learning_rate: float) -> loops.Formula:
        if not self.momentum:
            return loops.Formula(loops.SGD, (), (learning_rate,))
        return loops.Formula(loops.MOMENTUM, (slots["momentum"],), (learning_rate, self.momentum, self.nesterov))
