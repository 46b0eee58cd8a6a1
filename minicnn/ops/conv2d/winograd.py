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
numbers; that is why F(4x4) has a wider tolerance, and why few-channel layers are left to other algorithms. A NaN or inf
in the input spoils all outputs of the tiles it lies in, where the definition spoils those whose window covers it.

Papers: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks"; points of evaluation: Barabasz et al. 2020, "Error Analysis and
Improving the Accuracy of Winograd Convolution".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from minicnn.ops.jit import njit_parallel, prange
from minicnn.ops.simd import encode, left_multiply
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
    """F(m x m, 3x3) as an algorithm of ``minicnn.ops.conv2d``.

    ``sum_tiles`` is how many tiles a kernel gradient adds up at once: a sum of short sums rounds less than a long one.
    """

    def __init__(self, outputs: int, points: Sequence[Fraction], sum_tiles: int) -> None:
        self.m = outputs
        self.sum_tiles = sum_tiles
        self.n = outputs + TAPS - 1
        self.A, self.B, self.G = cook_toom(outputs, points)  # (n, m), (n, n), (n, 3)
        self._input_tiles = _compile_input_tiles(self.B)
        self._output_tiles = _compile_output_tiles(self.A)
        self._gradient_tiles = _compile_gradient_tiles(self.A)

    def unsupported(self, kernel_shape: Shape, window: Window, groups: int) -> str | None:
        """Why this convolution has no Winograd form here, or None."""
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
        start = np.zeros(filters, x.dtype) if bias is None else np.ascontiguousarray(bias)
        weights = self._transform_kernel(kernel)
        x = np.ascontiguousarray(x)
        for first, count in self._blocks(y.shape, kernel.shape, x.itemsize):
            tiles = self._transform_input(x, window, first, count)
            products = tiles @ weights  # (n*n, tiles, C) @ (n*n, C, F) -> (n*n, tiles, F)
            self._output_tiles(products, start, y, first)
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
        x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
        total = np.zeros((self.n * self.n, channels, filters), x.dtype)
        for first, count in self._blocks(dy.shape, kernel_shape, x.itemsize, most=self.sum_tiles):
            tiles = self._transform_input(x, window, first, count)
            upstream = np.empty((self.n * self.n, count, filters), x.dtype)
            self._gradient_tiles(dy, upstream, first)
            total += tiles.swapaxes(1, 2) @ upstream  # (n*n, C, tiles) @ (n*n, tiles, F) -> (n*n, C, F)
        both = np.kron(self.G, self.G).astype(x.dtype)  # (n*n, 9)
        dkernel: Array = both.T @ total.reshape(self.n * self.n, -1)  # (9, n*n) @ (n*n, C*F) -> (9, C*F)
        return dkernel.reshape(kernel_shape)

    def _transform_kernel(self, kernel: Array) -> Array:
        """U = G k G^T: (3, 3, C, F) -> (n*n, C, F). As one product: G k G^T, flattened, is (G kron G) @ k."""
        both = np.kron(self.G, self.G).astype(kernel.dtype)  # (n*n, 9)
        flat: Array = both @ kernel.reshape(TAPS * TAPS, -1)  # (n*n, 9) @ (9, C*F) -> (n*n, C*F)
        return flat.reshape(-1, *kernel.shape[2:])

    def _transform_input(self, x: Array, window: Window, first: int, count: int) -> Array:
        """V = B^T d B for ``count`` tiles from ``first`` on: (N, H, W, C) -> (n*n, tiles, C)."""
        (top, _), (left, _) = window.pads(*x.shape[1:3])
        out_h, out_w = window.output_size(*x.shape[1:3])
        tiles = np.empty((self.n * self.n, count, x.shape[3]), x.dtype)
        self._input_tiles(x, tiles, first, -(-out_h // self.m), -(-out_w // self.m), top, left)
        return tiles

    def _blocks(
        self, y_shape: Shape, kernel_shape: Shape, itemsize: int, most: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """(first tile, how many), as many at once as BLOCK_BYTES allow. Tiles count picture by picture, row by row."""
        per_picture = -(-y_shape[1] // self.m) * -(-y_shape[2] // self.m)
        total = y_shape[0] * per_picture
        fitting = max(1, BLOCK_BYTES // (self.n * self.n * sum(kernel_shape[2:]) * itemsize))
        at_once = min(fitting, most or fitting)
        for first in range(0, total, at_once):
            yield first, min(at_once, total - first)


def _compile_input_tiles(matrix: Array) -> Callable[..., None]:
    n, m, transposed = len(matrix), len(matrix) - TAPS + 1, encode(matrix.T)

    @njit_parallel
    def input_tiles(x: Array, tiles: Array, first: int, down: int, across: int, top: int, left: int) -> None:
        """tiles[:, t] = B^T d B for the n x n inputs d under tile t; beyond the border d is zero."""
        _, H, W, C = x.shape
        T = tiles.shape[1]
        for t in prange(T):
            picture, place = (first + t) // (down * across), (first + t) % (down * across)
            row0, column0 = place // across * m - top, place % across * m - left
            half = np.empty((n, n, C), x.dtype)  # B^T d
            if 0 <= row0 <= H - n and 0 <= column0 <= W - n:  # d as it lies in x: n rows of n*C numbers
                start = ((picture * H + row0) * W + column0) * C
                left_multiply(transposed, x, start, W * C, half, 0, n * C, n * C)
            else:
                square = np.zeros((n, n, C), x.dtype)
                for row in range(max(row0, 0), min(row0 + n, H)):
                    for column in range(max(column0, 0), min(column0 + n, W)):
                        for c in range(C):
                            square[row - row0, column - column0, c] = x[picture, row, column, c]
                left_multiply(transposed, square, 0, n * C, half, 0, n * C, n * C)
            for i in range(n):
                left_multiply(transposed, half, i * n * C, C, tiles, (i * n * T + t) * C, T * C, C)

    return input_tiles


def _compile_output_tiles(matrix: Array) -> Callable[..., None]:
    n, m, transposed = len(matrix), len(matrix[0]), encode(matrix.T)

    @njit_parallel
    def output_tiles(products: Array, bias: Array, y: Array, first: int) -> None:
        """The m x m outputs of each tile, A^T M A + bias, where they belong; what hangs over the border is dropped."""
        _, OH, OW, F = y.shape
        down, across = (OH + m - 1) // m, (OW + m - 1) // m
        T = products.shape[1]
        for t in prange(T):
            picture, place = (first + t) // (down * across), (first + t) % (down * across)
            row0, column0 = place // across * m, place % across * m
            half, result = np.empty((m, n, F), y.dtype), np.empty((m, m, F), y.dtype)
            for j in range(n):  # A^T M, column by column
                left_multiply(transposed, products, (j * T + t) * F, n * T * F, half, j * F, n * F, F)
            for i in range(m):
                left_multiply(transposed, half, i * n * F, F, result, i * m * F, F, F)
            for i in range(min(m, OH - row0)):
                for j in range(min(m, OW - column0)):
                    for f in range(F):
                        y[picture, row0 + i, column0 + j, f] = result[i, j, f] + bias[f]

    return output_tiles


def _compile_gradient_tiles(matrix: Array) -> Callable[..., None]:
    n, m, plain = len(matrix), len(matrix[0]), encode(matrix)

    @njit_parallel
    def gradient_tiles(dy: Array, tiles: Array, first: int) -> None:
        """tiles[:, t] = A dy A^T for the m x m gradients of tile t: ``output_tiles``, transposed."""
        _, OH, OW, F = dy.shape
        down, across = (OH + m - 1) // m, (OW + m - 1) // m
        T = tiles.shape[1]
        for t in prange(T):
            picture, place = (first + t) // (down * across), (first + t) % (down * across)
            row0, column0 = place // across * m, place % across * m
            half = np.empty((n, m, F), dy.dtype)  # A dy
            if row0 <= OH - m and column0 <= OW - m:
                start = ((picture * OH + row0) * OW + column0) * F
                left_multiply(plain, dy, start, OW * F, half, 0, m * F, m * F)
            else:
                square = np.zeros((m, m, F), dy.dtype)
                for row in range(row0, min(row0 + m, OH)):
                    for column in range(column0, min(column0 + m, OW)):
                        for f in range(F):
                            square[row - row0, column - column0, f] = dy[picture, row, column, f]
                left_multiply(plain, square, 0, m * F, half, 0, m * F, m * F)
            for i in range(n):
                left_multiply(plain, half, i * m * F, F, tiles, (i * n * T + t) * F, T * F, F)

    return gradient_tiles


# Small numbers near 1 keep the matrices' entries, and so the rounding errors, small.
F2x2 = Winograd(2, [Fraction(0), Fraction(1), Fraction(-1)], sum_tiles=64)
F4x4 = Winograd(4, [Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2)], sum_tiles=512)
