"""Initializers of a given size, whatever the shape: one number everywhere, or a given spread."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.initializers.base import Initializer, scaled, truncated_normal, uniform
from minicnn.options import number
from minicnn.shapes import Array, Shape


class Constant(Initializer):
    """Every element is ``value``."""

    def __init__(self, value: float) -> None:
        self.value = number("value", value)

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return np.full(shape, self.value, dtype)


class Zeros(Constant):
    """Every element is 0: what biases start from."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """Every element is 1: what the scale of a normalisation starts from."""

    def __init__(self) -> None:
        super().__init__(1.0)


class RandomUniform(Initializer):
    """Uniform on [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05) -> None:
        self.minval, self.maxval = number("minval", minval), number("maxval", maxval)
        if self.minval > self.maxval:
            raise OptionError(explain("minval <= maxval", f"minval={minval}, maxval={maxval}"))

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return uniform(shape, rng, dtype, self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal with ``mean`` and standard deviation ``stddev``."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05) -> None:
        self.mean, self.stddev = number("mean", mean), number("stddev", stddev, least=0.0)

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return scaled(rng.standard_normal(shape, dtype), self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normal, but what falls further than two ``stddev`` from ``mean`` is drawn again.

    No single weight starts out extreme. The standard deviation of what is left is 0.8796 * stddev.
    """

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return scaled(truncated_normal(shape, rng, dtype), self.mean, self.stddev)
