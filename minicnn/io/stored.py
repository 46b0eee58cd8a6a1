"""An array that lies in a file: what it is, and how to get it. Nothing is read until somebody asks.

Formats differ in where arrays lie and in which order their axes run; networks want them in one order (HWIO, in x out).
A reader of a format gives ``Stored`` arrays; a ``Place`` says under which name an array of the network lies, and how
the network's array looks with the file's axes: a view of it, into which the numbers are read. So no array is ever held
twice, whatever is transposed on the way:

    Place("fc6.weight", (lambda kernel: kernel.T,))      # stored (out, in), wanted (in, out)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minicnn.io.checks import CHUNK, Expected, refuse, refuse_all
from minicnn.shapes import Array, Shape

Arrange = Callable[[Array], Array]


class Reader(Protocol):
    """All that is needed of an open file."""

    def read(self, size: int, /) -> bytes:
        """The next ``size`` bytes, or fewer at the end."""


@dataclass(frozen=True)
class Stored:
    """``fill(view)`` reads the numbers into a writeable view of exactly this shape, without holding them twice."""

    shape: Shape
    dtype: np.dtype[Any]
    fill: Callable[[Array], None]

    def split(self, shape: Shape) -> Stored:
        """The same numbers with the axes after the first split into others; for formats with the first axis slowest."""
        return Stored(shape, self.dtype, self.fill)


def as_it_is(array: Array) -> Array:
    """The arrangement of a file that keeps arrays as the network does."""
    return array


@dataclass(frozen=True)
class Place:
    """Where an array lies: its name in the file, and the views it may have there (the first that fits counts)."""

    name: str
    arrangements: tuple[Arrange, ...] = (as_it_is,)

    def arrangement(self, shape: Shape, stored: Stored) -> Arrange | None:
        """The one that turns an array of ``shape`` into a view of the stored shape, or None. Allocates nothing."""
        empty = np.broadcast_to(np.zeros((), stored.dtype), shape)  # one zero with strides of 0
        for arrange in self.arrangements:
            if math.prod(shape) == math.prod(stored.shape) and arrange(empty).shape == stored.shape:
                return arrange
        return None


def read_stored(
    stored: Mapping[str, Stored],
    expected: Expected,
    places: Mapping[str, Place] | None = None,
    *,
    optional: Callable[[str], bool] = lambda name: False,
    allow_nan: bool = False,
) -> dict[str, Array]:
    """The arrays of a network, {address: (shape, dtype)}, from a file's. All is compared before anything is allocated.

    ``places`` says where each lies; without it, under its own address. Arrays nobody expects are an error unless
    ``optional(name)``; so are NaN and infinity unless ``allow_nan``: a network that holds one answers NaN for ever.
    Raises LoadError.
    """
    places = places or {address: Place(address) for address in expected}
    arrangements: dict[str, Arrange] = {}
    problems = []
    for address, (shape, dtype) in expected.items():
        place = places[address]
        if place.name not in stored:
            problems.append(f"'{place.name}' is missing")
            continue
        found = stored[place.name]
        arrange = place.arrangement(shape, found)
        if arrange is None or found.dtype != np.dtype(dtype):
            wanted = f"{tuple(shape)} {np.dtype(dtype)} for '{address}'"
            problems.append(f"'{place.name}' is {found.shape} {found.dtype}, expected {wanted}")
        else:
            arrangements[address] = arrange
    used = {place.name for place in places.values()}
    problems += [f"'{name}' is unknown" for name in stored if name not in used and not optional(name)]
    refuse_all(problems)
    arrays: dict[str, Array] = {}
    for address, (shape, dtype) in expected.items():
        array = arrays[address] = np.empty(shape, dtype)
        stored[places[address].name].fill(arrangements[address](array))
        if not allow_nan:
            require_finite(address, array)
    return arrays


def require_finite(name: str, array: Array) -> None:
    """Raise LoadError if a number is NaN or infinite. Looks at a piece at a time, so it needs no memory."""
    flat = array.reshape(-1)
    step = CHUNK // array.itemsize
    if not all(np.isfinite(flat[start : start + step]).all() for start in range(0, flat.size, step)):
        refuse(f"'{name}' holds NaN or infinity. Load it with allow_nan=True to look at it")


def fill_rows(file: Reader, view: Array, dtype: np.dtype[Any], name: str) -> None:
    """Fill ``view`` from where ``file`` stands: numbers of ``dtype``, the first axis slowest, a piece at a time."""
    if view.ndim == 0:
        view[...] = np.frombuffer(_exactly(file, dtype.itemsize, name), dtype)[0]
        return
    row = math.prod(view.shape[1:])
    step = max(1, CHUNK // max(1, row * dtype.itemsize))
    for start in range(0, len(view) if row else 0, step):
        rows = min(step, len(view) - start)
        piece = np.frombuffer(_exactly(file, rows * row * dtype.itemsize, name), dtype)
        view[start : start + rows] = piece.reshape(rows, *view.shape[1:])


def _exactly(file: Reader, size: int, name: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        refuse(f"'{name}' ends early")
    return data
