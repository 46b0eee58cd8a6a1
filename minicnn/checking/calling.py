"""Calling somebody's function: only with what it takes, on copies, and with words for everything that can go wrong."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.checking.subject import Arguments, Results, Settings, Subject
from minicnn.errors import OptionError, explain
from minicnn.shapes import Array


@dataclass(frozen=True)
class Problem:
    """Why a call gave nothing to compare: a word for its kind, and a sentence for people."""

    kind: str  # "exception", "nothing", "form", "dtype", "changed"
    text: str


@dataclass(frozen=True)
class Answer:
    """What a call gave: arrays by name, or a problem; and what is worth knowing all the same."""

    results: Results
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


class Function:
    """A function that is checked as a ``Subject``: which of the arguments it takes, and how it is called. ``complete``:
    whether it must return every result.

    Raises OptionError for something that cannot be called, or that insists on an argument nobody can give.
    """

    def __init__(
        self, function: Callable[..., Any], subject: Subject, known: Iterable[str], *, complete: bool = False
    ) -> None:
        if not callable(function):
            raise OptionError(explain("a function to check", repr(function), "Give the function itself, without ()."))
        self.function, self.subject, self.complete = function, subject, complete
        self.name = getattr(function, "__name__", type(function).__name__)
        self.takes, self.insists_on_bias = self._signature(set(known) | set(subject.single))

    def _signature(self, known: set[str]) -> tuple[frozenset[str], bool]:
        """The names it is called with, and whether it must have a bias."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):
            fix = "Wrap it: lambda x, kernel: ..."
            raise OptionError(explain("a function whose arguments have names", self.name, fix)) from None
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return frozenset(known - set(self.subject.single)), False
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
        strange = [name for name in required if name not in known or name not in names]
        if strange or not set(names) & known:
            fix = f"Rename the arguments, or wrap the function in one that has these names. {_hints(strange, known)}"
            raise OptionError(
                explain(
                    f"arguments of {self.subject.layer} ({self.subject.direction}): {', '.join(sorted(known))}",
                    f"{self.name}({', '.join(names)})",
                    fix.strip(),
                )
            )
        return frozenset(names) & frozenset(known), "bias" in required

    def fair(self, settings: Settings) -> Settings:
        """The settings with the default of every option that the function does not know."""
        defaults = {option: self.subject.defaults[option] for option in self.not_taken()}
        if "bias" in defaults:
            defaults["use_bias"] = False
        return settings | {name: value for name, value in defaults.items() if name in self.subject.choices}

    def can_take(self, arguments: Arguments) -> bool:
        """Whether this case is a fair one: options that the function does not know have their default."""
        single = {option: name for name, option in self.subject.single.items() if name in self.takes}
        for option, default in self.subject.defaults.items():
            value = arguments.get(option, default)
            if option in single and option not in self.takes:
                if value is not None and value[0] != value[1]:
                    return False
            elif option not in self.takes and not _equal(value, default):
                return False
        return not (self.insists_on_bias and arguments.get("bias", 0) is None)

    def not_taken(self) -> list[str]:
        """Options that the function does not know, so that they were checked with their defaults alone."""
        single = {option for name, option in self.subject.single.items() if name in self.takes}
        return [option for option in self.subject.defaults if option not in self.takes and option not in single]

    def __call__(self, arguments: Arguments) -> Answer:
        """Call it with copies of what it takes. Nothing it raises, prints or warns of comes through."""
        given = {name: _copied(arguments[name]) for name in self.takes if name in arguments}
        for name, option in self.subject.single.items():
            if name in self.takes and arguments[option] is not None:
                given[name] = arguments[option][0]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                returned = self.function(**given)
        except (Exception, SystemExit) as error:  # exit(0) would say that all is well
            return Answer({}, Problem("exception", _where(error, self.function)))
        changed = [n for n, value in given.items() if isinstance(value, np.ndarray) and not _equal(value, arguments[n])]
        if changed:
            text = (
                f"It writes into its argument {' and '.join(changed)}. Whoever called it still needs that: work on a "
            )
            return Answer({}, Problem("changed", f"{text}copy, {changed[0]}.copy()."))
        return self._named(returned, given)

    def _named(self, returned: Any, given: Arguments) -> Answer:
        """The arrays of what came back, by name."""
        names = self.subject.results
        strange: list[str] = []
        if returned is None:
            return Answer({}, Problem("nothing", f"It returns None. Is the line 'return {', '.join(names)}' missing?"))
        if isinstance(returned, dict):
            found = {name: returned[name] for name in names if returned.get(name) is not None}
            strange = [str(key) for key in returned if key not in names]
        elif isinstance(returned, tuple | list):
            found = {n: value for n, value in zip(names, returned, strict=False) if value is not None}
            if len(names) > 1 and len(returned) > len(names):
                text = f"It returns {len(returned)} things; expected {', '.join(names)}, in this order."
                return Answer({}, Problem("form", text))
        else:
            found = {names[0]: returned}
        if not found:
            text = f"It returns {type(returned).__name__} without any of {', '.join(names)}. {_hints(strange, names)}"
            return Answer({}, Problem("form", text.strip()))
        if strange:  # a gradient under a misspelt name would go unchecked
            text = f"It returns a dict with {', '.join(map(repr, strange))}; expected only {', '.join(names)}."
            return Answer({}, Problem("form", f"{text} {_hints(strange, names)}".strip()))
        arrays, notes = {}, []
        for name, value in found.items():
            array = np.asarray(value)
            if array.dtype.kind not in "f":
                text = f"{name} has dtype {array.dtype}; expected floats."
                hint = " np.zeros(shape, int) or np.zeros_like(integers) cuts every number off." * (
                    array.dtype.kind in "iu"
                )
                return Answer({}, Problem("dtype", text + hint))
            if isinstance(value, np.ndarray):
                notes += [
                    f"{name} shares its memory with {n}: whoever writes to one changes the other."
                    for n, other in given.items()
                    if isinstance(other, np.ndarray) and np.shares_memory(value, other)
                ]
            arrays[name] = array.astype(np.float64) if array.dtype != np.float32 else array.copy()
        return Answer(arrays, None, tuple(notes))


def _hints(strange: Iterable[str], known: Iterable[str]) -> str:
    """For each name that is strange, the known one that is meant, if one is near."""
    near = {name: difflib.get_close_matches(name, known, 1, 0.5) for name in strange}
    return " ".join(f"Is '{name}' {match[0]}?" for name, match in near.items() if match)


def _copied(value: Any) -> Any:
    return np.array(value, order="C") if isinstance(value, np.ndarray) else value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=True)
    return bool(a == b)


def _where(error: BaseException, function: Callable[..., Any]) -> str:
    """The exception, and the line of the function's own file that it came from."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = f", in line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return f"It raises {type(error).__name__}: {error}{line}"


def shape_of(array: Array) -> str:
    """A shape for a message."""
    return f"({', '.join(map(str, array.shape))}{',' if array.ndim == 1 else ''})"
