"""What every reader does before it believes a file, and the one error that it raises.

A file can be cut off, damaged, or made by somebody who wishes us ill. So readers keep one order: is it a file at all;
what does it announce (names, shapes, number types); does that fit its own size, and what the caller expects; only then
is memory taken and are numbers read. Whatever a library raises on the way becomes one LoadError with the file's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from minicnn.errors import LoadError, MissingDependencyError
from minicnn.shapes import Shape

CHUNK = 1 << 24  # bytes read at a time, so that a large array is not held twice
TEXT_LIMIT = 4 << 20  # bytes of JSON; an architecture of a thousand layers takes a tenth of it
FREE_EXPANSION = 64 << 20  # bytes that a compressed file may unpack to, whatever its size
EXPANSION = 8  # ... and per byte of the file: trained weights hardly shrink

Expected = Mapping[str, tuple[Shape, Any]]


@contextmanager
def reading(path: str | Path, kind: str) -> Iterator[BinaryIO]:
    """The open file. What goes wrong in the block becomes a LoadError that names the file and the reason.

    ``kind`` says what it should be: "an .npz file". An optional package that is missing stays its own error.
    """
    try:
        if not Path(path).is_file():  # a named pipe would wait for ever
            refuse("no such file. Check the name and the folder" if not Path(path).exists() else "not a regular file")
        with open(path, "rb") as file:
            yield file
    except MissingDependencyError:
        raise
    except LoadError as error:
        if str(error).startswith("Cannot load"):
            raise
        raise LoadError(f"Cannot load '{path}': {error}") from error.__cause__
    except Exception as error:  # libraries raise a dozen kinds on broken input: all mean the same here
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        raise LoadError(f"Cannot load '{path}': not {kind}, or damaged ({reason}).") from error


def refuse(reason: str) -> NoReturn:
    """Raise a LoadError; ``reading`` puts the file's name in front."""
    raise LoadError(reason if reason.endswith(".") else f"{reason}.")


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``. Raises LoadError, naming ``what``, when it is none, too long or has a name twice."""
    if len(data) > TEXT_LIMIT:
        refuse(f"{what} is larger than {TEXT_LIMIT} bytes")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{what} is not JSON ({error}).") from error
    if not isinstance(value, dict):
        refuse(f"{what} is not an object {{...}}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers may choose differently between two values of one name, so there must be one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def compare(found: Mapping[str, Any], expected: Expected) -> None:
    """Names, shapes and number types (attributes ``shape`` and ``dtype`` of ``found``) must be what is expected."""
    problems = [f"'{name}' is missing" for name in expected if name not in found]
    problems += [f"'{name}' is unknown" for name in found if name not in expected]
    for name, (shape, dtype) in expected.items():
        if (one := found.get(name)) and (tuple(one.shape) != tuple(shape) or one.dtype != np.dtype(dtype)):
            problems.append(f"'{name}' is {one.shape} {one.dtype}, expected {tuple(shape)} {np.dtype(dtype)}")
    refuse_all(problems)


def refuse_all(problems: list[str]) -> None:
    """One error for everything that does not fit; none for an empty list."""
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        refuse(f"the arrays do not fit: {'; '.join(problems[:8])}{more}")


def check_expansion(unpacked: int, size: int) -> None:
    """Refuse content that is much larger than its file: a bomb. Both in bytes."""
    limit = FREE_EXPANSION + EXPANSION * size
    if unpacked > limit:
        refuse(f"it would unpack to {unpacked} bytes or more, and a file of {size} bytes may to {limit}")
