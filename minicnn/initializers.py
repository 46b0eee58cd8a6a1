"""Initializers: the numbers a network starts from.

Before the first step of training, every parameter needs a value. Biases may start at zero. Kernels may not: units that
start equal receive equal gradients and stay equal for ever. So kernels start random, and the only question is how
large. Too large, and the activations grow from layer to layer; too small, and they fade. A sum of ``fan_in``
independent terms has ``fan_in`` times the variance of one, so kernels drawn with

    variance = scale / n            n = fan_in, fan_out, or their mean

keep the size of the activations (n = fan_in), of the gradients (n = fan_out), or half of each. That is
``VarianceScaling``; Glorot, He and LeCun are three choices of ``scale`` and ``n``:

    lecun   scale 1, fan_in      LeCun et al. 1998, "Efficient BackProp"
    glorot  scale 1, fan_avg     Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward..."
    he      scale 2, fan_in      He et al. 2015, "Delving deep into rectifiers": ReLU zeroes half, the 2 makes up for it

An initializer is called with ``(shape, rng, dtype)`` and returns a new array. Chance comes from ``rng`` alone, so one
seed gives one network. The distributions are Keras's; the drawn numbers are not, because the generators differ.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.errors import DtypeError, OptionError, ShapeError, explain
from minicnn.options import arguments_of, from_identifier, number
from minicnn.shapes import FLOATS, Array, Shape

# The standard deviation of a standard normal distribution cut off at -2 and 2. Cutting removes the tails and with them
# some variance; dividing by this number gives it back.
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(ABC):
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
        return next((name for name, kind in INITIALIZERS.items() if kind is type(self)), type(self).__name__)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in arguments_of(self).items())
        return f"{type(self).__name__}({arguments})"


# -- the same number everywhere ----------------------------------------------------------------------------------------


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


# -- a given spread ----------------------------------------------------------------------------------------------------


class RandomUniform(Initializer):
    """Uniform on [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05) -> None:
        self.minval, self.maxval = number("minval", minval), number("maxval", maxval)
        if self.minval > self.maxval:
            raise OptionError(explain("minval <= maxval", f"minval={minval}, maxval={maxval}"))

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return _uniform(shape, rng, dtype, self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal with ``mean`` and standard deviation ``stddev``."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05) -> None:
        self.mean, self.stddev = number("mean", mean), number("stddev", stddev, least=0.0)

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return _scaled(rng.standard_normal(shape, dtype), self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normal, but what falls further than two ``stddev`` from ``mean`` is drawn again.

    No single weight starts out extreme. The standard deviation of what is left is 0.8796 * stddev.
    """

    def draw(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return _scaled(_truncated_normal(shape, rng, dtype), self.mean, self.stddev)


# -- a spread that fits the shape --------------------------------------------------------------------------------------


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
            return _uniform(shape, rng, dtype, -limit, limit)
        if self.distribution == "truncated_normal":
            return _scaled(_truncated_normal(shape, rng, dtype), 0.0, stddev / TRUNCATED_STDDEV)
        return _scaled(rng.standard_normal(shape, dtype), 0.0, stddev)


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


def _uniform(shape: Shape, rng: np.random.Generator, dtype: Any, low: float, high: float) -> Array:
    return _scaled(rng.random(shape, dtype), low, high - low)


def _truncated_normal(shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
    """Standard normal without what lies beyond -2 and 2: draw, then draw those again until none is left."""
    z = np.asarray(rng.standard_normal(math.prod(shape), dtype))
    outside = np.flatnonzero(np.abs(z) > 2)
    while outside.size:
        z[outside] = rng.standard_normal(outside.size, dtype)
        outside = outside[np.abs(z[outside]) > 2]
    return z.reshape(shape)


def _scaled(drawn: Any, shift: float, factor: float) -> Array:
    """drawn * factor + shift, in place: the first dense layer of VGG-Face has 102 million weights."""
    values = np.asarray(drawn)
    values *= values.dtype.type(factor)
    values += values.dtype.type(shift)
    return values


# -- by name -----------------------------------------------------------------------------------------------------------

INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_uniform": RandomUniform,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
}


def get(identifier: object) -> Initializer:
    """An initializer from its Keras name ("he_normal" or "HeNormal"), its ``config()``, or itself.

    A Keras config may carry a ``seed``; it is left out, because here the caller's ``rng`` decides. Raises OptionError,
    listing the names, for anything unknown.
    """
    if isinstance(identifier, Mapping) and isinstance(identifier.get("config"), Mapping):
        # Keras writes a seed, and input_axes=None and output_axes=None, into every config.
        config = {key: value for key, value in identifier["config"].items() if key != "seed" and value is not None}
        identifier = {**identifier, "config": config}
    return from_identifier("an initializer", identifier, Initializer, INITIALIZERS)
