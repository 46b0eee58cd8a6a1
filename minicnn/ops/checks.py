"""What the front doors of the operations ask of their arrays. What passes comes back C-contiguous, fit for a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.errors import DtypeError, ShapeError, explain
from minicnn.options import number
from minicnn.shapes import Array, Shape, check_array, check_same_dtype


def check_pictures(x: Array) -> Array:
    """``x`` (N, H, W, C), float32 or float64, nothing empty. Raises ShapeError, DtypeError."""
    check_array(x, "x", 4, "(N, H, W, C)")
    return np.ascontiguousarray(x)


def check_batch(x: Array, name: str = "x", *, least: int = 1) -> Array:
    """``x`` with at least ``least`` axes, the first one the batch. Raises ShapeError, DtypeError."""
    check_array(x, name, max(least, np.ndim(x)), "(N, ...)" if least == 1 else "(N, ..., C)")
    return np.ascontiguousarray(x)


def check_bias(
    bias: Array | None, shape: Shape, kernel: Array, axes: str = "(F,)", each: str = "one per filter"
) -> None:
    """None, or an array of that ``shape`` and the dtype of ``kernel``. ``axes`` and ``each`` are for the message."""
    if bias is None:
        return
    check_array(bias, "bias", 1, axes)
    check_same_dtype(bias, kernel, "bias", "kernel")
    if bias.shape != shape:
        raise ShapeError(explain(f"bias of shape {shape}, {each}", f"shape {bias.shape}"))


def check_upstream(dy: Array, shape: Shape, dtype: Any = None) -> Array:
    """``dy``, the gradient with respect to ``y``: it has the shape of ``y``, and its dtype where that is remembered."""
    check_array(dy, "dy", len(shape), f"of the shape of y, {shape}")
    if dy.shape != shape:
        raise ShapeError(explain(f"dy of the shape of y, {shape}", f"shape {dy.shape}"))
    if dtype is not None and dy.dtype != dtype:
        raise DtypeError(explain(f"dy of the dtype of x, {dtype}", f"dtype {dy.dtype}", f"Use dy.astype(np.{dtype})."))
    return np.ascontiguousarray(dy)


def check_epsilon(epsilon: float) -> float:
    """A number above 0, as a float. Raises OptionError."""
    return number("epsilon", epsilon, above=0, fix="It keeps a constant channel from dividing by zero.")
