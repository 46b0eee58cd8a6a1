"""Options, read and written in one way: ``momentum=0.9``, ``"he_normal"``, ``{"class_name": ..., "config": ...}``.

Initializers, losses, optimisers, schedules and metrics can each be named by a string, described by what a file holds,
or given as an object. What they have in common stands here: a number that is really a number, an object from its name,
and the arguments that make it again.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from minicnn.constructors import mismatch
from minicnn.errors import ArgumentError, OptionError, explain

T = TypeVar("T")


def number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    fix: str = "",
) -> float:
    """``value`` as a float, if it is a finite number in [least, most] and in (above, below); else an OptionError.

    ``fix`` is what the message says last.

    >>> number("momentum", 1, least=0, most=1)
    1.0
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        try:
            x = float(value)
        except OverflowError:  # an integer of more than 308 digits
            x = math.inf
        if math.isfinite(x) and least <= x <= most and above < x < below:
            return x
    limits = {f">= {least:g}": least, f"> {above:g}": above, f"<= {most:g}": most, f"< {below:g}": below}
    bounds = [text for text, limit in limits.items() if math.isfinite(limit)]
    expected = " ".join([f"{name} as a finite number", " and ".join(bounds)]).strip()
    raise OptionError(explain(expected, repr(value), fix))


def label(what: str, name: object) -> str:
    """``name``, if it can be part of an address such as "conv1/kernel", which is a path in files; else an OptionError.

    >>> label("a layer name", "conv1")
    'conv1'
    """
    if not isinstance(name, str) or not name.isprintable() or "/" in name or name in ("", ".", ".."):
        fix = "Weights have addresses like 'conv1/kernel', in files too."
        raise OptionError(explain(f"{what} without '/', one that can be seen and is no folder", repr(name), fix))
    return name


def flag(name: str, value: object) -> bool:
    """``value`` if it is True or False; anything else, "no" and 0 included, is an OptionError."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(explain(f"{name} to be True or False", repr(value)))
    return bool(value)


def function(name: str, value: object, fix: str = "") -> Callable[..., Any]:
    """``value`` if it can be called; else an OptionError, which says ``fix`` last."""
    if not callable(value):
        raise OptionError(explain(f"{name} as a function", repr(value), fix))
    return value


def from_identifier(kind: str, identifier: object, base: type[Any], classes: Mapping[str, type[T]]) -> T:
    """An object of the class ``base``, from itself, its name, or ``{"class_name": name, "config": its arguments}``.

    ``classes`` maps Keras's names to classes; a class's own name is good too. Classes come from this table alone, so a
    name that was read from a file can start nothing else. Raises OptionError, listing the names, for an unknown one,
    and for arguments that are missing or that the class does not have.
    """
    if isinstance(identifier, base):
        return identifier  # type: ignore[no-any-return]
    name, arguments = identifier, {}
    if isinstance(identifier, Mapping):
        name, arguments = identifier.get("class_name"), identifier.get("config", {})
    known = {**classes, **{cls.__name__: cls for cls in classes.values()}}
    if not isinstance(name, str) or name not in known:
        fix = f"Or give an instance of {base.__name__}."
        raise OptionError(explain(f"{kind}: one of {', '.join(classes)}", repr(identifier), fix))
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        raise OptionError(explain(f"the arguments of {name} by name, in a dict", repr(arguments)))
    problem = mismatch(known[name], (), arguments, name)
    if problem is not None:
        raise ArgumentError(problem)
    return known[name](**arguments)


def arguments_of(thing: object) -> dict[str, Any]:
    """The arguments that make ``thing`` again, without those that have their default: ``type(thing)(**arguments)``.

    Every argument must be kept as an attribute of the same name.
    """
    parameters = inspect.signature(type(thing)).parameters.values()
    values = {p.name: getattr(thing, p.name) for p in parameters}
    return {p.name: values[p.name] for p in parameters if values[p.name] != p.default}
