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
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from minicnn.ops.jit import inline, njit_parallel, prange
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


Matrix = tuple[tuple[float, ...], ...]


class Winograd:
    """F(m x m, 3x3) as an algorithm of ``minicnn.ops.conv2d``.

    ``sum_tiles`` is how many tiles a kernel gradient adds up at once: a sum of short sums rounds less than a long one.
    """

    def __init__(self, outputs: int, points: Sequence[Fraction], sum_tiles: int) -> None:
        self.m = outputs
        self.sum_tiles = sum_tiles
        self.n = outputs + TAPS - 1
        self.A, self.B, self.G = cook_toom(outputs, points)  # (n, m), (n, n), (n, 3)
        self._input_tiles = _compile_input_tiles(_constants(self.B.T))
        self._output_tiles = _compile_output_tiles(_constants(self.A.T))
        self._gradient_tiles = _compile_gradient_tiles(_constants(self.A))

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


def _constants(matrix: Array) -> Matrix:
    """As tuples, which the compiler takes for constants: it unrolls the loops over them and drops the zeros."""
    return tuple(tuple(float(value) for value in row) for row in matrix)


@inline
def _left_multiply(matrix: Matrix, source: Array, result: Array) -> None:
    """result = matrix @ source for a constant (r, k) matrix and a (k, columns) source: the vector units take the
    columns."""
    for column in range(source.shape[1]):
        for i in range(len(matrix)):
            total = source.dtype.type(0)
            for k in range(len(matrix[0])):
                if matrix[i][k] != 0:
                    total += source.dtype.type(matrix[i][k]) * source[k, column]
            result[i, column] = total


@inline
def _sandwich(matrix: Matrix, square: Array, half: Array, result: Array) -> None:
    """result = matrix @ square @ matrix^T, channel by channel: (k, k, C) -> (r, r, C), with ``half`` (r, k, C)
    between."""
    rows, size, channels = half.shape
    _left_multiply(matrix, square.reshape(size, size * channels), half.reshape(rows, size * channels))
    for i in range(rows):
        _left_multiply(matrix, half[i], result[i])


def _compile_input_tiles(matrix: Matrix) -> Callable[..., None]:
    n, m = len(matrix), len(matrix) - TAPS + 1

    @njit_parallel
    def input_tiles(x: Array, tiles: Array, first: int, down: int, across: int, top: int, left: int) -> None:
        """tiles[:, t] = B^T d B for the n x n inputs d under tile t; beyond the border d is zero."""
        _, height, width, channels = x.shape
        for t in prange(tiles.shape[1]):
            picture, place = (first + t) // (down * across), (first + t) % (down * across)
            row0, column0 = place // across * m - top, place % across * m - left
            square = np.zeros((n, n, channels), x.dtype)
            for row in range(max(row0, 0), min(row0 + n, height)):
                for column in range(max(column0, 0), min(column0 + n, width)):
                    square[row - row0, column - column0] = x[picture, row, column]
            half, result = np.empty((n, n, channels), x.dtype), np.empty((n, n, channels), x.dtype)
            _sandwich(matrix, square, half, result)
            for i in range(n):
                for j in range(n):
                    tiles[i * n + j, t] = result[i, j]

    return input_tiles


def _compile_output_tiles(matrix: Matrix) -> Callable[..., None]:
    m, n = len(matrix), len(matrix[0])

    @njit_parallel
    def output_tiles(products: Array, bias: Array, y: Array, first: int) -> None:
        """The m x m outputs of each tile, A^T M A + bias, where they belong; what hangs over the border is dropped."""
        _, out_h, out_w, filters = y.shape
        down, across = (out_h + m - 1) // m, (out_w + m - 1) // m
        for t in prange(products.shape[1]):
            picture, place = (first + t) // (down * across), (first + t) % (down * across)
            row0, column0 = place // across * m, place % across * m
            square = np.empty((n, n, filters), y.dtype)
            for i in range(n):
                for j in range(n):
                    square[i, j] = products[i * n + j, t]
            half, result = np.empty((m, n, filters), y.dtype), np.empty((m, m, filters), y.dtype)
            _sandwich(matrix, square, half, result)
            for i in range(min(m, out_h - row0)):
                for j in range(min(m, out_w - column0)):
                    for f in range(filters):
                        y[picture, row0 + i, column0 + j, f] = result[i, j, f] + bias[f]

    return output_tiles


def _compile_gradient_tiles(matrix: Matrix) -> Callable[..., None]:
    n, m = len(matrix), len(matrix[0])

    @njit_parallel
    def gradient_tiles(dy: Array, tiles: Array, first: int) -> None:
        """tiles[:, t] = A dy A^T for the m x m gradients of tile t: ``output_tiles``, transposed."""
        _, out_h, out_w, filters = dy.shape
        down, across = (out_h + m - 1) // m, (out_w + m - 1) // m
        for t in prange(tiles.shape[1]):
            picture, place = (first + t) // (down * across), (first + t) % (down * across)
            row0, column0 = place // across * m, place % across * m
            square = np.zeros((m, m, filters), dy.dtype)
            for i in range(min(m, out_h - row0)):
                for j in range(min(m, out_w - column0)):
                    square[i, j] = dy[picture, row0 + i, column0 + j]
            half, result = np.empty((n, m, filters), dy.dtype), np.empty((n, n, filters), dy.dtype)
            _sandwich(matrix, square, half, result)
            for i in range(n):
                for j in range(n):
                    tiles[i * n + j, t] = result[i, j]

    return gradient_tiles


# Small numbers near 1 keep the matrices' entries, and so the rounding errors, small.
F2x2 = Winograd(2, [Fraction(0), Fraction(1), Fraction(-1)], sum_tiles=64)
F4x4 = Winograd(4, [Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2)], sum_tiles=512)
