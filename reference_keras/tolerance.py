"""How far may two correct float32 results differ? The rule, in one place.

Two libraries add the same numbers in different orders and round differently, so "equal to Keras within 1e-5" mostly
measures Keras's own rounding. The question asked here is: who is closer to the truth? The truth R is the same
computation in float64 on the same float32 input. With u = 2**-24, half the distance from 1 to the next float32, and
E(f) = max|f - R| / max|R|:

    every layer and algorithm        E(ours) <= max(2 * E(keras), 8 * u)
    Winograd F(6x6,3x3), F(4x4,5x5)  E(ours) <= max(4 * E(keras), 32 * u)
    F(4x4,3x3) at real points        E(ours) <= max(8 * E(keras), 128 * u)
    a whole network                  rms(ours - R) <= 1.5 * rms(keras - R); 2 * with F(4x4) at real points in it;
                                     f is what goes into the final Softmax

Winograd with larger tiles trades digits for fewer multiplications, hence lines of its own. And both sides are compared
in float64, where rounding cannot excuse a difference: a wrong index, epsilon or slope shows there, far above
``AGREE_FLOAT64``.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.checking.distance import max_error
from minicnn.shapes import Array

__all__ = ["AGREE_FLOAT64", "LARGE_TILES", "U", "float64_limit", "layer_limit", "max_error", "network_limit", "rms"]

U = 2.0**-24
AGREE_FLOAT64 = 1e-11
#: TensorFlow rounds a slope, and the square root of 1/2 in gelu, to float32 before it computes, for float64 data too
FLOAT32_INSIDE = frozenset({"LeakyReLU", "leaky_relu", "gelu"})
FLOAT32_ALONE = frozenset({"bilinear"})  # it blends pictures in float32, whatever the data are
LIMITS = {  # of algorithms: times E(keras), and at least
    "winograd_6x6": (4.0, 32 * U),
    "winograd_5x5_4x4": (4.0, 32 * U),
    "winograd": (8.0, 128 * U),
}
LARGE_TILES = frozenset({"winograd"})  # algorithms that networks may round worse with


def rms(difference: Array) -> float:
    """The square root of the mean square."""
    return math.sqrt(float(np.mean(np.square(difference, dtype=np.float64))))


def float64_limit(kind: str, *options: str) -> float:
    """How far the two sides may differ when both compute in float64, for a layer of this kind with these options."""
    if FLOAT32_ALONE & {kind, *options}:
        return 8 * U  # what the rule for float32 allows
    return U if FLOAT32_INSIDE & {kind, *options} else AGREE_FLOAT64


def layer_limit(keras_error: float, *algorithms: str | None) -> float:
    """What E(ours) may be, given E(keras) and the algorithm that ran; if there were several, with the widest limit."""
    limits = [LIMITS.get(algorithm or "", (2.0, 8 * U)) for algorithm in algorithms or (None,)]
    return max(max(times * keras_error, least) for times, least in limits)


def network_limit(keras_rms: float, referee_rms: float, *, large_tiles: bool) -> float:
    """What rms(ours - R) may be. Never less than U * rms(R), one rounding of the output: nobody can do better."""
    return max((2.0 if large_tiles else 1.5) * keras_rms, U * referee_rms)
