"""Learning-rate schedules: how far a step goes, as a function of how many steps were taken.

Early in training large steps are right, near a minimum they jump over it. A schedule is called with the number of
updates made so far (0 for the first) and returns the learning rate of the next one. Give one to an optimiser in place
of a number: ``SGD(CosineDecay(0.1, decay_steps=1000))``.

Formulas and names are Keras's; here they are computed in float64, where Keras uses float32 by default. All raise
OptionError for arguments that make no schedule.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from minicnn.constructors import Explained
from minicnn.errors import OptionError, explain
from minicnn.options import arguments_of, flag, from_identifier, number
from minicnn.shapes import whole


class LearningRateSchedule(Explained, ABC):
    """Base class: from a step to a learning rate."""

    @abstractmethod
    def __call__(self, step: float) -> float:
        """The learning rate of the update that follows ``step`` others."""

    def config(self) -> dict[str, Any]:
        """The arguments that make this schedule again, under Keras's names; those with their default are left out."""
        return arguments_of(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


class _Decay(LearningRateSchedule):
    """What the next two share: how often ``decay_steps`` have gone by, which ``staircase`` rounds down."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number("decay_steps", decay_steps, above=0)
        self.decay_rate = number("decay_rate", decay_rate, least=0)
        self.staircase = flag("staircase", staircase)

    def times(self, step: float) -> float:
        """step / decay_steps, in whole steps of the staircase if there is one."""
        times = step / self.decay_steps
        return math.floor(times) if self.staircase else times


class ExponentialDecay(_Decay):
    """initial * decay_rate ** (step / decay_steps); with ``staircase`` the exponent is rounded down.

    Infinity where a rate that grows (decay_rate above 1) leaves the numbers of a computer.
    """

    def __call__(self, step: float) -> float:
        try:
            return float(self.initial_learning_rate * self.decay_rate ** self.times(step))
        except OverflowError:
            return math.inf if self.initial_learning_rate else 0.0


class InverseTimeDecay(_Decay):
    """initial / (1 + decay_rate * step / decay_steps); with ``staircase`` the fraction is rounded down."""

    def __call__(self, step: float) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self.times(step))


class PolynomialDecay(LearningRateSchedule):
    """(initial - end) * (1 - step / decay_steps) ** power + end, and end for ever after ``decay_steps``.

    With ``cycle`` the way down begins anew: decay_steps is stretched to its next multiple above step.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number("decay_steps", decay_steps, above=0)
        self.end_learning_rate = number("end_learning_rate", end_learning_rate, least=0)
        self.power = number("power", power, least=0)
        self.cycle = flag("cycle", cycle)

    def __call__(self, step: float) -> float:
        end = self.decay_steps
        if self.cycle:
            end *= max(1, math.ceil(step / self.decay_steps))
        left = 1 - min(step, end) / end
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], ..., at last values[-1]."""

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        if not isinstance(boundaries, list | tuple) or not isinstance(values, list | tuple):
            raise OptionError(explain("boundaries and values as lists", f"{boundaries!r} and {values!r}"))
        self.boundaries = [whole(step, "a boundary", least=0) for step in boundaries]
        self.values = [number("a value", value, least=0) for value in values]
        if not self.boundaries or sorted(set(self.boundaries)) != self.boundaries:
            raise OptionError(explain("boundaries as steps in increasing order, at least one", repr(boundaries)))
        if len(self.values) != len(self.boundaries) + 1:
            expected = f"one value more than boundaries, {len(self.boundaries) + 1}"
            raise OptionError(explain(expected, f"{len(self.values)} values"))

    def __call__(self, step: float) -> float:
        return self.values[bisect_left(self.boundaries, step)]


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave down, from initial to alpha * initial in ``decay_steps``, and flat from there.

        initial * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)

    With a ``warmup_target`` the rate first rises in a straight line from initial to the target in ``warmup_steps``, and
    the wave starts there. Loshchilov and Hutter 2017, "SGDR".
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number("decay_steps", decay_steps, above=0)
        self.alpha = number("alpha", alpha, least=0, most=1)
        self.warmup_target = None if warmup_target is None else number("warmup_target", warmup_target, least=0)
        self.warmup_steps = number("warmup_steps", warmup_steps, least=0)
        if self.warmup_target is None and self.warmup_steps > 0:
            raise OptionError(explain("a warmup_target for warmup_steps > 0", "None", "Which rate should it rise to?"))

    def __call__(self, step: float) -> float:
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top, step = self.warmup_target, step - self.warmup_steps
        done = min(step, self.decay_steps) / self.decay_steps
        return top * ((1 - self.alpha) * 0.5 * (1 + math.cos(math.pi * done)) + self.alpha)


SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    schedule.__name__: schedule
    for schedule in (ExponentialDecay, InverseTimeDecay, PolynomialDecay, PiecewiseConstantDecay, CosineDecay)
}


def get(identifier: object) -> LearningRateSchedule:
    """A schedule from ``{"class_name": ..., "config": schedule.config()}``, or itself."""
    return from_identifier("a schedule", identifier, LearningRateSchedule, SCHEDULES)
