"""3x3 convolution with fewer multiplications: Winograd's minimal filtering, F(m x m, 3x3).

The idea, in one dimension. Two neighbouring outputs of a 3-tap filter, computed directly, cost 6 multiplications.
Seen as polynomials, input tile and filter are multiplied; a product of polynomials is known once it is known at
enough points; and *at a point* it is a single multiplication. m outputs need n = m + 2 points: 4 multiplications
instead of 6 for m = 2. The way to the points and back is three small constant matrices, and in two dimensions they
are applied to rows and then to columns:

    y = A^T [ (G k G^T) * (B^T d B) ] A        d: an n x n tile of the input, y: its m x m outputs, *: entrywise

A whole layer then becomes: transform the tiles, transform the kernels, and for each of the n*n entries multiply two
matrices,

    V[p] (tiles, C)  @  U[p] (C, F)   ->  M[p] (tiles, F)

and transform back. F(2x2,3x3) needs 16 multiplications for 4 outputs, 36 directly: 2.25 times fewer. F(4x4,3x3): 36
for 16, a quarter. Backward, the formula is linear in d and in k, so its gradients are the transposed matrices in
reverse order:

    dk = G^T [ sum over tiles of  V[p]^T @ (A dy A^T)[p] ] G

and dx is a convolution of dy with the kernel turned by 180 degrees, which is the forward pass again.

Cost: N*OH*OW*C*F * n*n / (m*m) multiplications, plus transforms that grow with C + F instead of C * F: it wins when
both are large.

Limits: 3x3 kernels, stride 1, no dilation, no groups. Larger tiles round worse, because their matrices contain larger
numbers; that is why F(4x4) has a wider tolerance, and why few-channel layers are left to other algorithms.

Papers: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks"; points of evaluation: Barabasz et al. 2020, "Error Analysis and
Improving the Accuracy of Winograd Convolution".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from minicnn.ops.jit import njit_parallel, prange
from minicnn.shapes import Array, Pads, Shape, Window

TAPS = 3
BLOCK_BYTES = 16 * 2**20  # transformed tiles held at once, input and output side together


def cook_toom(outputs: int, points: Sequence[Fraction]) -> tuple[Array, Array, Array]:
    """The matrices (A, B, G) of F(outputs, 3) that evaluate at ``points`` and at infinity, in float64.

    Built by the Cook-Toom construction: A and G hold powers of the points; row i of B^T holds the polynomial that
    vanishes at all points but the i-th, and its last row the one that vanishes at all of them. Exact fractions,
    rounded once at the end.
    """
    if len(points) != outputs + TAPS - 2:
        raise ValueError(f"F({outputs},{TAPS}) needs {outputs + TAPS - 2} finite points, got {len(points)}")
    infinity = [Fraction(0)]
    powers = [[point**k for k in range(outputs)] for point in points]
    a = [*powers, infinity * (outputs - 1) + [Fraction(1)]]
    b_rows, g = [], []
    for point in points:
        others = [other for other in points if other != point]
        scale = math.prod((point - other for other in others), start=Fraction(1))
        g.append([point**k / scale for k in range(TAPS)])
        b_rows.append([*_with_roots(others), Fraction(0)])
    g.append(infinity * (TAPS - 1) + [Fraction(1)])
    b_rows.append(_with_roots(points))
    return np.array(a, float), np.array(b_rows, float).T.copy(), np.array(g, float)


def _with_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, lowest power first, of the product of (x - root)."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *polynomial]
        polynomial = [s - root * p for s, p in zip(shifted, [*polynomial, Fraction(0)], strict=True)]
    return polynomial


class Winograd:
    """F(m x m, 3x3) as an algorithm of ``minicnn.ops.conv2d``."""

    def __init__(self, outputs: int, points: Sequence[Fraction]) -> None:
        self.m = outputs
        self.n = outputs + TAPS - 1
        self.A, self.B, self.G = cook_toom(outputs, points)  # (n, m), (n, n), (n, 3)

    def unsupported(self, kernel_shape: Shape, window: Window, groups: int) -> str | None:
        if kernel_shape[:2] != (TAPS, TAPS):
            return f"a {kernel_shape[0]}x{kernel_shape[1]} kernel (Winograd here is for 3x3)"
        if window.strides != (1, 1) or window.dilation != (1, 1) or groups != 1:
            return f"strides={window.strides}, dilation_rate={window.dilation}, groups={groups} (Winograd needs all 1)"
        if not isinstance(window.padding, str) and max(max(pad) for pad in window.padding) >= TAPS:
            return f"padding={window.padding} (Winograd takes at most 2 on a side)"
        return None

    def forward(self, x: Array, kernel: Array, bias: Array | None, window: Window, groups: int) -> Array:
        """(N, H, W, C), (3, 3, C, F) -> (N, OH, OW, F)"""
        filters = kernel.shape[3]
        y = np.empty((len(x), *window.output_size(*x.shape[1:3]), filters), x.dtype)
        start = np.zeros(filters, x.dtype) if bias is None else bias
        weights = self._transform_kernel(kernel)
        a, b = self.A.astype(x.dtype), self.B.astype(x.dtype)
        (top, _), (left, _) = window.pads(*x.shape[1:3])
        x = np.ascontiguousarray(x)
        for first, count in self._blocks(y.shape, kernel.shape, x.itemsize):
            tiles = np.empty((self.n * self.n, count, x.shape[3]), x.dtype)
            _tiles_in(x, b, tiles, first, y.shape[1], y.shape[2], self.m, top, left)
            products = tiles @ weights  # (n*n, tiles, C) @ (n*n, C, F) -> (n*n, tiles, F)
            _tiles_out(products, a, start, y, first)
        return y

    def input_gradient(self, dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
        """(N, OH, OW, F), (3, 3, C, F) -> (N, H, W, C)"""
        turned = kernel[::-1, ::-1].swapaxes(2, 3)  # (3, 3, C, F) -> (3, 3, F, C), by 180 degrees
        (top, bottom), (left, right) = window.pads(*x_shape[1:3])
        reach = TAPS - 1
        pads: Pads = ((reach - top, reach - bottom), (reach - left, reach - right))
        return self.forward(dy, turned, None, Window(window.size, padding=pads), 1)

    def kernel_gradient(self, dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
        """(N, OH, OW, F), (N, H, W, C) -> (3, 3, C, F)"""
        _, _, channels, filters = kernel_shape
        a, b = self.A.astype(x.dtype), self.B.astype(x.dtype)
        (top, _), (left, _) = window.pads(*x.shape[1:3])
        x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
        total = np.zeros((self.n * self.n, channels, filters))  # blocks are added up in float64
        for first, count in self._blocks(dy.shape, kernel_shape, x.itemsize):
            tiles = np.empty((self.n * self.n, count, channels), x.dtype)
            _tiles_in(x, b, tiles, first, dy.shape[1], dy.shape[2], self.m, top, left)
            upstream = np.empty((self.n * self.n, count, filters), x.dtype)
            _gradient_tiles_in(dy, a, upstream, first)
            total += tiles.swapaxes(1, 2) @ upstream  # (n*n, C, tiles) @ (n*n, tiles, F) -> (n*n, C, F)
        squares = total.reshape(self.n, self.n, channels, filters)
        dkernel = np.einsum("ik,ijcf,jl->klcf", self.G, squares, self.G, optimize=True)  # -> (3, 3, C, F)
        return np.ascontiguousarray(dkernel, dy.dtype)

    def _transform_kernel(self, kernel: Array) -> Array:
        """U = G k G^T: (3, 3, C, F) -> (n*n, C, F), computed in float64 and rounded once."""
        squares = np.einsum("ik,klcf,jl->ijcf", self.G, kernel, self.G, optimize=True)
        return np.ascontiguousarray(squares.reshape(self.n * self.n, *kernel.shape[2:]), kernel.dtype)

    def _blocks(self, y_shape: Shape, kernel_shape: Shape, itemsize: int) -> Iterator[tuple[int, int]]:
        """(first tile, how many): as many tiles at once as BLOCK_BYTES allow. Tiles are counted picture by picture,
        row by row."""
        per_picture = -(-y_shape[1] // self.m) * -(-y_shape[2] // self.m)
        total = y_shape[0] * per_picture
        at_once = max(1, BLOCK_BYTES // (self.n * self.n * sum(kernel_shape[2:]) * itemsize))
        for first in range(0, total, at_once):
            yield first, min(at_once, total - first)


# Small numbers near 1 keep the matrices' entries, and so the rounding errors, small.
F2x2 = Winograd(2, [Fraction(0), Fraction(1), Fraction(-1)])
F4x4 = Winograd(4, [Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2)])


@njit_parallel
def _tiles_in(
    x: Array, b: Array, tiles: Array, first: int, out_h: int, out_w: int, m: int, top: int, left: int
) -> None:
    """tiles[:, t, :] = B^T d B for the n x n tile d under outputs (th*m.., tw*m..); beyond the border d is zero."""
    _, height, width, channels = x.shape
    n = b.shape[0]
    across = (out_w + m - 1) // m
    per_picture = (out_h + m - 1) // m * across
    for t in prange(tiles.shape[1]):
        picture, place = (first + t) // per_picture, (first + t) % per_picture
        row0, column0 = place // across * m - top, place % across * m - left
        half = np.zeros((n, n, channels), x.dtype)  # B^T d
        for k in range(n):
            row = row0 + k
            if row < 0 or row >= height:
                continue
            for column in range(max(column0, 0), min(column0 + n, width)):
                source = x[picture, row, column]
                for i in range(n):
                    factor = b[k, i]
                    if factor != 0:
                        into = half[i, column - column0]
                        for c in range(channels):
                            into[c] += factor * source[c]
        for i in range(n):
            for j in range(n):
                into = tiles[i * n + j, t]
                into[:] = 0
                for k in range(n):
                    factor = b[k, j]
                    if factor != 0:
                        source = half[i, k]
                        for c in range(channels):
                            into[c] += factor * source[c]


@njit_parallel
def _tiles_out(products: Array, a: Array, bias: Array, y: Array, first: int) -> None:
    """The m x m outputs of each tile, A^T M A + bias, written where they belong; what hangs over the border is
    dropped."""
    _, out_h, out_w, filters = y.shape
    n, m = a.shape
    across = (out_w + m - 1) // m
    per_picture = (out_h + m - 1) // m * across
    for t in prange(products.shape[1]):
        picture, place = (first + t) // per_picture, (first + t) % per_picture
        row0, column0 = place // across * m, place % across * m
        half = np.zeros((m, n, filters), y.dtype)  # A^T M
        for k in range(n):
            for j in range(n):
                source = products[k * n + j, t]
                for i in range(m):
                    factor = a[k, i]
                    if factor != 0:
                        into = half[i, j]
                        for f in range(filters):
                            into[f] += factor * source[f]
        for i in range(min(m, out_h - row0)):
            for j in range(min(m, out_w - column0)):
                into = y[picture, row0 + i, column0 + j]
                into[:] = bias
                for k in range(n):
                    factor = a[k, j]
                    if factor != 0:
                        source = half[i, k]
                        for f in range(filters):
                            into[f] += factor * source[f]


@njit_parallel
def _gradient_tiles_in(dy: Array, a: Array, tiles: Array, first: int) -> None:
    """tiles[:, t, :] = A dy A^T for the m x m gradients of each tile: the transpose of ``_tiles_out``."""
    _, out_h, out_w, filters = dy.shape
    n, m = a.shape
    across = (out_w + m - 1) // m
    per_picture = (out_h + m - 1) // m * across
    for t in prange(tiles.shape[1]):
        picture, place = (first + t) // per_picture, (first + t) % per_picture
        row0, column0 = place // across * m, place % across * m
        half = np.zeros((n, m, filters), dy.dtype)  # A dy
        for k in range(min(m, out_h - row0)):
            for j in range(min(m, out_w - column0)):
                source = dy[picture, row0 + k, column0 + j]
                for i in range(n):
                    factor = a[i, k]
                    if factor != 0:
                        into = half[i, j]
                        for f in range(filters):
                            into[f] += factor * source[f]
        for i in range(n):
            for j in range(n):
                into = tiles[i * n + j, t]
                into[:] = 0
                for k in range(m):
                    factor = a[j, k]
                    if factor != 0:
                        source = half[i, k]
                        for f in range(filters):
                            into[f] += factor * source[f]
