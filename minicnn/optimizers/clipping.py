"""What gradients are multiplied with so that they are no longer than allowed, and how long they are.

A length is the root of a sum of squares, which are made and added up in float64: the square of a float32 above 1.8e19
is no float32. Blocks have a fixed size, and their sums are added in order, as in ``ops/column_sums.py``: the bits do
not depend on the number of threads. With a BLAS they would, on its threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minicnn.ops.gemm import pack
from minicnn.ops.gradients import BLOCK, OuterProducts, block_rows, outer_products
from minicnn.ops.jit import njit, prange
from minicnn.ops.micro_kernel import ROWS
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, splat, widen
from minicnn.optimizers.loops import TURNS
from minicnn.shapes import Array

Gradient = Array | OuterProducts

TERMS = 1 << 14  # numbers per partial sum


def scales(
    gradients: Mapping[str, Gradient], clipnorm: float | None, global_clipnorm: float | None
) -> dict[str, float]:
    """By address, what makes each gradient at most ``clipnorm`` long, or all of them together ``global_clipnorm``.

    NaN where a length is NaN; nothing where neither limit is given. The factor is a number of the gradient's dtype: of
    float32, one below 1e-38 has few digits left.
    """
    if clipnorm is not None:
        return {address: _shrink(math.sqrt(square(g)), clipnorm) for address, g in gradients.items()}
    if global_clipnorm is not None:
        length = math.sqrt(_in_order([square(g) for g in gradients.values()]))
        return dict.fromkeys(gradients, _shrink(length, global_clipnorm) if math.isfinite(length) else math.nan)
    return {}


def parts(g: Gradient) -> Iterator[tuple[int, Array]]:
    """The gradient as flat pieces of about BLOCK numbers, each with the position of its first."""
    if isinstance(g, OuterProducts):
        rows, width = block_rows(g.shape), g.shape[1]
        for row in range(0, g.shape[0], rows):
            yield row * width, g.rows(row, min(g.shape[0], row + rows)).reshape(-1)
        return
    flat = g.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield start, flat[start : start + BLOCK]


def square(g: Gradient) -> float:
    """The sum of the squares of all numbers, in float64. Factors are multiplied out block by block."""
    if isinstance(g, OuterProducts):
        rows = block_rows(g.shape)
        sums, work = np.empty(-(-g.shape[0] // rows)), g.size * g.dtype.itemsize * (1 + len(g.x) // ROWS)
        _factored_squares(work, g.x, pack(g.dy), g.shape[1], rows, sums)
    else:
        flat = np.ascontiguousarray(g).reshape(-1)
        sums = np.empty(-(-flat.size // TERMS))
        _block_squares(flat.nbytes, flat, sums)
    return _in_order(sums.tolist())


def _in_order(values: Sequence[float]) -> float:
    """Their sum, from the first to the last; ``sum`` adds up in another way since Python 3.12."""
    total = 0.0
    for value in values:
        total += value
    return total


@turns
def _block_squares(g: Array, sums: Array) -> None:
    """The sum of squares of each block of ``g``: one block per turn."""
    for block in prange(len(sums)):
        sums[block] = _square_block(g, block * TERMS, min(g.size, (block + 1) * TERMS))


@turns
def _factored_squares(x: Array, panels: Array, U: int, rows: int, sums: Array) -> None:
    """The same, a block being ``rows`` rows of x^T @ dy. All in one loop: threads that start for a block of the product
    and again for its squares wait for each other longer than they compute."""
    together = (len(sums) + TURNS - 1) // TURNS
    for turn in prange((len(sums) + together - 1) // together):
        buffer = np.empty(rows * U, x.dtype)
        for block in range(turn * together, min(len(sums), (turn + 1) * together)):
            here = min(rows, x.shape[1] - block * rows)
            outer_products(x, panels, block * rows, here, U, buffer, 0)
            sums[block] = _square_block(buffer, 0, here * U)


@njit
def _square_block(g: Array, start: int, stop: int) -> float:
    """Four vectors of sums, since an addition need not wait for the three before it. Beyond ``stop`` 0 is loaded."""
    step = lanes(g)
    zero = splat(0.0, widen(load(g, 0, 0)))
    total0, total1, total2, total3 = zero, zero, zero, zero
    for i in range(start, stop, 4 * step):
        left = stop - i
        a, b = widen(load(g, i, left)), widen(load(g, i + step, left - step))
        c, d = widen(load(g, i + 2 * step, left - 2 * step)), widen(load(g, i + 3 * step, left - 3 * step))
        total0, total1 = a * a + total0, b * b + total1
        total2, total3 = c * c + total2, d * d + total3
    return add_up((total0 + total1) + (total2 + total3))  # type: ignore[no-any-return]


def _shrink(length: float, limit: float) -> float:
    """The factor that brings a vector of this length down to ``limit``, 1 for shorter ones. NaN stays NaN."""
    return float(limit / np.maximum(length, limit))
