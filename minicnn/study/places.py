"""Places in arrays, as tables: a row for each place, a column for each axis, the batch included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.shapes import Array, Shape
from minicnn.study.explanation import Index


def taken(array: Array, positions: Array) -> Array:
    """(T, R) places -> the T numbers there, as float64."""
    found: Array = array[tuple(positions.T)].astype(np.float64)
    return found


def at(*columns: Any) -> Array:
    """Columns of places, each an array (T,) or one number for all -> (T, number of columns)."""
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(column, np.intp)) for column in columns)), axis=1)


def combinations(*tables: Array | Sequence[int]) -> tuple[Array, ...]:
    """All combinations of the rows of several tables, in reading order, as columns.

    Tables (K1, R1), (K2, R2), ... (a list of numbers is a table with one column) -> R1 + R2 + ... columns, each
    (K1 * K2 * ...,).
    """
    wide = [table if table.ndim == 2 else table[:, None] for table in (np.asarray(each, np.intp) for each in tables)]
    picks = np.indices([len(table) for table in wide]).reshape(len(wide), -1)
    return tuple(column[pick] for table, pick in zip(wide, picks, strict=True) for column in table.T)


def place(index: Index) -> Array:
    """One index as a table of places with one row."""
    return np.asarray(index, np.intp)[None]


def checked(shape: Shape, index: Any, what: str) -> Index:
    """``index`` as a tuple of integers inside ``shape``. Raises OptionError that says the shape."""
    several = tuple(index) if isinstance(index, (list, tuple)) else (index,)
    numbers = all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in several)
    if not numbers or len(several) != len(shape) or not all(0 <= i < n for i, n in zip(several, shape, strict=True)):
        last = ",".join(str(size - 1) for size in shape)
        raise OptionError(explain(f"an index into {what}, of shape {shape}", f"{index}", f"The last one is {last}."))
    return tuple(map(int, several))
