"""Convolution with fewer multiplications: Winograd's minimal filtering, F(m x m, r x r), for 3x3 and 5x5 kernels.

The idea, in one dimension. Two neighbouring outputs of a 3-tap filter, computed directly, cost 6 multiplications.
Seen as polynomials, input tile and filter are multiplied; a product of polynomials is known once it is known at
enough points; and *at a point* it is a single multiplication. m outputs of r taps need n = m + r - 1 points: 4
multiplications instead of 6 for m = 2 and r = 3. The way to the points and back is three small constant matrices, and
in two dimensions they are applied to rows and then to columns:

    y = A^T [ (G k G^T) * (B^T d B) ] A        d: an n x n tile of the input, y: its m x m outputs, *: entrywise

A whole layer then becomes: transform the tiles, transform the kernels, and for each of the Q*Q entries (Q products
along each axis) multiply two matrices,

    V[p] (tiles, C)  @  U[p] (C, F)   ->  M[p] (tiles, F)

and transform back. F(2x2,3x3) needs 16 multiplications for 4 outputs, 36 directly: 2.25 times fewer. F(4x4,3x3): 36
for 16, a quarter. Backward, the formula is linear in d and in k, so its gradients are the transposed matrices in
reverse order:

    dk = G^T [ sum over tiles of  V[p]^T @ (A dy A^T)[p] ] G

and dx is a convolution of dy with the kernel turned by 180 degrees, which is the forward pass again.

Complex points. Larger tiles need more points, and powers of real points other than 0, 1 and -1 grow or shrink; what the
multiplications round is then multiplied by large numbers. The points i and -i have no such powers. A value there is a
complex number, but since data and kernels are real, the value at -i is the conjugate of the one at i: both together
cost the three real multiplications of one complex product instead of two. F(4x4,3x3) at 0, 1, -1, i, -i and infinity
takes Q = 7, 49 products for 16 outputs: 2.94 times fewer than directly. Its matrices hold nothing but 0, 1 and -1, but
for the kernels', and it rounds as little as F(2x2,3x3). The same six inputs are a tile of F(2x2,5x5): 49 products for 4
outputs, 2.04 times fewer.

Cost: N*OH*OW*C*F * Q*Q / (m*m) multiplications, plus transforms that grow with C + F instead of C * F: it wins when
both are large.

Limits: 3x3 and 5x5 kernels, stride 1, no dilation, no groups. F(4x4) at real points rounds worse, because its
matrices contain larger numbers; hence its wider tolerance, and "auto" does not choose it. A NaN or inf in the input
spoils all outputs of the tiles it lies in, where the definition spoils those whose window covers it.

Papers: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks"; points of evaluation: Barabasz et al. 2020, "Error Analysis and
Improving the Accuracy of Winograd Convolution"; polynomials that are not linear, as x^2 + 1 at i and -i: Barabasz and
Gregg 2019, "Winograd Convolution for DNNs: Beyond Linear Polynomials".
"""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np

from minicnn.ops.conv2d import winograd_blocks as blocks
from minicnn.ops.conv2d.winograd_matrices import COMPLEX, FOUR, TWO, Points, cook_toom
from minicnn.ops.conv2d.winograd_tiles import kernel_gradients, kernel_panels, turn
from minicnn.ops.conv2d.winograd_transforms import OUTPUTS, PRODUCTS, TAPS
from minicnn.ops.gemm import floor_of
from minicnn.ops.memory import empty, scratch
from minicnn.ops.micro_kernel import VECTORS, panel_width
from minicnn.shapes import Array, Pads, Shape, Window

CACHE_BYTES = 600_000  # of a core's own cache, for transformed tiles
CACHE_CHANNELS = 256  # in and out together, up to which the way through the cache is the faster one
BLOCK_BYTES = 32 * 2**20  # transformed tiles held at once where all tiles take each step together
GRADIENT_BYTES = 4 * 2**20  # the same for kernel gradients, or as many bytes as their sums take: these are read again


