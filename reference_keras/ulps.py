"""Errors counted in units in the last place (ulp): the distance between neighbouring float32 numbers at the truth.

A correctly rounded result is at most half an ulp from the truth, whatever its size. So a histogram of ulps compares
elements of any size, where a relative error over the whole array sees the largest alone. It also shows what no
library can avoid: where large terms cancel, a small result has lost its last places.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minicnn.shapes import Array

EXACT = "both exact"
SIDES = ("minicnn", "equal", "Keras", EXACT)  # who can be closer
EDGES = (0.5, 1, 2, 4, 8, 16, 64)  # bins: at most 0.5 ulp, at most 1, ..., at most 64, more


@dataclass(frozen=True)
class UlpReport:
    """One float32 array on both sides against the float64 referee."""

    ours: tuple[int, ...]  # how many elements in each bin of EDGES; one bin more for what is beyond, NaN included
    keras: tuple[int, ...]
    ours_rms: float  # root mean square error relative to that of the referee itself
    keras_rms: float
    worst: tuple[int, ...]  # the element where minicnn is furthest from the referee
    values: tuple[float, float, float]  # there: minicnn, Keras, referee
    exact: bool = False  # every number of both sides is the float32 nearest to the referee's: a copy, or one rounding

    @property
    def closer(self) -> str:
        """Who is closer to the truth: "minicnn", "Keras", "equal", or "both exact", where nobody could be closer."""
        if self.exact:
            return EXACT
        if self.ours_rms == self.keras_rms:
            return "equal"
        return "minicnn" if self.ours_rms < self.keras_rms else "Keras"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"closer": self.closer}


def ulp_report(ours: Array, keras: Array, referee: Array) -> UlpReport:
    """Compare two float32 arrays with the float64 referee, all of one shape."""
    error = np.nan_to_num(np.abs(ours - referee), nan=np.inf)
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape)) if error.size else ()
    values = tuple(float(array[worst]) if error.size else 0.0 for array in (ours, keras, referee))
    scale = float(np.sqrt(np.mean(np.square(referee)))) or 1.0
    return UlpReport(
        ours=histogram(ours, referee),
        keras=histogram(keras, referee),
        ours_rms=_rms(ours - referee) / scale,
        keras_rms=_rms(keras - referee) / scale,
        worst=worst,
        values=(values[0], values[1], values[2]),
        exact=all(np.array_equal(array, referee.astype(np.float32)) for array in (ours, keras)),
    )


def histogram(found: Array, referee: Array) -> tuple[int, ...]:
    """How many elements lie in each bin of ``EDGES``."""
    with np.errstate(over="ignore", invalid="ignore"):
        spacing = np.spacing(np.abs(referee).astype(np.float32)).astype(np.float64)
        ulps = np.where(found == referee, 0.0, np.abs(found - referee) / spacing)
    bins = np.searchsorted(EDGES, np.nan_to_num(ulps, nan=np.inf).ravel())
    return tuple(int(count) for count in np.bincount(bins, minlength=len(EDGES) + 1))


def _rms(difference: Array) -> float:
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64)))) if difference.size else 0.0
