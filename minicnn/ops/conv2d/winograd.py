"""Convolution with fewer multiplications: Winograd's minimal filtering, F(m x m, r x r), for 3x3 and 5x5 kernels.

The idea, in one dimension. Two neighbouring outputs of a 3-tap filter, computed directly, cost 6 multiplications.
Seen as polynomials, input tile and filter are multiplied; a product of polynomials is known once it is known at
enough points; and *at a point* it is a single multiplication. m outputs of r taps need n = m + r - 1 points: 4
multiplications instead of 6 for m = 2 and r = 3. The way to the points and back is three small constant matrices, and
in two dimensions they are applied to rows and then to columns:

    y = A^T [ (G k G^T) * (B^T d B) ] A        d: an n x n tile of the input, y: its m x m outputs, *: entrywise

A whole layer then becomes: transform the tiles, transform the kernels, and for each entry p, of which there are Q along
each axis, multiply two matrices,

    V[p] (tiles, C)  @  U[p] (C, F)   ->  M[p] (tiles, F)

and transform back. F(2x2,3x3) needs 16 multiplications for 4 outputs, 36 directly: 2.25 times fewer. F(4x4,3x3): 36
for 16, a quarter. Backward, the formula is linear in d and in k, so its gradients are the transposed matrices in
reverse order:

    dk = G^T [ sum over tiles of  V[p]^T @ (A dy A^T)[p] ] G

and dx is a convolution of dy with the kernel turned by 180 degrees, which at stride 1 is the forward pass again.

Complex points. Larger tiles need more points, and powers of real points other than 0, 1 and -1 grow or shrink; what the
multiplications round is then multiplied by large numbers. The points i and -i have no such powers. A value there is a
complex number, but since data and kernels are real, the value at -i is the conjugate of the one at i: both together
cost the three real multiplications of one complex product instead of two, Q = 7 along an axis. Where both axes have
such a point, two complex products do for four, and 6 multiplications instead of 3 * 3 (``winograd_transforms.py``). So
F(4x4,3x3) at 0, 1, -1, i, -i and infinity takes 46 products for 16 outputs: 3.13 times fewer than directly. Its
transforms of data hold nothing but 0, 1 and -1, and it rounds as little as F(2x2,3x3). The same six inputs are a tile
of F(2x2,5x5): 46 products for 4 outputs, 2.17 times fewer.

F(6x6,3x3) at 0, +-3/4, +-11/8, i, -i and infinity, Q = 9: 78 products for 36 outputs, 4.15 times fewer. With one pair
among real points, powers grow to (11/8)^5 = 4.9; at real points alone they would grow to 2^5. It rounds less than twice
as much as F(4x4) at complex points, and has 78 transformed kernels for 9 numbers instead of 46: for larger pictures.
The same eight inputs are a tile of F(4x4,5x5): 78 products for 16 outputs, 5.13 times fewer.

Stride 2. Inputs at even places meet the outer taps k0 and k2, those at odd places k1 alone: two filters at stride 1,
whose outputs add up. For two neighbouring outputs, the first is F(2,2), three products, and the second takes two:

    y0 = (d0 - d2) k0 + d2 (k0 + k2) + d1 k1           y1 = d2 (k0 + k2) + (d4 - d2) k2 + d3 k1

Q = 5 instead of 6: 25 products for 2x2 outputs, 1.44 times fewer than directly, of five inputs that lie four apart from
one tile to the next. dx falls into the same two filters, here for even and for odd places of the result: another form,
of 4x4 results from 3x3 gradients, with 25 products too.

Cost: N*OH*OW*C*F * products / (m*m) multiplications, plus transforms that grow with C + F instead of C * F: it wins
when both are large.

Limits: 3x3 and 5x5 kernels at stride 1, 3x3 at stride 2, no dilation, no groups. Tiles of eight inputs, and more so
F(4x4,3x3) at real points, round worse, because their matrices contain larger numbers; hence wider tolerances. "auto"
does not choose F(4x4,3x3) at real points, which rounds twice as much as F(6x6) and multiplies more. A NaN or inf in the
input spoils all outputs of the tiles it lies in, where the definition spoils those whose window covers it.

Papers: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks"; points of evaluation: Barabasz et al. 2020, "Error Analysis and
Improving the Accuracy of Winograd Convolution"; polynomials that are not linear, as x^2 + 1 at i and -i: Barabasz and
Gregg 2019, "Winograd Convolution for DNNs: Beyond Linear Polynomials"; the symmetry of both axes: Meng and Brothers
2019, "Efficient Winograd Convolution via Integer Arithmetic"; stride 2: Yepez and Ko 2020, "Stride 2 1-D, 2-D,
and 3-D Winograd for Convolutional Neural Networks".
"""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

