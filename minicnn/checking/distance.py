"""How far an array is from another one, as one number."""

from __future__ import annotations

import math

import numpy as np

from minicnn.shapes import Array


def max_error(found: Array, referee: Array) -> float:
    """E = max|found - referee| / max|referee|; absolute where the referee is all zero.

    NaN or inf must stand in the same places on both sides (then they count as equal); otherwise the error is inf.
    """
    if found.shape != referee.shape:
        return math.inf
    finite = np.isfinite(referee)
    if not finite.all():
        if not np.array_equal(found[~finite], referee[~finite], equal_nan=True):
            return math.inf
        found, referee = found[finite], referee[finite]
    if found.size == 0:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        worst = float(np.abs(found - referee).max())
    largest = float(np.abs(referee).max())
    return worst / (largest if largest > 0 else 1.0) if math.isfinite(worst) else math.inf
