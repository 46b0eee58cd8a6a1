"""The two products of a dense layer that read its kernel, for a few samples: at the speed of reading.

    y[n, u]  = bias[u] + sum over i of  x[n, i] * kernel[i, u]
    dx[n, i] = sum over u of  dy[n, u] * kernel[i, u]

The kernel of VGG-Face's fc6 has 103 million numbers, 411 MB. With a batch of 8, each of them is used for 8
multiplications: a core is done with those before memory has delivered the next number. So time is the time of reading
the kernel once, and everything here is about reading it once, in the order in which it lies, with all cores.

**Forward.** Some rows of the kernel, along all units, are added to the sums of all samples, then the next
(``dense_loops.py``). Each *group* of rows has its own sums, so that cores can share the work; they are added at the
end. How many groups there are depends on the layer alone.

**Input gradient.** A row of the kernel and a row of dy are both contiguous: each result is a dot product, a vector of
partial sums along both. Four rows of the kernel meet two of dy at a time, so six loads serve eight multiplications.

A sum runs over at most ``SHORT_TERMS`` terms before it is added to the next (dot products, in a vector of sums, over
``SHORT``), as everywhere here: short sums round less.
With more than ``FEW`` samples, multiplying takes longer than reading: ``dense_blocks``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.ops.calls import Into, Run
from minicnn.ops.dense_blocks import product
from minicnn.ops.dense_loops import FEW, SAMPLES, add_in_place
from minicnn.ops.gemm import TERMS, floor_of
from minicnn.ops.jit import njit, prange
from minicnn.ops.micro_kernel import ROWS, panel_width
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, splat
from minicnn.shapes import Array, Pair

GROUPS = 16  # of kernel rows, at most, among which the cores choose
SHORT_TERMS = 128  # of a sum that are added up at once
SHORT = 1024  # terms of a dot product, in one vector of partial sums
KERNEL_ROWS = 64  # whose dot products are one turn


def forward(x: Array, kernel: Array, bias: Array | None, relu: bool) -> Array:
    """x @ kernel + bias, cut off at 0 if ``relu``: (N, I) @ (I, U) -> (N, U). All C-contiguous, of one dtype."""
    N, I = x.shape  # noqa: E741  (sizes are upper case)
    U = kernel.shape[1]
    if N > FEW:
        return product(x, kernel, min(TERMS, max(SHORT_TERMS, -(-I // GROUPS))), bias, relu=relu)
    return for_few((N, I), U, x.dtype, lambda: (kernel, bias), relu)(x)


def for_few(x_shape: Pair, U: int, dtype: Any, weights: Callable[[], tuple[Array, Array | None]], relu: bool) -> Into:
    """``forward`` for at most FEW samples (N, I). ``weights``: kernel and bias, asked each time; they lie as before."""
    N, I = x_shape  # noqa: E741
    width, floor = panel_width(dtype), floor_of(relu, dtype)
    groups, bytes_each = min(GROUPS, -(-I // SHORT_TERMS)), np.dtype(dtype).itemsize

    def bind(x: Array, y: Array) -> Run:
        partial = np.empty((groups, N, U), dtype)
        read = I * U * bytes_each * -(-N // ROWS)
        add, gather = _forward.for_work(read), _gather.for_work(partial.nbytes)

        def run() -> None:
            kernel, bias = weights()
            add(x, kernel, width, partial)
            gather(partial, np.zeros(U, dtype) if bias is None else np.ascontiguousarray(bias), y, floor)

        return run

    return Into((N, U), dtype, bind, groups * N * U * bytes_each)


@turns
def _forward(x: Array, kernel: Array, W: int, partial: Array) -> None:
    """``partial`` (G, N, U): the sums of each group of kernel rows."""
    N, I = x.shape  # noqa: E741
    U = kernel.shape[1]
    groups, chunks = len(partial), (I + SHORT_TERMS - 1) // SHORT_TERMS
    for group in prange(groups):
        samples = (N + SAMPLES - 1) // SAMPLES * SAMPLES  # whole groups; nobody reads those beyond N
        sums = np.empty((samples, (U + W - 1) // W * W + W // 2), x.dtype)  # half a panel more: no power of two
        first = group * chunks // groups
        for chunk in range(first, (group + 1) * chunks // groups):
            add_in_place(x, kernel, chunk * SHORT_TERMS, min(I, (chunk + 1) * SHORT_TERMS), sums)
            for n in range(N):
                if chunk == first:
                    for u in range(U):
                        partial[group, n, u] = sums[n, u]
                else:
                    for u in range(U):
                        partial[group, n, u] += sums[n, u]


@turns
def _gather(partial: Array, bias: Array, y: Array, floor: float) -> None:
    """The groups' sums added in their order, then the bias; cut off at ``floor``. NaN stays."""
    groups, N, U = partial.shape
    for n in prange(N):
        for u in range(U):
            total = partial[0, n, u]
            for group in range(1, groups):
                total += partial[group, n, u]
            total += bias[u]
            y[n, u] = floor if total <= floor else total  # -0.0 becomes 0.0


