"""What can be checked: a layer in one direction, its formula, a grid of cases, and the mistakes people make in it.

A **case** is a few settings ("height": 5, "strides": (2, 2), "fill": "counting"), from which the arrays are made.
Settings have their simplest value first, so a failing case can be made smaller by trying simpler ones.

A **mistake** is described by what it does to the formula: it changes the arguments before (the kernel arrives turned),
or the results after (they leave in another layout), or both. Arguments may also hold *knobs*, which no function that
is checked ever sees: a formula that divides by ``count - a.get("ddof", 0)`` lets a mistake turn that knob. So two
mistakes at once are simply one after the other, and what each of them would give is computed, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.shapes import Array, Shape

Arguments = dict[str, Any]  # what the function is called with, under Keras's names
Results = dict[str, Array]  # {"y": ...}, {"dx": ..., "dkernel": ...}
Settings = dict[str, Any]
Index = tuple[int, ...]

FILLS = ("counting", "integers", "random")


class UndefinedError(Exception):
    """A mistake cannot be made in this case: the arrays' sizes do not allow it, or there is nothing to get wrong."""


def _same_arguments(arguments: Arguments) -> Arguments:
    return {}


def _same_results(results: Results, arguments: Arguments) -> Results:
    return {}


@dataclass(frozen=True)
class Mistake:
    """A mistake by name, a sentence on what the code does and what it should do, and its effect.

    ``before`` returns the arguments it changes, ``after`` the results it changes; both may raise ``UndefinedError``.
    """

    name: str
    meaning: str
    before: Callable[[Arguments], Arguments] = _same_arguments
    after: Callable[[Results, Arguments], Results] = _same_results


@dataclass(frozen=True)
class Subject:
    """A layer, loss or optimiser in one direction.

    ``arguments(settings, rng)`` makes the arrays in float64; ``formula`` computes the truth from them, and what a
    mistake gives from changed ones; ``twin`` is the same thing in minicnn (a Layer, Loss or Optimizer holding the
    arrays), which is computed in float32 beside the function's own result, and which Keras can be asked about.
    """

    layer: str  # Keras's name: "Conv2D"
    direction: str  # "forward", "backward"; optimisers have only "forward": one step
    results: tuple[str, ...]
    choices: Mapping[str, tuple[Any, ...]]  # every setting, its simplest value first
    grid: Callable[[], Iterator[Settings]]  # settings that differ from the simplest ones
    arguments: Callable[[Settings, np.random.Generator], Arguments]
    formula: Callable[[Arguments], Results]
    twin: Callable[[Arguments], Any]
    mistakes: tuple[Mistake, ...]
    #: an option that the function does not take has this value; None is "no bias"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    #: "stride" for a function that takes one number for both axes instead of "strides"
    single: Mapping[str, str] = field(default_factory=dict)
    #: the sum behind one number of a result, as text; "" where there is nothing to show
    arithmetic: Callable[[Arguments, str, Index], str] = lambda arguments, name, index: ""

    def settings(self) -> list[Settings]:
        """The grid, the smallest cases first."""
        simplest = {name: values[0] for name, values in self.choices.items()}
        return sorted((simplest | chosen for chosen in self.grid()), key=self.size)

    def size(self, settings: Settings) -> int:
        """How large a case is for a reader: each setting counts by its place among its choices."""
        return sum(values.index(settings[name]) for name, values in self.choices.items())

    def make(self, settings: Settings) -> Arguments:
        """The arguments of a case. The same settings always give the same numbers."""
        return self.arguments(settings, np.random.default_rng(0))

    def with_mistakes(self, arguments: Arguments, *mistakes: Mistake) -> Results:
        """What code with these mistakes would give. Raises ``UndefinedError``."""
        for mistake in mistakes:
            arguments = arguments | mistake.before(arguments)
        results = self.formula(arguments)
        for mistake in mistakes:
            results = results | mistake.after(results, arguments)
        return results


def numbers(shape: Shape, fill: str, rng: np.random.Generator) -> Array:
    """Numbers to check with: 1, 2, 3, ...; integers from -3 to 3, which have ties; or normally distributed ones."""
    size = int(np.prod(shape))
    if fill == "counting":
        return np.arange(1.0, size + 1).reshape(shape)
    if fill == "integers":
        return rng.integers(-3, 4, shape).astype(np.float64)
    return rng.standard_normal(shape)


def ones_for_dy() -> Mistake:
    """The mistake every backward pass can have."""
    return Mistake(
        "upstream gradient ignored",
        "The result does not depend on dy, as if the layer were the last one. By the chain rule, every local "
        "derivative is multiplied by dy.",
        before=lambda a: {"dy": np.ones_like(a["dy"])},
    )
