"""How some rows of a dense layer's kernel meet a few samples: the loops that ``dense_products`` divides among cores.

Two ways, by the number of samples:

- one or two (``_add_long_rows``): eight rows side by side, along all units. Memory delivers eight streams, each in
  order, which is what a processor is prepared for; the sums of all units stay in the cache.
- up to ``FEW`` (``_add_strips``): two vectors of each of eight rows, for all samples, then the next two. So rows come
  from memory once and are near when the next samples meet them; sums are read and written once for every eight rows.

Both add in the same order, so a sample gets the same bits alone and among a few. For more samples: ``dense_blocks``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.copying import clear
from minicnn.ops.jit import inline, njit
from minicnn.ops.vectors import lanes, load, splat, store
from minicnn.shapes import Array

FEW = 32  # samples up to which the kernel is read where it lies
TOGETHER = 8  # rows whose products are added up before they are added to the sums
SAMPLES = 4  # that meet a strip together


@njit
def add_in_place(x: Array, kernel: Array, start: int, stop: int, sums: Array) -> None:
    """sums (N or more, U or more) = x[:, start:stop] @ kernel[start:stop], and anything beyond.

    ``sums`` has a whole number of SAMPLES rows, and room for a whole number of pairs of vectors in each.
    """
    N, end = len(x), start + (stop - start) // TOGETHER * TOGETHER
    clear(sums, 0, (N if N <= 2 else len(sums)) * sums.shape[1])
    if N <= 2:
        for i in range(start, end, TOGETHER):
            _add_long_rows(x, kernel, i, sums)
    else:
        _add_strips(x, kernel, start, end, sums)
    for i in range(end, stop):
        for n in range(N):
            _add_row(x, kernel, n, i, sums)


@njit
def _add_strips(x: Array, kernel: Array, start: int, stop: int, sums: Array) -> None:
    """sums += x[:, start:stop] @ kernel[start:stop], strip by strip."""
    U, pair = kernel.shape[1], 2 * lanes(kernel)
    whole, factors = U // pair * pair, np.zeros((TOGETHER, len(sums)), x.dtype)
    for i in range(start, stop, TOGETHER):
        for n in range(len(x)):
            for k in range(TOGETHER):
                factors[k, n] = x[n, i + k]
        for u in range(0, whole, pair):
            for n in range(0, len(sums), SAMPLES):
                _add_strip(factors, kernel, n, i, u, pair, sums)
        if whole < U:
            for n in range(0, len(sums), SAMPLES):
                _add_strip(factors, kernel, n, i, whole, U - whole, sums)


@inline  # a call for every strip would cost as much as the strip
def _add_strip(factors: Array, kernel: Array, n: int, i: int, u: int, left: int, sums: Array) -> None:
    """sums[n : n+4] += factors[:, n : n+4]^T @ kernel[i : i+8], for ``left`` columns from u on, at most two vectors."""
    U, wide, width, like = kernel.shape[1], sums.shape[1], lanes(kernel), load(kernel, 0, 0)
    zero = splat(0.0, like)
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    at, to = i * U + u, n * wide + u
    for k in range(TOGETHER):
        a, b = load(kernel, at, left), load(kernel, at + width, left - width)
        f0, f1 = splat(factors[k, n], like), splat(factors[k, n + 1], like)
        f2, f3 = splat(factors[k, n + 2], like), splat(factors[k, n + 3], like)
        a0, a1, a2, a3 = a * f0 + a0, a * f1 + a1, a * f2 + a2, a * f3 + a3
        b0, b1, b2, b3 = b * f0 + b0, b * f1 + b1, b * f2 + b2, b * f3 + b3
        at += U
    _add_pair(sums, to, a0, b0)
    _add_pair(sums, to + wide, a1, b1)
    _add_pair(sums, to + 2 * wide, a2, b2)
    _add_pair(sums, to + 3 * wide, a3, b3)


@inline
def _add_pair(sums: Array, to: int, a: Any, b: Any) -> None:
    """Two vectors side by side, from ``to`` on, += a and b."""
    width = lanes(sums)
    store(sums, to, load(sums, to, width) + a, width)
    store(sums, to + width, load(sums, to + width, width) + b, width)


@njit
def _add_long_rows(x: Array, kernel: Array, i: int, sums: Array) -> None:
    """sums[n] += x[n, i : i+8] @ kernel[i : i+8] for each of one or two samples n."""
    U, wide, like, n, m = kernel.shape[1], sums.shape[1], load(kernel, 0, 0), 0, len(x) - 1
    zero = splat(0.0, like)
    n0, n1, n2, n3 = splat(x[n, i], like), splat(x[n, i + 1], like), splat(x[n, i + 2], like), splat(x[n, i + 3], like)
    m0, m1, m2, m3 = splat(x[m, i], like), splat(x[m, i + 1], like), splat(x[m, i + 2], like), splat(x[m, i + 3], like)
    j = i + 4
    n4, n5, n6, n7 = splat(x[n, j], like), splat(x[n, j + 1], like), splat(x[n, j + 2], like), splat(x[n, j + 3], like)
    m4, m5, m6, m7 = splat(x[m, j], like), splat(x[m, j + 1], like), splat(x[m, j + 2], like), splat(x[m, j + 3], like)
    for u in range(0, U, lanes(kernel)):
        at, left = i * U + u, U - u
        row0, row1 = load(kernel, at, left), load(kernel, at + U, left)
        row2, row3 = load(kernel, at + 2 * U, left), load(kernel, at + 3 * U, left)
        row4, row5 = load(kernel, at + 4 * U, left), load(kernel, at + 5 * U, left)
        row6, row7 = load(kernel, at + 6 * U, left), load(kernel, at + 7 * U, left)
        of_n = row3 * n3 + (row2 * n2 + (row1 * n1 + (row0 * n0 + zero)))  # with zero there is one way to round this
        of_m = row3 * m3 + (row2 * m2 + (row1 * m1 + (row0 * m0 + zero)))
        of_n = row7 * n7 + (row6 * n6 + (row5 * n5 + (row4 * n4 + of_n)))
        of_m = row7 * m7 + (row6 * m6 + (row5 * m5 + (row4 * m4 + of_m)))
        store(sums, u, load(sums, u, left) + of_n, left)
        if m > 0:
            store(sums, wide + u, load(sums, wide + u, left) + of_m, left)


@njit
def _add_row(x: Array, kernel: Array, n: int, i: int, sums: Array) -> None:
    """sums[n] += x[n, i] * kernel[i]"""
    U, wide = kernel.shape[1], sums.shape[1]
    factor = splat(x[n, i], load(kernel, 0, 0))
    for u in range(0, U, lanes(kernel)):
        left = U - u
        store(sums, n * wide + u, load(kernel, i * U + u, left) * factor + load(sums, n * wide + u, left), left)
