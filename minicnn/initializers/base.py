"""What every initializer is, and the two distributions that random ones draw from."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from minicnn.constructors import Explained
from minicnn.errors import DtypeError, OptionError, ShapeError, explain
from minicnn.options import arguments_of
from minicnn.shapes import FLOATS, Array, Shape

# The standard deviation of a standard normal distribution cut off at -2 and 2. Cutting removes the tails and with them
# some variance; dividing by this number gives it back.
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Explained, ABC):
    """Base class. A subclass draws; the checks and the bookkeeping stand here."""

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any = np.float32) -> Array:
        """A new array of ``shape`` and ``dtype`` (float32 or float64).

        Raises OptionError when ``rng`` is no ``numpy.random.Generator``, ShapeError for sizes that are no sizes, and
        DtypeError for any other dtype.
        """
        if not isinstance(rng, np.random.Generator):
            raise OptionError(
                explain("rng as a NumPy generator", repr(rng), "Make one with np.random.default_rng(seed).")
            )
        if np.dtype(dtype) not in FLOATS:
            raise DtypeError(explain("dtype float32 or float64", str(np.dtype(dtype))))
        if any(not isinstance(size, (int, np.integer)) or size < 0 for size in shape):
            raise ShapeError(explain("a shape of integers, none negative", repr(shape)))
        return self.draw(tuple(shape), rng, np.dtype(dtype))

    @abstractmethod
    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        """What ``__call__`` returns, once its arguments are known to be good."""

    def config(self) -> str | dict[str, Any]:
        """What ``get``, and Keras's ``initializers.get``, makes this initializer from again.

        A name where every argument has its default, else ``{"class_name": ..., "config": {...}}``.
        """
        arguments = arguments_of(self)
        if arguments:
            return {"class_name": type(self).__name__, "config": arguments}
        return re.sub("(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()  # HeNormal -> he_normal

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in arguments_of(self).items())
        return f"{type(self).__name__}({arguments})"


def uniform(shape: Shape, rng: np.random.Generator, dtype: Any, low: float, high: float) -> Array:
    """Uniform on [low, high)."""
    return scaled(rng.random(shape, dtype), low, high - low)


def truncated_normal(shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
    """Standard normal without what lies beyond -2 and 2: draw, then draw those again until none is left."""
    z = np.asarray(rng.standard_normal(math.prod(shape), dtype))
    outside = np.flatnonzero(np.abs(z) > 2)
    while outside.size:
        z[outside] = rng.standard_normal(outside.size, dtype)
        outside = outside[np.abs(z[outside]) > 2]
    return z.reshape(shape)


def scaled(drawn: Any, shift: float, factor: float) -> Array:
    """drawn * factor + shift, in place: the first dense layer of VGG-Face has 102 million weights."""
    values = np.asarray(drawn)
    values *= values.dtype.type(factor)
    values += values.dtype.type(shift)
    return values
