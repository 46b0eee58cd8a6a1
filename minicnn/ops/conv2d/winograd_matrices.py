"""The three small matrices of F(m x m, r x r), from the points at which it evaluates its polynomials.

See ``winograd.py`` for what they do. They are built from their points, instead of being copied from a paper: another
tile size or other points are one line here, in exact fractions that are rounded once at the end.

At a stride, an output reads the inputs of one remainder by the stride with the taps of that remainder, and those of
another with other taps: a sum of filters at stride 1, of a part of the taps each. ``strided`` puts their matrices
together, and ``strided_gradient`` those of the gradient of such a filter's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from minicnn.shapes import Array

Exact = int | Fraction  # a point


class Matrices(NamedTuple):
    """What transforms a tile's outputs, inputs and taps, in float64, to and from n' numbers: values at points.

    In use are A^T, which takes products to outputs, B^T, which takes the inputs to their factors, and G, which takes
    the taps to theirs. The last ``2 * pairs`` values are real and imaginary parts, one after the other, of values at a
    complex point, which stands for its conjugate too.
    """

    A: Array  # (n', outputs)
    B: Array  # (inputs, n')
    G: Array  # (n', taps)
    pairs: int = 0


def cook_toom(outputs: int, taps: int, points: Sequence[Exact], imaginary: Sequence[Exact] = ()) -> Matrices:
    """The matrices (A, B, G) of F(outputs, taps) that evaluate at ``points``, at infinity, and at i c and -i c for
    every c in ``imaginary``; in float64. Raises ValueError for a wrong number of points, or one that is there twice.

    A (n, outputs) and G (n, taps) take the coefficients of polynomials to their n = outputs + taps - 1 values; B (n, n)
    is whatever turns products of values into the filter's outputs again,

        sum over q of  B[position, q] * G[q, tap] * A[q, output]  =  1 if position == tap + output else 0,

    where of a pair, rows q and q + 1 of real and imaginary parts, the product is that of complex numbers. These
    equations have one solution. A column of B may be multiplied by any number if the row of G is divided by it; here
    its last entry that is not 0 is 1, of a pair that of the real parts.
    """
    if len(points) + 2 * len(imaginary) != outputs + taps - 2:
        given = len(points) + 2 * len(imaginary)
        raise ValueError(f"F({outputs},{taps}) needs {outputs + taps - 2} finite points, got {given}")
    a, g = _values(points, imaginary, outputs), _values(points, imaginary, taps)
    # The product of two powers depends on the sum of their exponents alone: one equation for each position will do.
    met = [(min(n, taps - 1), n - min(n, taps - 1)) for n in range(outputs + taps - 1)]
    products = [_product([row[tap] for row in g], [row[output] for row in a], len(points) + 1) for tap, output in met]
    b_rows = _inverse(products)  # (n', n): B^T
    scales = [next(value for value in reversed(row) if value) for row in b_rows]
    for im in range(len(points) + 2, len(scales), 2):
        scales[im] = scales[im - 1]
    b_rows = [[value / scale for value in row] for row, scale in zip(b_rows, scales, strict=True)]
    g = [[value * scale for value in row] for row, scale in zip(g, scales, strict=True)]
    return Matrices(np.array(a, float), np.array(b_rows, float).T.copy(), np.array(g, float), len(imaginary))


def _product(left: list[Fraction], right: list[Fraction], reals: int) -> list[Fraction]:
    """The values of a product of two polynomials, from theirs; after ``reals`` of them come pairs."""
    values = [one * other for one, other in zip(left[:reals], right[:reals], strict=True)]
    for k in range(reals, len(left), 2):
        (re, im), (other_re, other_im) = left[k : k + 2], right[k : k + 2]
        values += [re * other_re - im * other_im, re * other_im + im * other_re]
    return values


def strided(outputs: int, taps: int, stride: int) -> Matrices:
    """The filter at a stride: output o = the sum over t of input[stride * o + t] * tap[t].

    Input stride * i + r meets tap stride * j + r in output i - j: for each r a filter at stride 1, of its own inputs
    and taps. The products of all stand one below the other, and add up to the outputs.
    """
    phases = _phases(outputs, taps, stride)
    a, b, g, _ = _empty(phases, outputs, stride * (outputs - 1) + taps, taps)
    for r, (rows, phase) in enumerate(phases):
        a[rows], b[r::stride, rows], g[rows, r::stride] = phase.A, phase.B, phase.G
    return Matrices(a, b, g)


def strided_gradient(outputs: int, taps: int, stride: int) -> Matrices:
    """The gradient of the input of ``strided``, from that of its outputs, as a filter with the *turned* taps:

        result[stride * q + r] = the sum over j of  input[q + reach - j] * taps[stride * j + r]

    with ``reach`` = (taps - 1) // stride: so much further back do its inputs begin. ``outputs`` is how many there are
    for each r. What is a filter of its own for each r here shares its inputs, and has its own outputs.
    """
    phases = _phases(outputs, taps, stride)
    reach = (taps - 1) // stride
    a, b, g, _ = _empty(phases, outputs * stride, outputs + reach, taps)
    for r, (rows, phase) in enumerate(phases):
        own = taps - 1 - r  # of the turned taps the last one of this remainder, and each stride-th before it
        a[rows, r::stride], g[rows, own % stride :: stride] = phase.A, phase.G
        b[reach - own // stride :, rows] = phase.B
    return Matrices(a, b, g)


def _phases(outputs: int, taps: int, stride: int) -> list[tuple[slice, Matrices]]:
    """For each remainder by the stride: the filter of its taps, and the rows that its products take."""
    phases, first = [], 0
    for r in range(stride):
        own = len(range(r, taps, stride))
        phase = cook_toom(outputs, own, (0, 1, -1)[: outputs + own - 2])
        phases.append((slice(first, first + len(phase.A)), phase))
        first += len(phase.A)
    return phases


def _empty(phases: list[tuple[slice, Matrices]], outputs: int, inputs: int, taps: int) -> Matrices:
    products = phases[-1][0].stop
    return Matrices(np.zeros((products, outputs)), np.zeros((inputs, products)), np.zeros((products, taps)))


def _values(points: Sequence[Exact], imaginary: Sequence[Exact], length: int) -> list[list[Fraction]]:
    """The matrix that evaluates a polynomial of ``length`` coefficients, lowest power first; at infinity that is its
    leading one."""
    powers = range(length)
    turns = ((1, 0), (0, 1), (-1, 0), (0, -1))  # i ** k
    return [
        *([Fraction(point) ** k for k in powers] for point in points),
        [Fraction(k == length - 1) for k in powers],
        *([turns[k % 4][part] * Fraction(c) ** k for k in powers] for c in imaginary for part in (0, 1)),
    ]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By elimination, in fractions."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == k) for k in range(size))] for i, row in enumerate(matrix)]
    for k in range(size):
        pivot = next((i for i in range(k, size) if rows[i][k]), None)
        if pivot is None:
            raise ValueError("points must be distinct")
        rows[k], rows[pivot] = rows[pivot], rows[k]
        lead = rows[k] = [value / rows[k][k] for value in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[k]:
                rows[i] = [value - row[k] * other if other else value for value, other in zip(row, lead, strict=True)]
    return [row[size:] for row in rows]


# Points that keep rounding errors small. Of a sum over products, each with a random error, the standard deviation is
# that of the result times the root of  sum over planes of |B_p|^2 |G_p|^2 mean(A_p^2) / r^2  (``two_dimensional``):
#
#     F(2x2,3x3) at 0, 1, -1              1.67, with 4.0 multiplications per output instead of 9
#     F(4x4,3x3) at 0, 1, -1, 1/2, -2     6.94, with 2.25
#     F(4x4,3x3) at 0, +-5/8, +-3/2       4.78, with 2.25; the least: 4.76, at +-2/3, +-3/2, which no float32 holds
#     F(4x4,3x3) at 0, 1, -1, i, -i       1.69, with 2.88
#     F(6x6,3x3) at 0, +-3/4, +-11/8, +-i 2.85, with 2.17
#     F(2x2,5x5) at 0, 1, -1, i, -i       1.76, with 11.5 instead of 25
#     F(4x4,5x5) at 0, +-3/4, +-11/8, +-i 2.72, with 4.88
#     F(2x2,3x3) at stride 2, at 0, 1     1.67, with 6.25; the gradient of its input as much, with 1.56 instead of 2.25
UNITS = (0, 1, -1)
FOUR = (0, Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2))
BESIDE_I = (0, Fraction(3, 4), Fraction(-3, 4), Fraction(11, 8), Fraction(-11, 8))

MATRICES = (  # of each form, see ``winograd_transforms``
    cook_toom(2, 3, UNITS),
    cook_toom(4, 3, FOUR),
    cook_toom(4, 3, UNITS, imaginary=(1,)),
    cook_toom(2, 5, UNITS, imaginary=(1,)),
    strided(2, 3, 2),
    strided_gradient(2, 3, 2),  # of the same taps
    cook_toom(6, 3, BESIDE_I, imaginary=(1,)),
    cook_toom(4, 5, BESIDE_I, imaginary=(1,)),
)
