"""Activations as calls that need not be decided again: see ``calls.py``."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from numba import config

from minicnn.ops import activation_loops as loops
from minicnn.ops.calls import Into, Run
from minicnn.ops.curves import CURVES
from minicnn.ops.turns import turns
from minicnn.shapes import Array, Shape

#: from x to y, by Keras's name
LOOPS: MappingProxyType[str, turns] = MappingProxyType(
    {
        "relu": loops.relu,
        "leaky_relu": loops.leaky_relu,
        "elu": loops.elu,
        "sigmoid": loops.sigmoid,
        "tanh": loops.tanh,
        **{name: curve.value for name, curve in CURVES.items()},
    }
)


def activation_of(name: str, shape: Shape, dtype: Any, option: float | None = None) -> Into:
    """y = f(x) for C-contiguous inputs of this shape. ``option``: the slope of a leaky ReLU, alpha of an ELU."""
    loop = LOOPS[name]
    options = CURVES[name].value_options if name in CURVES else () if option is None else (option,)

    def bind(x: Array, y: Array) -> Run:
        run = loop.bound(2 * x.nbytes, x.reshape(-1), *options, y.reshape(-1))
        return np.errstate(over="ignore", invalid="ignore")(run) if config.DISABLE_JIT else run  # as in ``curves.py``

    return Into(shape, dtype, bind)
