"""Formulas in plain NumPy, computed in float64 a piece at a time, and rounded once.

A piece that fits into the processor's cache is computed there, whatever passes the formula takes; a whole array goes
through memory once per pass. So float64 costs little here, and the result is nearly always the nearest number there is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.ops.memory import empty
from minicnn.shapes import Array

PIECE = 1 << 13  # numbers: 64 KB in float64


def by_pieces(formula: Callable[..., Array], *arrays: Array) -> Array:
    """``formula(*arrays)`` for arrays (N, ...) of one shape and type, which it must compute for each of the N alone.

    The formula is given float64; what it returns has the arrays' shape.
    """
    first = arrays[0]
    y = empty(first.shape, first.dtype)
    step = max(1, PIECE * len(first) // max(1, first.size))
    for start in range(0, len(first), step):
        piece = slice(start, start + step)
        y[piece] = formula(*(array[piece].astype(np.float64, copy=False) for array in arrays))
    return y
