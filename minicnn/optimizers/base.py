"""What every optimiser does around its formula: read the learning rate, clip gradients, decay weights, keep slots.

    optimizer.apply(parameters, gradients)          both dicts of arrays under the same addresses ("conv1/kernel")

changes the arrays of ``parameters`` in place. A gradient may also come as ``OuterProducts``, its factors; then it is
never written out (``ops/gradients.py``). What an optimiser remembers of a parameter from step to step stands in
``optimizer.slots``, under ``"momentum/conv1/kernel"``. In Keras's order, one step is:

    1. clip the gradients: ``clipnorm`` limits the length of each, ``global_clipnorm`` the length of all of them
       as one long vector, ``clipvalue`` the size of each element
    2. decay the weights: p -= weight_decay * learning_rate * p. Decoupled: it is no part of the gradient
    3. the optimiser's formula: ``update``, or the same compiled (``loops.py``) where the optimiser has a ``formula``
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minicnn import schedules
from minicnn.constructors import Explained
from minicnn.errors import DtypeError, OptionError, ShapeError, StateError, explain
from minicnn.keras_names import answers_for_keras
from minicnn.ops.gradients import BLOCK, OuterProducts, block_rows
from minicnn.optimizers import loops
from minicnn.options import arguments_of, number
from minicnn.schedules import LearningRateSchedule
from minicnn.shapes import Array

Rate = float | LearningRateSchedule | Mapping[str, Any]
Slots = dict[str, Array]
Gradient = Array | OuterProducts


@answers_for_keras(
    {
        "lr": "learning_rate is the rate.",
        "variables": "slots is a dict of what it remembers.",
        "get_config": "config() describes the optimiser.",
        "apply_gradients": "apply(parameters, gradients) makes a step, both dicts by address.",
    }
)
class Optimizer(Explained, ABC):
    """Base class. A subclass names its slots and writes down one formula.

    ``weight_decay``, ``clipnorm``, ``clipvalue`` and ``global_clipnorm`` are off when None; at most one of the three
    ways to clip may be on. Raises OptionError for numbers out of range.
    """

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {name: number(name, value, above=0) for name, value in clips.items() if value is not None}
        if len(given) > 1:
            raise OptionError(explain("at most one of clipnorm, clipvalue and global_clipnorm", " and ".join(given)))
        self.clipnorm, self.clipvalue, self.global_clipnorm = (given.get(name) for name in clips)
        self.weight_decay = None if weight_decay is None else number("weight_decay", weight_decay, least=0)
        self._rate: float | LearningRateSchedule
        if isinstance(learning_rate, LearningRateSchedule | Mapping):
            self._rate = schedules.get(learning_rate)
        else:
            self._rate = number("learning_rate", learning_rate, least=0)
        self.iterations = 0  # updates made so far
        self.slots: Slots = {}

    # -- what a subclass says ------------------------------------------------------------------------------------------

    @abstractmethod
    def slot_values(self) -> dict[str, float]:
        """The slots each parameter has, by name, and what they are filled with before the first step."""

    @abstractmethod
    def update(self, p: Array, g: Array, slots: Slots, learning_rate: float) -> None:
        """Change ``p`` and its ``slots`` in place, given the gradient ``g``. All are of one shape.

        They are pieces of the whole, so that the temporary arrays of a plainly written formula stay in the cache.
        """

    def formula(self, slots: Slots, learning_rate: float) -> loops.Formula | None:
        """``update`` as one of the compiled loops; None, as here, if there is none."""
        return None

    # -- a step --------------------------------------------------------------------------------------------------------

    def apply(self, parameters: Mapping[str, Array], gradients: Mapping[str, Gradient]) -> None:
        """One step downhill, in place. Parameters without a gradient (frozen ones) stay as they are.

        Raises ShapeError and DtypeError for gradients that do not fit their parameters; nothing was changed then.
        """
        for address, g in gradients.items():
            self._check(address, g, parameters)
        names = list(self.slot_values())
        for address in gradients:
            for name, value in self.slot_values().items():
                if f"{name}/{address}" not in self.slots:
                    self.slots[f"{name}/{address}"] = np.full_like(parameters[address], value, order="C")
        scales = self._scales(gradients)
        for address, g in gradients.items():
            p = parameters[address]
            own = np.ascontiguousarray(p)  # p itself, nearly always
            self._step(own, g, {name: self.slots[f"{name}/{address}"] for name in names}, scales.get(address, 1.0))
            if own is not p:
                p[...] = own
        self.iterations += 1

    def _step(self, p: Array, g: Gradient, slots: Slots, scale: float) -> None:
        """Clip, decay and update one parameter."""
        learning_rate = self.learning_rate
        formula = self.formula(slots, learning_rate) if loops.COMPILED else None
        if formula is not None:
            limit = math.inf if self.clipvalue is None else self.clipvalue
            return loops.step(p, g, formula, scale, limit, (self.weight_decay or 0.0) * learning_rate)
        flat = p.reshape(-1)
        for start, part in _parts(g):
            piece = slice(start, start + part.size)
            p_part, slot_parts = flat[piece], {name: slot.reshape(-1)[piece] for name, slot in slots.items()}
            if scale != 1:
                part = part * scale
            elif self.clipvalue is not None:
                part = np.clip(part, -self.clipvalue, self.clipvalue)
            if self.weight_decay is not None:
                p_part -= p_part * self.weight_decay * learning_rate
            self.update(p_part, part, slot_parts, learning_rate)
        return None

    def _check(self, address: str, g: Gradient, parameters: Mapping[str, Array]) -> None:
        """A gradient must fit its parameter, and so must the slots that are there already."""
        if address not in parameters:
            raise ShapeError(explain(f"gradients of known parameters ({', '.join(parameters)})", repr(address)))
        p = parameters[address]
        if not isinstance(g, np.ndarray | OuterProducts) or g.dtype != p.dtype:
            received = getattr(g, "dtype", type(g).__name__)
            raise DtypeError(explain(f"an array of dtype {p.dtype} for the gradient of '{address}'", received))
        if g.shape != p.shape:
            raise ShapeError(explain(f"a gradient of shape {p.shape} for '{address}'", f"shape {g.shape}"))
        for name in self.slot_values():
            slot = self.slots.get(f"{name}/{address}", p)
            if slot.shape != p.shape or slot.dtype != p.dtype:
                raise ShapeError(
                    explain(
                        f"{p.dtype} of shape {p.shape} in the slot '{name}/{address}'",
                        f"{slot.dtype} of shape {slot.shape}",
                        "One optimizer belongs to one model: make a new one.",
                    )
                )

    def _scales(self, gradients: Mapping[str, Gradient]) -> dict[str, float]:
        """What to multiply each gradient with so that its length is at most clipnorm. NaN where a length is NaN."""
        if self.clipnorm is not None:
            return {address: _shrink(math.sqrt(_square(g)), self.clipnorm) for address, g in gradients.items()}
        if self.global_clipnorm is not None:
            length = math.sqrt(sum(_square(g) for g in gradients.values()))
            scale = _shrink(length, self.global_clipnorm) if math.isfinite(length) else math.nan
            return dict.fromkeys(gradients, scale)
        return {}

    # -- its numbers, and its memory -----------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. It can be set, unless a schedule decides."""
        return self._rate(self.iterations) if isinstance(self._rate, LearningRateSchedule) else self._rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if isinstance(self._rate, LearningRateSchedule):
            raise StateError(
                explain("an optimizer with a plain learning rate", f"one that follows {self._rate}", "Make a new one.")
            )
        self._rate = number("learning_rate", value, least=0)

    def config(self) -> dict[str, Any]:
        """The arguments that make this optimiser again, under Keras's names; those with their default are left out.

        The learning rate is always there: as it is now, or ``{"class_name": ..., "config": ...}`` of the schedule.
        """
        rate: Any = self._rate
        if isinstance(rate, LearningRateSchedule):
            rate = {"class_name": type(rate).__name__, "config": rate.config()}
        return {"learning_rate": rate} | {key: v for key, v in arguments_of(self).items() if key != "learning_rate"}

    def state(self) -> dict[str, Array]:
        """What training needs to go on where it stopped: "iterations" and every slot. The arrays themselves."""
        return {"iterations": np.array(self.iterations), **self.slots}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take over what ``state`` returned. Raises StateError, and changes nothing, when another kind wrote it."""
        names = tuple(f"{name}/" for name in self.slot_values())
        foreign = [key for key in state if key != "iterations" and not key.startswith(names)]
        if foreign:
            raise StateError(
                explain(f"slots of {type(self).__name__}: {', '.join(names) or 'none'}", ", ".join(foreign))
            )
        iterations = np.asarray(state.get("iterations", -1))
        if iterations.shape != () or iterations.dtype.kind not in "iu" or iterations < 0:
            raise StateError(explain("'iterations', one integer >= 0", repr(state.get("iterations"))))
        self.iterations = int(iterations)
        self.slots = {key: np.array(value, order="C") for key, value in state.items() if key != "iterations"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


def _parts(g: Gradient) -> Iterator[tuple[int, Array]]:
    """The gradient as flat pieces of about BLOCK numbers, each with the position of its first."""
    if isinstance(g, OuterProducts):
        rows, width = block_rows(g.shape), g.shape[1]
        for row in range(0, g.shape[0], rows):
            yield row * width, g.rows(row, min(g.shape[0], row + rows)).reshape(-1)
        return
    flat = g.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield start, flat[start : start + BLOCK]


def _square(g: Gradient) -> float:
    """The sum of squares, added up in float64 piece by piece."""
    return sum(float(np.vdot(part, part)) for _, part in _parts(g))


def _shrink(length: float, limit: float) -> float:
    """The factor that brings a vector of this length down to ``limit``, 1 for shorter ones. NaN stays NaN."""
    return float(limit / np.maximum(length, limit))
