"""Initializers whose spread fits the shape: variance = scale / n, so that signals keep their size on the way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.initializers.base import TRUNCATED_STDDEV, Initializer, scaled, truncated_normal, uniform
from minicnn.options import number
from minicnn.shapes import Array, Shape


class VarianceScaling(Initializer):
    """Variance ``scale / n``, where n is ``fans(shape)``: inputs, outputs or their mean, at least 1.

    ``mode``: "fan_in", "fan_out" or "fan_avg". ``distribution``:

        "uniform"               on [-limit, limit), limit = sqrt(3 * scale / n)
        "truncated_normal"      cut at two standard deviations, and wide enough to have that variance after the cut
        "untruncated_normal"    standard deviation sqrt(scale / n)

    "normal" is another name for "truncated_normal", as in Keras.
    """

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal") -> None:
        self.scale = number("scale", scale, above=0)
        if mode not in self.MODES:
            raise OptionError(explain(f"mode to be one of {', '.join(self.MODES)}", repr(mode)))
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in self.DISTRIBUTIONS:
            raise OptionError(explain(f"distribution to be one of {', '.join(self.DISTRIBUTIONS)}", repr(distribution)))
        self.mode, self.distribution = mode, distribution

    def variance(self, shape: Shape) -> float:
        """scale / n for a parameter of this shape."""
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        return self.scale / max(1.0, n)

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        stddev = math.sqrt(self.variance(shape))
        if self.distribution == "uniform":
            limit = math.sqrt(3 * self.variance(shape))  # uniform on [-a, a) has variance a**2 / 3
            return uniform(shape, rng, dtype, -limit, limit)
        if self.distribution == "truncated_normal":
            return scaled(truncated_normal(shape, rng, dtype), 0.0, stddev / TRUNCATED_STDDEV)
        return scaled(rng.standard_normal(shape, dtype), 0.0, stddev)


class GlorotUniform(VarianceScaling):
    """Uniform on [-limit, limit), limit = sqrt(6 / (fan_in + fan_out)): Keras's default for kernels."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_avg", "uniform")


class GlorotNormal(VarianceScaling):
    """Truncated normal with variance 2 / (fan_in + fan_out)."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal")


class HeUniform(VarianceScaling):
    """Uniform on [-limit, limit), limit = sqrt(6 / fan_in)."""

    def __init__(self) -> None:
        super().__init__(2.0, "fan_in", "uniform")


class HeNormal(VarianceScaling):
    """Truncated normal with variance 2 / fan_in: the usual choice in front of ReLU."""

    def __init__(self) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal")


class LecunUniform(VarianceScaling):
    """Uniform on [-limit, limit), limit = sqrt(3 / fan_in)."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "uniform")


class LecunNormal(VarianceScaling):
    """Truncated normal with variance 1 / fan_in."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal")


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs one output sums over, and how many outputs one input feeds.

    Dense kernels (in, out) say so directly; in kernels (KH, KW, C, F) every tap of the window counts.

    >>> fans((3, 3, 64, 128)), fans((784, 10)), fans((5,))
    ((576, 1152), (784, 10), (5, 5))
    """
    if len(shape) == 0:
        return 1, 1
    if len(shape) == 1:
        return int(shape[0]), int(shape[0])
    *window, inputs, outputs = (int(size) for size in shape)
    taps = math.prod(window)
    return taps * inputs, taps * outputs
