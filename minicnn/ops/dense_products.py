"""The two products of a dense layer that read its kernel, at the speed of reading.

    y[n, u]  = bias[u] + sum over i of  x[n, i] * kernel[i, u]
    dx[n, i] = sum over u of  dy[n, u] * kernel[i, u]

The kernel of VGG-Face's fc6 has 103 million numbers, 411 MB. With a batch of 8, each of them is used for 8
multiplications: a core is done with those before memory has delivered the next number. So time is the time of reading
the kernel once, and everything here is about reading it once, in the order in which it lies, with all cores.

**Forward**, for a few samples: four rows of the kernel are read side by side, along all units, and added to the sums of
all units, of two samples at a time. Memory then delivers four streams, each in order, which is what a processor is
prepared for; the sums stay in the cache. Each *group* of rows has its own sums, so that cores can share the work; they
are added at the end. How many groups there are depends on the layer alone.

With more samples, the multiplications take longer than reading. Then blocks of the kernel are copied, a register tile's
width each, and the tile (``micro_kernel.py``) does them: rows of the kernel are often a power of two long, and such
rows compete for the same few places of the nearest cache.

**Input gradient.** A row of the kernel and a row of dy are both contiguous: each result is a dot product, a vector of
partial sums along both. Four rows of the kernel meet two of dy at a time, so six loads serve eight multiplications.

A sum runs over at most ``TERMS`` terms (``FEW_TERMS`` for few samples) before it is added to the next, as everywhere
here: short sums round less.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.copying import clear
from minicnn.ops.gemm import TERMS, even_rows, floor_of
from minicnn.ops.jit import njit, prange
from minicnn.ops.micro_kernel import ROWS, panel_width, parts, tile
from minicnn.ops.simd import pointer
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, splat, store
from minicnn.shapes import Array

GROUPS = 16  # of kernel rows, at most, among which the cores choose
FEW = 32  # samples up to which the kernel is read where it lies
FEW_TERMS = 128  # of a sum that are then added up at once: four at a time
COPIED_RUN, COPIED_PANELS = 32, 16  # rows and panels in a copied block: 64 KB
SHORT = 1024  # terms of a dot product, in one vector of partial sums
KERNEL_ROWS = 64  # whose dot products are one turn


def forward(x: Array, kernel: Array, bias: Array | None, relu: bool) -> Array:
    """x @ kernel + bias, cut off at 0 if ``relu``: (N, I) @ (I, U) -> (N, U). All C-contiguous, of one dtype."""
    N, I = x.shape  # noqa: E741  (sizes are upper case)
    U = kernel.shape[1]
    terms = FEW_TERMS if N <= FEW else min(TERMS, max(FEW_TERMS, -(-I // GROUPS)))
    partial = np.empty((min(GROUPS, -(-I // terms)), N, U), x.dtype)
    addend = np.zeros(U, x.dtype) if bias is None else np.ascontiguousarray(bias)
    y = np.empty((N, U), x.dtype)
    work = kernel.nbytes * -(-N // ROWS)
    _forward(work, x, kernel, terms, panel_width(x.dtype), partial)
    _gather(partial.nbytes, partial, addend, y, floor_of(relu, x.dtype))
    return y


@turns
def _forward(x: Array, kernel: Array, terms: int, W: int, partial: Array) -> None:
    """``partial`` (G, N, U): the sums of each group of kernel rows."""
    N, I = x.shape  # noqa: E741
    U = kernel.shape[1]
    groups, chunks = len(partial), (I + terms - 1) // terms
    for group in prange(groups):
        sums = np.empty((N, (U + W - 1) // W * W + W // 2), x.dtype)  # half a panel more: no power of two
        block = np.empty((COPIED_PANELS if N > FEW else 0, COPIED_RUN, W), x.dtype)
        first = group * chunks // groups
        for chunk in range(first, (group + 1) * chunks // groups):
            start, stop = chunk * terms, min(I, (chunk + 1) * terms)
            if N <= FEW:
                _add_in_place(x, kernel, start, stop, sums)
            else:
                _add_copied(x, kernel, start, stop, block, sums)
            for n in range(N):
                if chunk == first:
                    for u in range(U):
                        partial[group, n, u] = sums[n, u]
                else:
                    for u in range(U):
                        partial[group, n, u] += sums[n, u]


@njit
def _add_in_place(x: Array, kernel: Array, start: int, stop: int, sums: Array) -> None:
    """sums = x[:, start:stop] @ kernel[start:stop], with zeros behind the last column."""
    N, fours = len(x), (stop - start) // 4 * 4
    clear(sums, 0, sums.size)
    for i in range(start, start + fours, 4):
        for n in range(0, N, 2):
            _add_four_rows(x, kernel, n, min(n + 1, N - 1), i, sums)
    for i in range(start + fours, stop):
        for n in range(N):
            _add_row(x, kernel, n, i, sums)


@njit
def _add_four_rows(x: Array, kernel: Array, n: int, m: int, i: int, sums: Array) -> None:
    """sums[n] and sums[m], which may be the same, += x[n or m, i : i + 4] @ kernel[i : i + 4]."""
    U, wide, like = kernel.shape[1], sums.shape[1], load(kernel, 0, 0)
    zero = splat(0.0, like)
    n0, n1, n2, n3 = splat(x[n, i], like), splat(x[n, i + 1], like), splat(x[n, i + 2], like), splat(x[n, i + 3], like)
    m0, m1, m2, m3 = splat(x[m, i], like), splat(x[m, i + 1], like), splat(x[m, i + 2], like), splat(x[m, i + 3], like)
    for u in range(0, U, lanes(kernel)):
        at, left = i * U + u, U - u
        row0, row1 = load(kernel, at, left), load(kernel, at + U, left)
        row2, row3 = load(kernel, at + 2 * U, left), load(kernel, at + 3 * U, left)
        of_n = row3 * n3 + (row2 * n2 + (row1 * n1 + (row0 * n0 + zero)))  # with zero there is one way to round this
        of_m = row3 * m3 + (row2 * m2 + (row1 * m1 + (row0 * m0 + zero)))
        store(sums, n * wide + u, load(sums, n * wide + u, left) + of_n, left)
        if m != n:
            store(sums, m * wide + u, load(sums, m * wide + u, left) + of_m, left)


@njit
def _add_row(x: Array, kernel: Array, n: int, i: int, sums: Array) -> None:
    """sums[n] += x[n, i] * kernel[i]"""
    U, wide = kernel.shape[1], sums.shape[1]
    factor = splat(x[n, i], load(kernel, 0, 0))
    for u in range(0, U, lanes(kernel)):
        left = U - u
        store(sums, n * wide + u, load(kernel, i * U + u, left) * factor + load(sums, n * wide + u, left), left)


@njit
def _add_copied(x: Array, kernel: Array, start: int, stop: int, block: Array, sums: Array) -> None:
    """sums = x[:, start:stop] @ kernel[start:stop], with zeros or anything else behind the last column."""
    N, I = x.shape  # noqa: E741
    U = kernel.shape[1]
    panels, longest, W = block.shape
    at_once, wide = even_rows(N, ROWS), sums.shape[1]
    nothing, floor = np.zeros(W, x.dtype), x.dtype.type(-np.inf)
    for i in range(start, stop, longest):
        run = min(longest, stop - i)
        table = parts(run, run, 1, W)
        for u in range(0, U, W):
            panel = u // W % panels
            if panel == 0:
                _copy(kernel, i, u, run, block)
            for n in range(0, N, at_once):
                before, before_row = pointer(nothing, 0), 0
                if i > start:
                    before, before_row = pointer(sums, n * wide + u), wide
                tile(
                    min(at_once, N - n),
                    (min(W, U - u) + W // 2 - 1) // (W // 2),
                    pointer(x, n * I + i),
                    I,
                    1,
                    pointer(block, panel * longest * W),
                    pointer(table, 0),
                    1,
                    before,
                    before_row,
                    pointer(sums, n * wide + u),
                    wide,
                    floor,
                )


@njit
def _copy(kernel: Array, i: int, u: int, run: int, block: Array) -> None:
    """Rows from ``i`` on, units from ``u`` on, W side by side, into ``block`` (panels, rows, W). Zeros at the end."""
    U = kernel.shape[1]
    panels, rows, W = block.shape
    half = lanes(kernel)
    for k in range(run):
        for panel in range(min(panels, (U - u + W - 1) // W)):
            at, into = (i + k) * U + u + panel * W, (panel * rows + k) * W
            left = U - u - panel * W
            for w in range(0, W, half):
                store(block, into + w, load(kernel, at + w, left - w), W)


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
            y[n, u] = floor if total < floor else total


def input_gradient(dy: Array, kernel: Array) -> Array:
    """dy @ kernel^T: (N, U) @ (I, U)^T -> (N, I). All C-contiguous, of one dtype."""
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
