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
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn import schedules
from minicnn.constructors import Explained
from minicnn.errors import DtypeError, OptionError, ShapeError, StateError, explain
from minicnn.keras_names import answers_for_keras
from minicnn.ops.gradients import OuterProducts
from minicnn.optimizers import loops
from minicnn.optimizers.clipping import Gradient, parts, scales
from minicnn.options import arguments_of, number
from minicnn.schedules import LearningRateSchedule
from minicnn.shapes import Array

Rate = float | LearningRateSchedule | Mapping[str, Any]
Slots = dict[str, Array]

MOST_STEPS = 2**63 - 1  # as Keras counts, in an int64; a float can be made of it, as formulas and schedules do


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

        Raises ShapeError and DtypeError for gradients that do not fit their parameters, and StateError for parameters
        that cannot be written to; nothing was changed then.
        """
        for address, g in gradients.items():
            self._check(address, g, parameters)
        names = list(self.slot_values())
        for address in gradients:
            for name, value in self.slot_values().items():
                if f"{name}/{address}" not in self.slots:
                    self.slots[f"{name}/{address}"] = np.full_like(parameters[address], value, order="C")
        factors = scales(gradients, self.clipnorm, self.global_clipnorm)
        for address, g in gradients.items():
            p = parameters[address]
            own = np.ascontiguousarray(p)  # p itself, nearly always
            self._step(own, g, {name: self.slots[f"{name}/{address}"] for name in names}, factors.get(address, 1.0))
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
        for start, part in parts(g):
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
        """A gradient must fit its parameter, which can be changed, and so must the slots that are there already."""
        if address not in parameters:
            raise ShapeError(explain(f"gradients of known parameters ({', '.join(parameters)})", repr(address)))
        p = parameters[address]
        if not p.flags.writeable:  # NumPy's view of another library's array, or of a file
            fix = "Put a copy in its place: array.copy()."
            raise StateError(explain(f"an array that can be written to as '{address}'", "a read-only one", fix))
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
        """What training needs to go on where it stopped: "iterations" and every slot. The arrays themselves.

        "optimizer" says who wrote it, by kind and slots: what Adam and RMSprop remember has the same names.
        """
        return {"iterations": np.array(self.iterations), "optimizer": np.array(self._signature()), **self.slots}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take over what ``state`` returned. Raises StateError, and changes nothing, when another kind wrote it, or one
        with other slots, or when slots are missing. AdamW's is Adam's: both remember the same."""
        iterations = np.asarray(state.get("iterations", -1))
        if iterations.shape != () or iterations.dtype.kind not in "iu" or not 0 <= int(iterations) <= MOST_STEPS:
            received = f"{state.get('iterations')!r:.60}"
            raise StateError(explain(f"'iterations', one integer from 0 to {MOST_STEPS}", received))
        slots = {key: value for key, value in state.items() if key not in ("iterations", "optimizer")}
        self._check_state(state, slots, int(iterations))
        self.iterations = int(iterations)
        self.slots = {key: np.array(value, order="C") for key, value in slots.items()}

    def _signature(self) -> list[str]:
        """The class directly below Optimizer in this one's line, then the names of the slots."""
        line = type(self).__mro__
        return [line[line.index(Optimizer) - 1].__name__, *sorted(self.slot_values())]

    def _check_state(self, state: Mapping[str, Array], slots: Mapping[str, Array], iterations: int) -> None:
        """The state must be of this kind, and have all slots of every parameter it has any of."""
        own = self._signature()
        names = own[1:]
        expected = f"the state of {_spelled(*own)}"
        fix = "Load it into an optimizer of the class and the options that wrote it."
        if "optimizer" in state:
            writer = np.ravel(state["optimizer"]).tolist()
            if writer != own:
                raise StateError(explain(expected, f"one of {_spelled(*writer):.200}", fix))
        elif names and iterations and not slots:  # older states do not say who wrote them
            raise StateError(explain(expected, f"one of {iterations} steps without any slots", fix))
        known = {key[len(name) + 1 :] for key in slots for name in names if key.startswith(f"{name}/")}
        needed = {f"{name}/{address}" for name in names for address in known}
        missing, foreign = sorted(needed - slots.keys()), sorted(slots.keys() - needed)
        if missing or foreign:
            wrong = {"without": missing, "with": foreign}
            received = " and ".join(f"{how} {', '.join(keys):.200}" for how, keys in wrong.items() if keys)
            raise StateError(explain(expected, f"one {received}", fix))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


def _spelled(kind: object = "nobody", *names: object) -> str:
    """What ``_signature`` returns, for people."""
    return f"{kind} with {', '.join(map(str, names)) or 'no slots'}"
