"""What a check found, for people (``print``, a notebook) and for programs (``to_dict``)."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from minicnn.checking.arithmetic import at
from minicnn.checking.diagnosis import Diagnosis
from minicnn.shapes import Array

NONE_FITS = "None of the known mistakes, alone or two at a time, gives these numbers: it is something else."


@dataclass(frozen=True)
class Example:
    """The smallest case that fails: its arguments, the first wrong number, and how the right one comes about."""

    options: dict[str, Any]  # strides, padding, ...
    arrays: dict[str, Array]
    problem: str  # when there is nothing to compare
    result: str = ""
    found_shape: tuple[int, ...] = ()
    true_shape: tuple[int, ...] = ()
    index: tuple[int, ...] = ()
    found: float = float("nan")
    truth: float = float("nan")
    minicnn: float = float("nan")  # the same number by minicnn in float32
    keras: float | None = None  # and by Keras, if it was asked
    arithmetic: str = ""

    def lines(self) -> list[str]:
        """The example as text."""
        shapes = [f"{name} {array.shape}" for name, array in self.arrays.items()]
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        lines = ["The smallest case that fails:", f"  {', '.join([*shapes, *options])}"]
        for name, array in self.arrays.items():
            if 0 < array.size <= 12:
                lines.append(f"  {name} = {' '.join(repr(array.tolist()).split())}")
        if self.problem:
            return [*lines, f"  {self.problem}"]
        if self.found_shape != self.true_shape:
            return [*lines, f"  {self.result} has shape {self.found_shape}; expected {self.true_shape}."]
        values = {"yours": self.found, "float64": self.truth, "minicnn": self.minicnn, "Keras": self.keras}
        lines.append(f"The first wrong number is {at(self.result, self.index)}:")
        lines.append("  " + ", ".join(f"{who} {value:.9g}" for who, value in values.items() if value is not None))
        return [*lines, *self.arithmetic.splitlines()]


@dataclass(frozen=True)
class Precision:
    """How far float32 results are from float64, relative to the largest number: the worst of all cases."""

    yours: float
    minicnn: float
    keras: float | None = None


@dataclass(frozen=True)
class CheckReport:
    """Whether a function computes what Keras's layer does; ``print`` it, or read its fields."""

    function: str
    layer: str
    direction: str
    cases: int
    right: int
    not_taken: tuple[str, ...]  # options it does not know: checked with their defaults alone
    stopped: bool  # by the time limit, before the end of the grid
    notes: tuple[str, ...]
    not_returned: tuple[str, ...] = ()  # results that came in no case: not checked
    diagnoses: tuple[Diagnosis, ...] = ()
    unexplained: tuple[str, ...] = ()  # results that are wrong, and no known mistake says how
    example: Example | None = None
    precision: Precision | None = None

    @property
    def ok(self) -> bool:
        """Right in every case; but nothing is known of results that are ``not_returned``."""
        return self.right == self.cases > 0

    def __str__(self) -> str:
        what = f"{self.function} as {self.layer} ({self.direction})"
        lines = [f"{what}: {'right' if self.ok else 'wrong'} in {self.right if self.ok else self.cases - self.right} "]
        lines[0] += f"of {self.cases} cases"
        lines[0] += f"; not checked: {', '.join(self.not_returned)}." if self.not_returned else "."
        for diagnosis in self.diagnoses:
            lines.append(f"{', '.join(diagnosis.results)}: {diagnosis.name.upper()}")
            lines += [f"  {mistake.meaning}" for mistake in diagnosis.mistakes]
            lines.append(f"  Tried: this mistake gives exactly your numbers, in {diagnosis.confirmed} failing results.")
        if self.unexplained:
            lines.append(f"{', '.join(self.unexplained)}: {NONE_FITS}")
        if self.example:
            lines += self.example.lines()
        if self.precision:
            who = {"yours": self.precision.yours, "minicnn": self.precision.minicnn, "Keras": self.precision.keras}
            errors = ", ".join(f"{name} {error:.1e}" for name, error in who.items() if error is not None)
            lines.append(f"In float32, largest error against float64: {errors}.")
        if self.not_taken:
            lines.append(f"It does not take {', '.join(self.not_taken)}: checked with the default alone.")
        if self.not_returned:
            lines.append(f"It does not return {', '.join(self.not_returned)}: not checked.")
        if self.stopped:
            lines.append("The time was up before the end: these are the smallest cases.")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        colour = "green" if self.ok else "firebrick"
        return f'<pre style="border-left: 4px solid {colour}; padding-left: 1em">{html.escape(str(self))}</pre>'

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as ``minicnn check --json`` prints it."""
        example = None
        if self.example:
            arrays = {name: array.tolist() for name, array in self.example.arrays.items()}
            example = vars(self.example) | {"arrays": arrays}
        return {
            "function": self.function,
            "layer": self.layer,
            "direction": self.direction,
            "ok": self.ok,
            "cases": self.cases,
            "right": self.right,
            "not_taken": list(self.not_taken),
            "not_returned": list(self.not_returned),
            "stopped": self.stopped,
            "notes": list(self.notes),
            "diagnoses": [
                {
                    "results": list(diagnosis.results),
                    "mistakes": [{"name": m.name, "meaning": m.meaning} for m in diagnosis.mistakes],
                    "confirmed": diagnosis.confirmed,
                }
                for diagnosis in self.diagnoses
            ],
            "unexplained": list(self.unexplained),
            "example": example,
            "precision": vars(self.precision) if self.precision else None,
        }
