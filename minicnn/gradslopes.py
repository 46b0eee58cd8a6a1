"""Measuring a derivative: the slope of a function along one line, from four values, in float64.

Push one number of the input by +h and by -h and see how far the output moves:

    C(h) = (f(x + h) - f(x - h)) / 2h  =  f'(x) + h**2/6 f'''(x) + ...         central difference

**Why central.** The one-sided (f(x + h) - f(x)) / h is wrong by h/2 f''; in the central form the even terms cancel, and
the error falls with h**2. **Which step.** A small h does not help for ever: f is known to eps = 2.2e-16 of itself, so
C(h) carries a rounding error of about eps |f| / h. Together O(h**2) + O(eps/h), smallest near h = eps**(1/3) = 6e-6,
where about ten digits are right. Two step sizes do better: (4 C(h) - C(2h)) / 3 cancels the h**2 term as well
(Richardson), the best step grows to about 1e-4, and twelve digits are right. In float32 eps is 1.2e-7 and two or three
digits remain, which cannot tell a wrong gradient from a rounded one. Hence float64 only.

**Kinks.** ReLU at 0 and a max-pool with two equal maxima have no derivative, and a difference quotient across such a
place is not one. Two quantities vanish with h where f is smooth, and stay where a kink lies between x - 2h and x + 2h:

    C(2h) - C(h)                                  smooth: h**2/2 f'''
    D(2h) - 2 D(h)                                smooth: O(h**3) f''''.  D = right slope minus left slope

A slope that fails this test is measured again with a smaller step, which leaves a nearby kink outside. What still fails
is a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn.errors import DtypeError, explain
from minicnn.layers.base import Tensors
from minicnn.shapes import Array

STEPS = (1e-4, 1e-5, 1e-6)  # for numbers of order one; the smaller where a larger one meets a kink or sharp bend
KINK = 1e-6  # slopes that disagree by more than this share of the gradient are no rounding
EPS = float(np.finfo(np.float64).eps)


class Slope(NamedTuple):
    """A measured derivative, and how far it is to be doubted."""

    numeric: float  # (4 C(h) - C(2h)) / 3
    doubt: float  # 0 where f is smooth; the size of the jump in slope where a kink is near


def measure_slope(evaluate: Callable[[], Any], dy: Any, y: Any, move: Callable[[float], None], h: float) -> Slope:
    """Slope of sum(dy * y) along the line on which ``move`` moves, from four evaluations. Afterwards it is back at 0.

    Outputs are subtracted before they are summed: those that the entry does not touch cancel exactly, instead of
    burying the difference under their own rounding.
    """

    def at(offset: float) -> Any:
        move(offset)
        return evaluate()

    try:
        right, left, far_right, far_left = at(h), at(-h), at(2 * h), at(-2 * h)
    finally:
        move(0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        near = float(np.sum(dy * (right - left))) / (2 * h)
        far = float(np.sum(dy * (far_right - far_left))) / (4 * h)
        bend_near = float(np.sum(dy * ((right - y) - (y - left)))) / h
        bend_far = float(np.sum(dy * ((far_right - y) - (y - far_left)))) / (2 * h)
        return Slope((4 * near - far) / 3, max(abs(far - near), abs(bend_far - 2 * bend_near)))


def is_smooth(slope: Slope, scale: float) -> bool:
    """Whether no kink is near, as far as derivatives of the size ``scale`` can tell."""
    return slope.doubt <= KINK * max(abs(slope.numeric), scale)


def copied(x: Tensors) -> Tensors:
    """Arrays that the check may move, one or a list of them."""
    return [float64_array(part, "x").copy() for part in x] if isinstance(x, list) else float64_array(x, "x").copy()


def named_inputs(x: Tensors, dx: Any) -> dict[str, tuple[Array, Any]]:
    """{"x": (x, dx)}; of several inputs {"x0": ..., "x1": ...}."""
    if not isinstance(x, list):
        return {"x": (x, dx)}
    return {f"x{i}": pair for i, pair in enumerate(zip(x, dx, strict=True))}


def float64_array(array: Array, name: str) -> Array:
    """``array`` itself, if it is one of float64. Raises DtypeError."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        received = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        fix = "Build with dtype=np.float64 and convert the input: float32 keeps too few digits to judge a gradient."
        raise DtypeError(explain(f"{name} as a float64 array", received, fix))
    return array