from minicnn.ops.calls import Call, Into, Run
from minicnn.ops.conv2d import winograd_blocks as blocks
from minicnn.ops.conv2d import winograd_plan as plan
from minicnn.ops.conv2d.winograd_gradient import sums_over_tiles
from minicnn.ops.conv2d.winograd_kernels import kernel_gradients, kernel_panels
from minicnn.ops.conv2d.winograd_tiles import Grid, Last
from minicnn.ops.conv2d.winograd_transforms import OUTPUTS, PRODUCTS, TAPS, places
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.ops.gemm import floor_of
from minicnn.ops.memory import empty, scratch
from minicnn.ops.micro_kernel import ROWS, panel_width
from minicnn.ops.normalising import no_factors
from minicnn.shapes import Array, Shape, Window

READING = 5  # multiplications, in whose time a number of a transformed kernel is read: see ``benchmarks/NOTES.md``
BLOCK_BYTES = 32 * 2**20  # of transformed tiles held at once, at least, where all tiles take each step together,
MOST_BYTES = 64 * 2**20  # and at most: each block reads the transformed kernels anew, so as many bytes as these have


class Winograd:
    """F(m x m, r x r) as an algorithm of ``minicnn.ops.conv2d``.

    ``form``: which tiles, see ``winograd_transforms``; ``gradient_form``: which for the gradient of the input, if not
    the same. ``sum_tiles`` is how many of them a kernel gradient adds up at once: a sum of short sums rounds less than
    a long one.
    """

    def __init__(self, form: int, sum_tiles: int, stride: int = 1, gradient_form: int | None = None) -> None:
        self.form, self.sum_tiles, self.stride = form, sum_tiles, stride
        self.gradient_form = form if gradient_form is None else gradient_form
        self.m, self.r, self.Q = OUTPUTS[form], TAPS[form], PRODUCTS[form]
        self.used = places(form)  # the planes of Q x Q that are products

    def unsupported(self, kernel_shape: Shape, window: Window, groups: int) -> str | None:
        """Why this convolution has no Winograd form here, or None."""
        if kernel_shape[:2] != (self.r, self.r):
            return f"a {kernel_shape[0]}x{kernel_shape[1]} kernel (this Winograd is for {self.r}x{self.r})"
        if window.strides != (self.stride, self.stride) or window.dilation != (1, 1) or groups != 1:
            needed = "all 1" if self.stride == 1 else f"strides of {self.stride}, the others 1"
            received = f"strides={window.strides}, dilation_rate={window.dilation}, groups={groups}"
            return f"{received} (Winograd needs {needed})"
        if not isinstance(window.padding, str) and max(max(pad) for pad in window.padding) >= self.r:
            return f"padding={window.padding} (this Winograd takes at most {self.r - 1} on a side)"
        return None

    def products(self, OH: int, OW: int) -> int:
        """Multiplications for a picture's OH x OW outputs, per channel and filter."""
        return -(-OH // self.m) * -(-OW // self.m) * len(self.used)

    def cost(self, OH: int, OW: int) -> int:
        """The time that this takes for a picture, in multiplications, reading the transformed kernels included."""
        return self.products(OH, OW) + READING * len(self.used)

    def prepare(self, kernel: Array, window: Window, groups: int) -> Array:
        """(r, r, C, F) -> U = G k G^T in panels (Q*Q, P, C, W), see ``ops/gemm.py``: what tiles are multiplied with.

        Planes that no product is in need of (``used`` lists the others) stay as they are.
        """
        return self._panels(kernel)

    def _panels(self, kernel: Array, turned: bool = False) -> Array:
        """``prepare``, or that of the kernel by which dy is convolved to dx."""
        rows, columns = kernel.shape[:1:-1] if turned else kernel.shape[2:]
        width = panel_width(kernel.dtype)
        panels = empty((self.Q * self.Q, -(-columns // width), rows, width), kernel.dtype)
        kernel_panels(self.form, self.used, np.ascontiguousarray(kernel), turned, panels)
        return panels

    def forward(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        finish: Finish = PLAIN,
        prepared: Array | None = None,
    ) -> Array:
        """(N, H, W, C), (r, r, C, F) -> (N, OH, OW, F)"""
        return self.ready(x.shape, kernel, bias, window, groups, finish, prepared)(x)

    def ready(
        self,
        x_shape: Shape,
        kernel: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        finish: Finish,
        prepared: Array | None,
    ) -> Call:
        """``forward`` for inputs of this shape."""
        filters, dtype = kernel.shape[3], kernel.dtype
        size, grid = plan.cover(self.form, *x_shape[1:3], window, finish.halve)
        y_shape = (x_shape[0], *size, filters)
        start = np.zeros(filters, dtype) if bias is None else np.ascontiguousarray(bias)
        panels = self.prepare(kernel, window, groups) if prepared is None else prepared
        factors = no_factors(dtype) if finish.factors is None else finish.factors
        last = start, factors, floor_of(finish.relu, dtype), finish.halve, _no_gate(dtype)

        def bind(x: Array, y: Array) -> Run:
            return self._bound(self.form, np.ascontiguousarray(x), panels, last, y, grid)

        return Into(y_shape, dtype, bind)

    def _bound(self, form: int, x: Array, panels: Array, last: Last, y: Array, grid: Grid) -> Run:
        points, channels, total = self.Q * self.Q, x.shape[3], len(y) * grid[0] * grid[1]
        sizes = points, total, channels, y.shape[3], x.dtype, panels.nbytes
        turns = plan.turns(*sizes, numba.get_num_threads(), plan.LIMITS)
        width = turns.width
        if turns.workers:
            tiles, products = scratch("tiles", turns.tiles, x.dtype), scratch("products", turns.products, x.dtype)
            at_once = turns.at_once
            return partial(blocks.in_cache, form, x, panels, last, y, grid, self.used, tiles, products, at_once, width)
        limit = min(MOST_BYTES, max(BLOCK_BYTES, panels.nbytes))
        size = len(self.used) * (channels + width) * x.itemsize
        tiles_in_blocks = list(plan.in_blocks(total, size, limit, ROWS))
        most = max((count for _, count in tiles_in_blocks), default=0)

        def run() -> None:
            with (
                plan.planes("tiles", points, most * channels, x.dtype) as tiles,
                plan.planes("products", points, most * width, x.dtype) as products,
            ):
                for first, count in tiles_in_blocks:
                    blocks.all_input_tiles(form, x, first, count, grid, tiles)
                    blocks.all_products(form, self.used, tiles, panels, products, width, count)
                    blocks.all_output_tiles(form, products, width, last, y, first, count, grid)

        return run

    def input_gradient(
        self, dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int, gate: Array | None = None
    ) -> Array:
        """(N, OH, OW, F), (r, r, C, F) -> (N, H, W, C)

        Tiles begin at a whole multiple of the stride, counted with the padding: at or just before the first pixel.
        """
        panels, dx = self._panels(kernel, turned=True), empty(x_shape, dy.dtype)
        (top, _), (left, _) = window.pads(*x_shape[1:3])
        stride, reach = self.stride, (self.r - 1) // self.stride  # in dy, from one output to the first that meets it
        inputs, outputs = (top // stride - reach, left // stride - reach), (-(top % stride), -(left % stride))
        grid = plan.grid_of(self.gradient_form, (x_shape[1], x_shape[2]), inputs, outputs)
        gate = _no_gate(dy.dtype) if gate is None else np.ascontiguousarray(gate)
        last = np.zeros(x_shape[3], dy.dtype), no_factors(dy.dtype), floor_of(False, dy.dtype), False, gate
        self._bound(self.gradient_form, np.ascontiguousarray(dy), panels, last, dx, grid)()
        return dx

    def kernel_gradient(self, dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array:
        """(N, OH, OW, F), (N, H, W, C) -> (r, r, C, F)"""
        x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
        _, grid = plan.cover(self.form, *x.shape[1:3], window, False)
        dkernel = empty(kernel_shape, x.dtype)
        with sums_over_tiles(self.form, self.used, self.sum_tiles, x, dy, grid) as totals:
            kernel_gradients(self.form, totals, panel_width(x.dtype), dkernel)
        return dkernel


def _no_gate(dtype: np.dtype) -> Array:
    return np.empty((0, 0, 0, 0), dtype)


F2x2 = Winograd(0, sum_tiles=64)
F4x4 = Winograd(1, sum_tiles=512)
F4x4_COMPLEX = Winograd(2, sum_tiles=64)
F6x6 = Winograd(6, sum_tiles=64)
F2x2_5x5 = Winograd(3, sum_tiles=64)
F4x4_5x5 = Winograd(7, sum_tiles=64)
F2x2_STRIDE_2 = Winograd(4, sum_tiles=64, stride=2, gradient_form=5)
