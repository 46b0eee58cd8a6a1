"""The two products of a dense layer that read its kernel, at the speed of reading.

    y[n, u]  = bias[u] + sum over i of  x[n, i] * kernel[i, u]
    dx[n, i] = sum over u of  dy[n, u] * kernel[i, u]

The kernel of VGG-Face's fc6 has 103 million numbers, 411 MB. With a batch of 8, each of them is used for 8
multiplications: a core is done with those before memory has delivered the next number. So time is the time of reading
the kernel once, and everything here is about reading it once, in the order in which it lies, with all cores.

**Forward.** The sums of a whole row of units stay in the cache. Sixteen rows of the kernel are taken at a time, and the
register tile (``micro_kernel.py``) walks along them: it loads the sums of 32 units, adds 16 products to each, stores
them. The processor sees sixteen streams of memory and fetches ahead in all of them. Each *group* of rows has its own
sums, so that cores can share the work; they are added at the end. How many groups there are depends on the layer alone.

When there are more samples than the tile has rows, several tiles need the same numbers. Two of them fetch these from
the second cache. For more, blocks of the kernel are copied, a tile's width each, before the tiles read them: rows of
the kernel are often a power of two long, and such rows compete for the same few places of the nearest cache.

**Input gradient.** A row of the kernel and a row of dy are both contiguous: each result is a dot product, a vector of
partial sums along both. Four rows of the kernel meet two of dy at a time, so six loads serve eight multiplications.

A sum runs over at most ``TERMS`` terms before it is added to the next, as everywhere here: short sums round less.
"""

from __future__ import annotations

import numpy as np

from minicnn.ops.gemm import TERMS, even_rows, floor_of
from minicnn.ops.jit import njit, prange
from minicnn.ops.micro_kernel import ROWS, panel_width, walking_tile
from minicnn.ops.simd import pointer
from minicnn.ops.turns import turns
from minicnn.ops.vectors import add_up, lanes, load, splat, store
from minicnn.shapes import Array

GROUPS = 16  # of kernel rows, at most, among which the cores choose
RUN = 16  # rows of the kernel that are read side by side
COPIED_RUN, COPIED_PANELS = 32, 16  # rows and panels in a copied block: 64 KB
SHORT = 1024  # terms of a dot product, in one vector of partial sums
READ_IN_PLACE = max(12, ROWS)  # samples up to which nothing is copied
KERNEL_ROWS = 64  # whose dot products are one turn


def forward(x: Array, kernel: Array, bias: Array | None, relu: bool) -> Array:
    """x @ kernel + bias, cut off at 0 if ``relu``: (N, I) @ (I, U) -> (N, U). All C-contiguous, of one dtype."""
    N, I = x.shape  # noqa: E741  (sizes are upper case)
    U = kernel.shape[1]
    terms = min(TERMS, max(128, -(-I // GROUPS)))
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
        block = np.empty((COPIED_PANELS, COPIED_RUN, W) if N > READ_IN_PLACE else (1, RUN, W), x.dtype)
        offsets = np.zeros(2, np.intp)
        first = group * chunks // groups
        for chunk in range(first, (group + 1) * chunks // groups):
            _add_rows(x, kernel, chunk * terms, min(I, (chunk + 1) * terms), block, offsets, sums)
            for n in range(N):
                if chunk == first:
                    for u in range(U):
                        partial[group, n, u] = sums[n, u]
                else:
                    for u in range(U):
                        partial[group, n, u] += sums[n, u]


@njit
def _add_rows(x: Array, kernel: Array, start: int, stop: int, block: Array, offsets: Array, sums: Array) -> None:
    """sums = x[:, start:stop] @ kernel[start:stop], with zeros or anything else behind the last column."""
    N, I = x.shape  # noqa: E741
    U = kernel.shape[1]
    panels, longest, W = block.shape
    at_once, wide = even_rows(N, ROWS), sums.shape[1]
    copied = panels > 1
    nothing = np.zeros(W, x.dtype)
    floor = x.dtype.type(-np.inf)
    for i in range(start, stop, longest):
        run = min(longest, stop - i)
        for u in range(0, U, W):
            panel = u // W % panels
            vectors = (min(W, U - u) + W // 2 - 1) // (W // 2)
            if copied and panel == 0:
                _copy(kernel, i, u, run, block)
            source, step = pointer(kernel, i * U + u), U
            if copied:
                source, step = pointer(block, panel * longest * W), W
            elif u + vectors * (W // 2) > U:  # a vector would read what stands behind the last column
                _copy(kernel, i, u, run, block)
                source, step = pointer(block, 0), W
            for n in range(0, N, at_once):
                before, before_row = pointer(nothing, 0), 0
                if i > start:
                    before, before_row = pointer(sums, n * wide + u), wide
                walking_tile(
                    min(at_once, N - n),
                    vectors,
                    pointer(x, n * I + i),
                    I,
                    1,
                    source,
                    step,
                    pointer(offsets, 0),
                    1,
                    run,
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
