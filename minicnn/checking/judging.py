"""Running the grid, and making a failing case as small as it gets.

A result is judged twice. In float64 only rounding may separate it from the truth: ``EXACT`` of the largest number. A
function that rounds to float32 on its way (``np.zeros(shape, np.float32)``) misses that by far and may still be right:
up to ``SINGLE`` it passes with a note, unless a known mistake fits better.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from minicnn.checking.calling import Answer, Function
from minicnn.checking.distance import max_error
from minicnn.checking.subject import Arguments, Results, Settings, Subject, UndefinedError
from minicnn.errors import MinicnnError

EXACT = 1e-9  # relative to the largest number of the result
SINGLE = 1e-5  # some hundred roundings in float32
TRIES = 300  # calls to make a case smaller


@dataclass(frozen=True)
class Judged:
    """One case: what it was made of, what is true, what the function gave, and how far apart they are."""

    settings: Settings
    arguments: Arguments
    truth: Results
    answer: Answer
    errors: dict[str, float]  # by result; of those that came back
    absent: tuple[str, ...] = ()  # results that did not come back, although all are asked for

    @property
    def wrong(self) -> list[str]:
        """The results that are wrong, also by float32's measure."""
        return [name for name, error in self.errors.items() if not error <= SINGLE]

    @property
    def doubtful(self) -> list[str]:
        """The results that are wrong by float64's measure."""
        return [name for name, error in self.errors.items() if not error <= EXACT]

    @property
    def kind(self) -> str:
        """What went wrong, in a word; "" for nothing."""
        if self.answer.problem:
            return self.answer.problem.kind
        if not self.wrong:
            return "missing" if self.absent else ""
        shapes = [self.answer.results[name].shape == self.truth[name].shape for name in self.wrong]
        return "numbers" if all(shapes) else "shape"


def judge(function: Function, settings: Settings) -> Judged | None:
    """Run one case; None when it is none (the window does not fit) or not a fair one for this function."""
    subject = function.subject
    try:
        arguments = subject.make(settings)
        if not function.can_take(arguments):
            return None
        truth = subject.formula(arguments)
    except (MinicnnError, UndefinedError):
        return None
    answer = function(arguments)
    given = {name: array for name, array in answer.results.items() if name in truth}
    errors = {name: max_error(array, truth[name]) for name, array in given.items()}
    asked = truth if function.complete and not answer.problem else {}
    absent = tuple(name for name in asked if name not in given)
    return Judged(settings, arguments, truth, answer, errors, absent)


def run(function: Function, seconds: float) -> tuple[list[Judged], bool]:
    """Every fair case of the grid, the smallest first, until the time is up; was it up?"""
    end = time.perf_counter() + seconds
    judged: list[Judged] = []
    fair = [function.fair(settings) for settings in function.subject.settings()]
    for settings in [settings for number, settings in enumerate(fair) if settings not in fair[:number]]:
        case = judge(function, settings)
        judged += [case] if case else []
        if time.perf_counter() > end:
            return judged, True
    return judged, False


def smallest(function: Function, failing: Judged) -> Judged:
    """A case that fails in the same way and in which no setting can be simpler; found by trying, one at a time."""
    tries = 0
    simpler = True
    while simpler and tries < TRIES:
        simpler = False
        for name, values in function.subject.choices.items():
            for value in values[: values.index(failing.settings[name])]:
                tries += 1
                case = judge(function, failing.settings | {name: value})
                if case and case.kind == failing.kind and set(case.wrong) <= set(failing.wrong):
                    failing, simpler = case, True
                    break
    return failing


def first_wrong(found: np.ndarray, truth: np.ndarray) -> tuple[int, ...]:
    """The first element, in reading order, that differs by more than rounding."""
    with np.errstate(invalid="ignore"):
        apart = ~(np.abs(found - truth) <= EXACT * max(float(np.max(np.abs(truth), initial=0.0)), 1e-300))
    apart &= ~(np.isnan(found) & np.isnan(truth)) & ~((found == truth) & np.isinf(found))
    places = np.argwhere(apart)
    return tuple(int(i) for i in places[0]) if len(places) else tuple(0 for _ in truth.shape)


def in_float32(function: Function, subject: Subject, arguments: Arguments) -> tuple[Arguments, Results, Results]:
    """The case rounded to float32: its arguments, the function's results, and the truth of the rounded arguments."""
    rounded = {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value
        for name, value in arguments.items()
    }
    exact = {
        n: v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype == np.float32 else v
        for n, v in rounded.items()
    }
    return rounded, function(rounded).results, subject.formula(exact)
