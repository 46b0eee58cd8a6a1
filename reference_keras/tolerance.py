"""How far may two correct float32 results differ? The rule, in one place.

Two libraries add the same numbers in different orders and round differently, so "equal to Keras within 1e-5" mostly
measures Keras's own rounding. The question asked here is: who is closer to the truth? The truth R is the same
computation in float64 on the same float32 input. With u = 2**-24, half the distance from 1 to the next float32, and
E(f) = max|f - R| / max|R|:

    every layer and algorithm        E(ours) <= max(2 * E(keras), 8 * u)
    Winograd F(4x4,3x3)              E(ours) <= max(8 * E(keras), 128 * u)
    a whole network                  rms(ours - R) <= 1.5 * rms(keras - R); 2 * with F(4x4) somewhere in it;
                                     f is what goes into the final Softmax

Winograd with larger tiles trades digits for fewer multiplications, hence its own line. And both sides are compared in
float64, where rounding cannot excuse a difference: a wrong index, epsilon or slope shows there, far above
``AGREE_FLOAT64``.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.shapes import Array

U = 2.0**-24
AGREE_FLOAT64 = 1e-11
FLOAT32_INSIDE = frozenset({"LeakyReLU", "leaky_relu"})  # TensorFlow keeps the slope in float32 for float64 data too
FLOAT32_ALONE = frozenset({"bilinear"})  # it blends pictures in float32, whatever the data are
LARGE_TILES = frozenset({"winograd"})  # algorithms with transforms of F(4x4,3x3) or larger


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
    worst = float(np.abs(found - referee).max())
    largest = float(np.abs(referee).max())
    return worst / (largest if largest > 0 else 1.0) if math.isfinite(worst) else math.inf


def rms(difference: Array) -> float:
    """The square root of the mean square."""
    return math.sqrt(float(np.mean(np.square(difference, dtype=np.float64))))


def float64_limit(kind: str, *options: str) -> float:
    """How far the two sides may differ when both compute in float64, for a layer of this kind with these options."""
    if FLOAT32_ALONE & {kind, *options}:
        return 8 * U  # what the rule for float32 allows
    return U if FLOAT32_INSIDE & {kind, *options} else AGREE_FLOAT64


def layer_limit(keras_error: float, algorithm: str | None = None) -> float:
    """What E(ours) may be, given E(keras) and the algorithm that ran."""
    if algorithm in LARGE_TILES:
        return max(8 * keras_error, 128 * U)
    return max(2 * keras_error, 8 * U)


def network_limit(keras_rms: float, referee_rms: float, *, large_tiles: bool) -> float:
    """What rms(ours - R) may be. Never less than U * rms(R), one rounding of the output: nobody can do better."""
    return max((2.0 if large_tiles else 1.5) * keras_rms, U * referee_rms)
