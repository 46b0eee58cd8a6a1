"""What a layer makes, cut into pictures: a map per channel, or all numbers of a vector in one.

    (H, W, C)   C planes of H x W                         number [h, w, c] is pixel (h, w) of plane c
    (K,)        one plane, its numbers in reading order   number [k] is pixel (k // columns, k % columns)

So a dense layer can be looked at, enlarged and clicked like a convolution. The last row of a vector's plane is filled
up with zeros that stand for nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.shapes import Array, Shape


@dataclass(frozen=True)
class Planes:
    """How numbers of ``shape`` (no batch axis) become ``count`` pictures of ``rows`` x ``columns``."""

    shape: Shape
    count: int
    rows: int
    columns: int

    @classmethod
    def of(cls, shape: Shape) -> Planes:
        """Raises ShapeError for numbers that are neither maps (H, W, C) nor a vector (K,)."""
        if len(shape) == 3:
            return cls(shape, shape[2], shape[0], shape[1])
        if len(shape) == 1:
            columns = math.ceil(math.sqrt(shape[0]))
            return cls(shape, 1, math.ceil(shape[0] / columns), columns)
        fix = "Look at another layer: pictures can be made of these two."
        raise ShapeError(explain("a layer that makes maps (H, W, C) or a vector (K,)", f"{shape}", fix))

    @property
    def is_vector(self) -> bool:
        return len(self.shape) == 1

    def plane(self, values: Array, number: int) -> Array:
        """Picture ``number`` of ``values`` (no batch axis): (rows, columns). Raises OptionError beyond the last."""
        if not 0 <= number < self.count:
            raise OptionError(explain(f"a map from 0 to {self.count - 1}", str(number)))
        if not self.is_vector:
            return np.ascontiguousarray(values[:, :, number])
        flat = np.zeros(self.rows * self.columns, values.dtype)
        flat[: values.size] = values
        return flat.reshape(self.rows, self.columns)  # (K,) -> (rows, columns), in reading order

    def index(self, row: int, column: int, number: int) -> tuple[int, ...]:
        """Where the number under a pixel stands in the layer's output. Raises OptionError beyond its edges."""
        inside = 0 <= row < self.rows and 0 <= column < self.columns and 0 <= number < self.count
        k = row * self.columns + column
        if not inside or (self.is_vector and k >= self.shape[0]):
            expected = f"a row from 0 to {self.rows - 1}, a column to {self.columns - 1}, a map to {self.count - 1}"
            raise OptionError(explain(expected, f"row {row}, column {column}, map {number}"))
        return (k,) if self.is_vector else (row, column, number)
