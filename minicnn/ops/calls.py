"""Computing the same thing again for other numbers: everything is decided, and only loops are left to run.

Before a compiled loop runs, Python has to find out which one it is, where its results go, how its tiles are walked
through, and which scratch memory it may use. For one small picture that takes as long as the loops, and comes out the
same each time. So it is done in two parts:

    call = Into(shape, dtype, bind)        once for inputs of one shape
    y = call(x)                            everything in one go: memory for y, then ``bind(x, y)``, then that
    run = call.bind(x, y)                  once for two places in memory; after that, whenever x has new numbers,
    run()                                  only the loops: y has the new results
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.ops.memory import empty
from minicnn.shapes import Array, Shape

how_it_lies = operator.attrgetter("__class__", "shape", "strides", "dtype")  # an array, in memory

Run = Callable[[], object]
Call = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Into:
    """A call for C-contiguous inputs of one shape and dtype, whose results have this ``shape`` and ``dtype``.

    What ``bind`` returns may use ``scratch`` memory of the thread that called it, and share the work among as many
    cores as there were: it is for the same thread and the same number of cores.
    """

    shape: Shape
    dtype: Any
    bind: Callable[[Array, Array], Run]
    keeps: int = 0  # bytes that what is bound has beside x and y

    @property
    def nbytes(self) -> int:
        """Of the results."""
        return math.prod(self.shape) * int(np.dtype(self.dtype).itemsize)

    def __call__(self, x: Array) -> Array:
        y = empty(self.shape, self.dtype)
        self.bind(x, y)()
        return y
