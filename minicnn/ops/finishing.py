"""What is done with an operation's results while they are in the cache, instead of in passes of their own.

Three things, in this order, each of them optional: normalise every channel (``normalising``), cut off at 0, and keep
the largest of every 2x2 results side by side (``max_pooling``). The arithmetic is that of the operations with these
names, and so are the bits: see ``minicnn.fusion``, which decides. Winograd does all three in the cache, the direct
algorithm the first two; what an algorithm does not do on its way, ``Finish.apply`` does afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.activation_loops import relu_backward
from minicnn.ops.max_pooling import HALVING, max_pool2d_inference
from minicnn.ops.normalising import normalise
from minicnn.shapes import Array, Pair, check_array, check_same_dtype


class Finish(NamedTuple):
    """``factors`` (3, C) to normalise with, or None; ``relu``: cut off at 0; ``halve``: 2x2 windows of max pooling."""

    factors: Array | None = None
    relu: bool = False
    halve: bool = False

    def size(self, rows: int, columns: int) -> Pair:
        """What is left of so many rows and columns of results. Raises ShapeError when there is nothing to halve."""
        return HALVING.output_size(rows, columns) if self.halve else (rows, columns)

    def check(self, kernel: Array) -> None:
        """Raise ShapeError or DtypeError for factors that do not fit a kernel (..., C)."""
        if self.factors is not None:
            check_array(self.factors, "factors", 2, "(3, C)")
            check_same_dtype(self.factors, kernel, "factors", "kernel")
            if self.factors.shape != (3, kernel.shape[-1]) or not self.factors.flags.c_contiguous:
                received = f"shape {self.factors.shape}, strides {self.factors.strides}"
                raise ShapeError(explain(f"factors of shape (3, {kernel.shape[-1]}), C-contiguous", received))

    def apply(self, y: Array) -> Array:
        """All of it, one after the other, to C-contiguous results (N, H, W, C). In place, but for halving."""
        if self.factors is not None:
            flat = y.reshape(-1, y.shape[-1])
            normalise(2 * y.nbytes, flat, self.factors, y.dtype.type(-np.inf), flat)
        if self.relu:
            y[y <= 0] = 0  # -0.0 too, which np.maximum may keep
        return max_pool2d_inference(y, HALVING) if self.halve else y


PLAIN = Finish()


def gated(dx: Array, gate: Array | None) -> Array:
    """dx where ``gate`` > 0, else 0, in place: the backward pass of the ReLU that made ``gate``. None: dx as it is."""
    if gate is not None:
        relu_backward(2 * dx.nbytes, dx.reshape(-1), np.ascontiguousarray(gate).reshape(-1), dx.reshape(-1))
    return dx
