"""What the front doors of the operations ask of their arrays, beyond ``shapes.check_array``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.errors import DtypeError, ShapeError, explain
from minicnn.shapes import Array, Shape, check_array


def as_batch(x: Array, name: str = "x", *, least: int = 1) -> Array:
    """``x``, C-contiguous, once it is known to be an array of at least ``least`` axes, the first one the batch."""
    if np.ndim(x) < least:
        axes = ", ".join(["N", *["..."] * (least - 1)])
        raise ShapeError(
            explain(f"{name} with at least {least} axes ({axes})", f"shape {np.shape(x)}", "Add a batch axis: x[None].")
        )
    check_array(x, name, np.ndim(x), "(N, ...)")
    return np.ascontiguousarray(x)


def as_upstream(dy: Array, shape: Shape, dtype: Any) -> Array:
    """``dy``, C-contiguous, once it is known to have what the gradient of ``y`` must have: the shape and dtype of ``y``."""
    check_array(dy, "dy", len(shape), f"of the shape of y, {shape}")
    if dy.shape != shape:
        raise ShapeError(explain(f"dy of the shape of y, {shape}", f"shape {dy.shape}"))
    if dy.dtype != dtype:
        raise DtypeError(explain(f"dy of the dtype of x, {dtype}", f"dtype {dy.dtype}", f"Use dy.astype(np.{dtype})."))
    return np.ascontiguousarray(dy)
