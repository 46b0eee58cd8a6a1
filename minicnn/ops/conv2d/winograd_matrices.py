"""The three small matrices of F(m x m, r x r), from the points at which it evaluates its polynomials.

See ``winograd.py`` for what they do. They are built by the Cook-Toom construction, in exact fractions rounded once at
the end, instead of being copied from a paper: another tile size or other points are one line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from minicnn.ops.simd import encode
from minicnn.shapes import Array


class Imaginary:
    """The points i and -i, taken together: see ``COMPLEX``."""


I = Imaginary()  # noqa: E741  (its name in mathematics)
Points = Sequence[Fraction | Imaginary]


def cook_toom(outputs: int, taps: int, points: Points) -> tuple[Array, Array, Array]:
    """The matrices (A, B, G) of F(outputs, taps) that evaluate at ``points`` and at infinity, in float64.

    A (Q, outputs) and G (Q, taps) take the coefficients of polynomials to their values, Q of them; B (outputs + taps
    - 1, Q) is whatever turns products of values into the filter's outputs again,

        sum over q of  B[position, q] * G[q, tap] * A[q, output]  =  1 if position == tap + output else 0,

    and these equations have one solution. A column of B may be multiplied by any number if the row of G is divided by
    it; here its last entry is 1.
    """
    degrees = sum(2 if isinstance(point, Imaginary) else 1 for point in points)
    if degrees != outputs + taps - 2:
        raise ValueError(f"F({outputs},{taps}) needs {outputs + taps - 2} finite points, got {degrees}")
    a, g = _values(points, outputs), _values(points, taps)
    pairs = [(tap, output) for tap in range(taps) for output in range(outputs)]
    products = [[g_row[tap] * a_row[output] for g_row, a_row in zip(g, a, strict=True)] for tap, output in pairs]
    wanted = [[Fraction(tap + output == n) for n in range(outputs + taps - 1)] for tap, output in pairs]
    b_rows = _solve(products, wanted)  # (Q, n): B^T
    scales = [next(value for value in reversed(row) if value) for row in b_rows]
    b_rows = [[value / scale for value in row] for row, scale in zip(b_rows, scales, strict=True)]
    g = [[value * scale for value in row] for row, scale in zip(g, scales, strict=True)]
    return np.array(a, float), np.array(b_rows, float).T.copy(), np.array(g, float)


def _values(points: Points, length: int) -> list[list[Fraction]]:
    """The matrix that evaluates a polynomial of ``length`` coefficients, lowest power first; its leading one last.

    At i the value is re + im * i, and at -i its conjugate, so both together are two numbers. The product of two such
    values takes three multiplications, not four (Karatsuba): re * re', im * im', (re + im) * (re' + im').
    """
    rows: list[list[Fraction]] = []
    for point in points:
        if isinstance(point, Imaginary):
            re = [Fraction((1, 0, -1, 0)[k % 4]) for k in range(length)]
            im = [Fraction((0, 1, 0, -1)[k % 4]) for k in range(length)]
            rows += [re, im, [r + i for r, i in zip(re, im, strict=True)]]
        else:
            rows.append([point**k for k in range(length)])
    return [*rows, [Fraction(k == length - 1) for k in range(length)]]


def _solve(equations: list[list[Fraction]], right: list[list[Fraction]]) -> list[list[Fraction]]:
    """The x with equations @ x = right, by elimination in fractions; there may be more equations than unknowns."""
    rows = [[*left, *own] for left, own in zip(equations, right, strict=True)]
    unknowns = len(equations[0])
    for k in range(unknowns):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            raise ValueError("points must be distinct")
        rows[k], rows[pivot] = rows[pivot], rows[k]
        lead = rows[k] = [value / rows[k][k] for value in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[k]:
                rows[i] = [value - row[k] * other for value, other in zip(row, lead, strict=True)]
    return [row[unknowns:] for row in rows[:unknowns]]


class Texts(NamedTuple):
    """The matrices as compiled code takes them: see ``minicnn.ops.simd``."""

    input: str  # B^T, for tiles of the input
    output: str  # A^T, for tiles of products
    upstream: str  # A, for tiles of output gradients
    kernel: str  # G, for kernels
    kernel_gradient: str  # G^T, for gradients of transformed kernels


def _texts(outputs: int, taps: int, points: Points) -> Texts:
    a, b, g = cook_toom(outputs, taps, points)
    return Texts(encode(b.T), encode(a.T), encode(a), encode(g), encode(g.T))


# Points that keep rounding errors small. Of a sum over products, each with a random error, the standard deviation is
# that of the result times  sum over q of |B_q|^2 |G_q|^2 mean(A_q^2) / r,  in both dimensions together:
#
#     F(2x2,3x3) at 0, 1, -1              1.67, with 4.0 multiplications per output instead of 9
#     F(4x4,3x3) at 0, 1, -1, 1/2, -2     6.94, with 2.25
#     F(4x4,3x3) at 0, +-5/8, +-3/2       4.78, with 2.25; the least: 4.76, at +-2/3, +-3/2, which no float32 holds
#     F(4x4,3x3) at 0, 1, -1, i, -i       1.83, with 3.06
#     F(2x2,5x5) at 0, 1, -1, i, -i       1.90, with 12.25 instead of 25
TWO = (Fraction(0), Fraction(1), Fraction(-1))
FOUR = (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2))
COMPLEX = (Fraction(0), Fraction(1), Fraction(-1), I)

TWO_3 = _texts(2, 3, TWO)
FOUR_3 = _texts(4, 3, FOUR)
COMPLEX_3 = _texts(4, 3, COMPLEX)
COMPLEX_5 = _texts(2, 5, COMPLEX)  # a tile has six inputs too, so its ``input`` is the same
