"""Gradients that are not written out: the kernel's of a dense layer, kept as the two factors it is a product of.

    g[i, u] = sum over n of  x[n, i] * dy[n, u]                 g = x^T @ dy, (I, U) from (N, I) and (N, U)

In VGG-Face's fc6, g has 103 million numbers, 411 MB: as much as the kernel, written once and read once only to be
subtracted from it. Its factors have 25088 + 4096 numbers per sample. So a training step passes the factors on, and the
optimiser multiplies them out block by block, each block just before it is needed, while it fits a cache. That spares
the memory, and two of the four passes over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.ops.gemm import pack, tiles_or_edges
from minicnn.ops.jit import njit, prange
from minicnn.ops.micro_kernel import ROWS, parts
from minicnn.ops.simd import pointer
from minicnn.ops.turns import turns
from minicnn.shapes import Array, Shape

TERMS = 64  # samples that are added up at once: short sums round less
SHARES = 16  # blocks of a small gradient, about
BLOCK = 1 << 16  # numbers of g that are computed at a time: with as many of the parameter, they fit a core's cache


@dataclass(frozen=True, eq=False)
class OuterProducts:
    """The sum of the outer products of the rows of ``x`` (N, I) and ``dy`` (N, U), C-contiguous and of one dtype."""

    x: Array
    dy: Array

    @property
    def shape(self) -> Shape:
        return self.x.shape[1], self.dy.shape[1]

    @property
    def dtype(self) -> Any:
        return self.x.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def rows(self, start: int, stop: int) -> Array:
        """g[start:stop], written out."""
        g = np.empty((stop - start, self.dy.shape[1]), self.dtype)
        _rows(g.nbytes * (1 + len(self.x) // ROWS), self.x, pack(self.dy), start, block_rows(self.shape), g)
        return g

    def array(self) -> Array:
        """g, written out."""
        return self.rows(0, self.shape[0])

    def __add__(self, other: OuterProducts | Array) -> OuterProducts | Array:
        """A layer that stands in two places: two sums are one longer sum. With an array, it is written out."""
        if isinstance(other, OuterProducts):
            return OuterProducts(np.concatenate([self.x, other.x]), np.concatenate([self.dy, other.dy]))
        total: Array = self.array() + other
        return total

    __radd__ = __add__
    __array_ufunc__ = None  # array + factors is left to the line above


def block_rows(shape: Shape) -> int:
    """How many rows of a gradient of this shape make a block: as near to BLOCK numbers as whole rows come, or fewer,
    so that cores can share a small gradient evenly; but enough for a register tile."""
    return max(1, min(BLOCK // shape[1], max(ROWS, -(-shape[0] // SHARES))))


@turns
def _rows(x: Array, panels: Array, start: int, together: int, g: Array) -> None:
    """Rows ``start`` and following of the sum into ``g``; ``together`` rows per turn."""
    rows, U = g.shape
    for block in prange((rows + together - 1) // together):
        first = block * together
        outer_products(x, panels, start + first, min(together, rows - first), U, g.reshape(-1), first * U)


@njit
def outer_products(x: Array, panels: Array, start: int, rows: int, U: int, g: Array, at: int) -> None:
    """g[at ...] = rows ``start`` to ``start + rows`` of x^T @ dy, for dy as ``gemm.pack`` left it."""
    N, I = x.shape  # noqa: E741  (sizes are upper case)
    P, _, W = panels.shape
    spare, nothing = np.empty((ROWS, W), x.dtype), np.zeros(W, x.dtype)
    floor = x.dtype.type(-np.inf)
    for n in range(0, N, TERMS):
        table = parts(min(TERMS, N - n), TERMS, I, W)
        for p in range(P):
            here = at + p * W
            before, before_row = (pointer(nothing, 0), 0) if n == 0 else (pointer(g, here), U)
            tiles_or_edges(
                rows,
                min(W, U - p * W),
                pointer(x, n * I + start),
                1,
                I,
                pointer(panels, (p * N + n) * W),
                pointer(table, 0),
                1,
                before,
                before_row,
                pointer(g, here),
                U,
                floor,
                spare,
            )