def input_gradient(dy: Array, kernel: Array) -> Array:
    """dy @ kernel^T: (N, U) @ (I, U)^T -> (N, I). All C-contiguous, of one dtype."""
    if len(dy) > FEW:
        return product(dy, kernel, SHORT_TERMS, turned=True)
    dx = np.empty((len(dy), len(kernel)), dy.dtype)
    _input_gradient(kernel.nbytes * -(-len(dy) // 4), dy, kernel, dx)
    return dx


@turns
def _input_gradient(dy: Array, kernel: Array, dx: Array) -> None:
    N, I = dx.shape  # noqa: E741
    U = kernel.shape[1]
    for block in prange((I + KERNEL_ROWS - 1) // KERNEL_ROWS):
        for i in range(block * KERNEL_ROWS, min(I, (block + 1) * KERNEL_ROWS), 4):
            for u in range(0, U, SHORT):
                for n in range(0, N, 2):
                    _dots(dy, kernel, n, i, u, min(U, u + SHORT), dx)


@njit
def _dots(dy: Array, kernel: Array, n: int, i: int, start: int, stop: int, dx: Array) -> None:
    """dx[n:n+2, i:i+4] += dy[n:n+2] @ kernel[i:i+4]^T over the units from ``start``; the first units overwrite dx.

    Rows behind the last are replaced by the last: its results are computed, and written, more than once.
    """
    N, I = dx.shape  # noqa: E741
    U = kernel.shape[1]
    m, j, k, l = min(n + 1, N - 1), min(i + 1, I - 1), min(i + 2, I - 1), min(i + 3, I - 1)  # noqa: E741
    zero = splat(0.0, load(dy, 0, 0))
    ni, nj, nk, nl, mi, mj, mk, ml = zero, zero, zero, zero, zero, zero, zero, zero
    for u in range(start, stop, lanes(dy)):
        left = stop - u
        dyn, dym = load(dy, n * U + u, left), load(dy, m * U + u, left)
        row_i, row_j = load(kernel, i * U + u, left), load(kernel, j * U + u, left)
        row_k, row_l = load(kernel, k * U + u, left), load(kernel, l * U + u, left)
        ni, nj, nk, nl = dyn * row_i + ni, dyn * row_j + nj, dyn * row_k + nk, dyn * row_l + nl
        mi, mj, mk, ml = dym * row_i + mi, dym * row_j + mj, dym * row_k + mk, dym * row_l + ml
    sni, snj, snk, snl = add_up(ni), add_up(nj), add_up(nk), add_up(nl)
    smi, smj, smk, sml = add_up(mi), add_up(mj), add_up(mk), add_up(ml)
    if start > 0:
        sni, snj, snk, snl = dx[n, i] + sni, dx[n, j] + snj, dx[n, k] + snk, dx[n, l] + snl
        smi, smj, smk, sml = dx[m, i] + smi, dx[m, j] + smj, dx[m, k] + smk, dx[m, l] + sml
    dx[n, i], dx[n, j], dx[n, k], dx[n, l] = sni, snj, snk, snl
    dx[m, i], dx[m, j], dx[m, k], dx[m, l] = smi, smj, smk, sml