class Winograd:
    """F(m x m, r x r) as an algorithm of ``minicnn.ops.conv2d``.

    ``form``: which tiles, see ``winograd_transforms``. ``sum_tiles`` is how many of them a kernel gradient adds up at
    once: a sum of short sums rounds less than a long one.
    """

    def __init__(self, form: int, points: Points, sum_tiles: int) -> None:
        self.form, self.sum_tiles = form, sum_tiles
        self.m, self.r, self.Q = OUTPUTS[form], TAPS[form], PRODUCTS[form]
        self.A, self.B, self.G = cook_toom(self.m, self.r, points)  # (Q, m), (m + r - 1, Q), (Q, r)

    def unsupported(self, kernel_shape: Shape, window: Window, groups: int) -> str | None:
        """Why this convolution has no Winograd form here, or None."""
        if kernel_shape[:2] != (self.r, self.r):
            return f"a {kernel_shape[0]}x{kernel_shape[1]} kernel (this Winograd is for {self.r}x{self.r})"
        if window.strides != (1, 1) or window.dilation != (1, 1) or groups != 1:
            return f"strides={window.strides}, dilation_rate={window.dilation}, groups={groups} (Winograd needs all 1)"
        if not isinstance(window.padding, str) and max(max(pad) for pad in window.padding) >= self.r:
            return f"padding={window.padding} (this Winograd takes at most {self.r - 1} on a side)"
        return None

    def products(self, OH: int, OW: int) -> int:
        """Multiplications for a picture's OH x OW outputs, per channel and filter."""
        return -(-OH // self.m) * -(-OW // self.m) * self.Q**2

    def prepare(self, kernel: Array, window: Window, groups: int) -> Array:
        """(r, r, C, F) -> U = G k G^T in panels (Q*Q, P, C, W), see ``ops/gemm.py``: what tiles are multiplied with."""
        _, _, channels, filters = kernel.shape
        width = panel_width(kernel.dtype)
        panels = empty((self.Q * self.Q, -(-filters // width), channels, width), kernel.dtype)
        kernel_panels(self.form, np.ascontiguousarray(kernel), panels)
        return panels

    def forward(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        relu: bool = False,
        prepared: Array | None = None,
    ) -> Array:
        """(N, H, W, C), (r, r, C, F) -> (N, OH, OW, F)"""
        filters = kernel.shape[3]
        y = empty((len(x), *window.output_size(*x.shape[1:3]), filters), x.dtype)
        start = np.zeros(filters, x.dtype) if bias is None else np.ascontiguousarray(bias)
        panels = self.prepare(kernel, window, groups) if prepared is None else prepared
        (top, _), (left, _) = window.pads(*x.shape[1:3])
        self._convolve(np.ascontiguousarray(x), panels, start, floor_of(relu, x.dtype), y, top, left)
        return y

    def _convolve(self, x: Array, panels: Array, bias: Array, floor: float, y: Array, top: int, left: int) -> None:
        points, channels, (OH, OW) = self.Q * self.Q, x.shape[3], y.shape[1:3]
        width = _whole_vectors(y.shape[3], y.dtype)
        total = len(y) * -(-OH // self.m) * -(-OW // self.m)
        if channels + width <= CACHE_CHANNELS:
            fitting = CACHE_BYTES // (points * (channels + width) * x.itemsize)
            workers = min(numba.get_num_threads(), -(-total // fitting))
            tiles = scratch("tiles", (workers, points, fitting, channels), x.dtype)
            products = scratch("products", (workers, points, fitting, width), x.dtype)
            blocks.in_cache(self.form, x, panels, bias, floor, y, top, left, tiles, products)
            return
        for first, count in self._blocks(total, channels + width, x.itemsize, BLOCK_BYTES):
            tiles = scratch("tiles", (points, count, channels), x.dtype)
            products = scratch("products", (points, count, width), x.dtype)
            blocks.all_input_tiles(self.form, x, first, count, OH, OW, top, left, tiles)
            blocks.all_products(tiles, panels, products, count)
            blocks.all_output_tiles(self.form, products, bias, floor, y, first, count)

    def input_gradient(self, dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array:
        """(N, OH, OW, F), (r, r, C, F) -> (N, H, W, C)"""
        turned = empty((*kernel.shape[:2], *kernel.shape[:1:-1]), kernel.dtype)
        turn(np.ascontiguousarray(kernel), turned)  # (r, r, C, F) -> (r, r, F, C), by 180 degrees
        (top, bottom), (left, right) = window.pads(*x_shape[1:3])
        reach = self.r - 1
        pads: Pads = ((reach - top, reach - bottom), (reach - left, reach - right))
        return self.forward(dy, turned, None, Window(window.size, padding=pads), 1)

    def kernel_gradient(self, dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
        """(N, OH, OW, F), (N, H, W, C) -> (r, r, C, F)"""
        _, _, channels, filters = kernel_shape
        points, (OH, OW), (pad_h, pad_w) = self.Q * self.Q, dy.shape[1:3], window.pads(*x.shape[1:3])
        x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
        panel = panel_width(x.dtype)
        panels, width = -(-filters // panel), _whole_vectors(filters, x.dtype)
        sums = scratch("kernel_sums", (points, channels, width), x.dtype)
        total = len(dy) * -(-OH // self.m) * -(-OW // self.m)
        limit = min(BLOCK_BYTES, max(GRADIENT_BYTES, sums.nbytes))
        for first, count in self._blocks(total, channels + panels * panel, x.itemsize, limit):
            tiles = scratch("tiles", (points, count, channels), x.dtype)
            upstream = scratch("products", (points, panels, count, panel), x.dtype)
            blocks.all_input_tiles(self.form, x, first, count, OH, OW, pad_h[0], pad_w[0], tiles)
            blocks.all_upstream_tiles(self.form, dy, first, count, upstream)
            blocks.add_kernel_products(tiles, upstream, sums, count, self.sum_tiles, first == 0)
        dkernel = empty(kernel_shape, x.dtype)
        kernel_gradients(self.form, sums, dkernel)
        return dkernel

    def _blocks(self, total: int, numbers: int, itemsize: int, limit: int) -> Iterator[tuple[int, int]]:
        """(first tile, how many), as many at once as ``limit`` bytes hold, with ``numbers`` in each point of a tile."""
        fitting = max(self.sum_tiles, limit // (self.Q * self.Q * numbers * itemsize))
        fitting -= fitting % self.sum_tiles
        for first in range(0, total, fitting):
            yield first, min(fitting, total - first)


def _whole_vectors(filters: int, dtype: np.dtype) -> int:
    """``filters``, rounded up to whole vectors: the width of a product's rows."""
    lanes = panel_width(dtype) // VECTORS
    return -(-filters // lanes) * lanes


F2x2 = Winograd(0, TWO, sum_tiles=64)
F4x4 = Winograd(1, FOUR, sum_tiles=512)
F4x4_COMPLEX = Winograd(2, COMPLEX, sum_tiles=64)
F2x2_5x5 = Winograd(3, COMPLEX, sum_tiles=64)
