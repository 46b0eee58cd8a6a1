"""Errors a person can act on.

Every error says three things: what was expected, what came instead, and how to mend it. All of them derive from
``MinicnnError``, so a program can catch "anything minicnn refused" with one name, and each also derives from the
built-in exception a Python reader would expect (a wrong shape is still a ``ValueError``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NEAR = 0.5  # how alike two names are, 0 to 1, if one may be meant by the other: "vgg" is that near to "vgg-face"


class MinicnnError(Exception):
    """Base class of everything minicnn, reference_keras and detection raise on purpose."""


class ShapeError(MinicnnError, ValueError):
    """An array has the wrong rank, the wrong sizes, or nothing in it."""


class DtypeError(MinicnnError, TypeError):
    """An array has a number type the operation does not compute in."""


class OptionError(MinicnnError, ValueError):
    """An argument has a value outside the allowed ones (unknown padding, rate above 1, ...)."""


class ArgumentError(OptionError, TypeError):
    """An argument that there is not, or one that is missing: a call that Python itself refuses."""


class LabelError(MinicnnError, ValueError):
    """Targets do not fit the predictions: a class index out of range, rows that are no distribution, ..."""


class StateError(MinicnnError, RuntimeError):
    """The right call at the wrong time: predicting before building, fitting before compiling, ..."""


class LoadError(MinicnnError, ValueError):
    """A file is not what it should be. The message names the file and the reason; nothing was loaded."""


class ImageError(MinicnnError, ValueError):
    """A picture cannot be read, or what was read is not a usable picture. The message names the file."""


class NoFaceError(MinicnnError, ValueError):
    """A photograph (or a whole folder of them) shows no face the detector can find."""


class MissingDependencyError(MinicnnError, ImportError):
    """An optional package is not installed. The message names the extra that brings it."""


def explain(expected: object, received: object, fix: str = "") -> str:
    """The one way messages are worded: ``Expected ... Received: ... fix``.

    >>> explain("a 4-D array (N, H, W, C)", "shape (28, 28)", "Add axes with x[None, :, :, None].")
    'Expected a 4-D array (N, H, W, C). Received: shape (28, 28). Add axes with x[None, :, :, None].'
    """
    message = f"Expected {expected}. Received: {received}."
    return f"{message} {fix}" if fix else message


def did_you_mean(word: object, names: Iterable[str]) -> str:
    """A question at the end of an error about a name that there is not; "" where none of ``names`` is near it.

    >>> did_you_mean("Relu", ("ReLU", "ELU")), did_you_mean("alexnet", ("vgg-face",))
    ("Did you mean 'ReLU'?", '')
    """
    spelled = {name.lower(): name for name in names}  # nobody remembers which letters are capitals
    near = difflib.get_close_matches(str(word).lower(), spelled, 1, NEAR)
    return f"Did you mean '{spelled[near[0]]}'?" if near else ""


def missing(package: str, extra: str, purpose: str) -> MissingDependencyError:
    """The error for an optional package that is not there: what needs it, and the command that installs it."""
    return MissingDependencyError(
        f"{purpose} needs the package '{package}', which is not installed. "
        f"Install it with: pip install 'minicnn[{extra}]'  (in a checkout: pip install -e '.[{extra}]')."
    )
