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

from collections.abc import Mapping

from minicnn.initializers.base import TRUNCATED_STDDEV, Initializer
from minicnn.initializers.given import Constant, Ones, RandomNormal, RandomUniform, TruncatedNormal, Zeros
from minicnn.initializers.variance_scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    fans,
)
from minicnn.options import from_identifier

__all__ = [
    "INITIALIZERS",
    "TRUNCATED_STDDEV",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "fans",
    "get",
]

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
