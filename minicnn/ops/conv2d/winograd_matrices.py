"""The three small matrices of F(m x m, r x r), from the points at which it evaluates its polynomials.

See ``winograd.py`` for what they do. They are built by the Cook-Toom construction, in exact fractions rounded once at
the end, instead of being copied from a paper: another tile size or other points are one line here.

At a stride, an output reads the inputs of one remainder by the stride with the taps of that remainder, and those of
another with other taps: a sum of filters at stride 1, of a part of the taps each. ``strided`` puts their matrices
together, and ``strided_gradient`` those of the gradient of such a filter's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from minicnn.ops.simd import encode
from minicnn.shapes import Array


class Matrices(NamedTuple):
    """What transforms a tile's outputs, inputs and taps, in float64; Q is how many products there are.

    In use are A^T, which takes products to outputs, B^T, which takes the inputs to their factors, and G, which takes
    the taps to theirs.
    """

    A: Array  # (Q, outputs)
    B: Array  # (inputs, Q)
    G: Array  # (Q, taps)


class Imaginary:
    """The points i and -i, taken together: see ``COMPLEX``."""


I = Imaginary()  # noqa: E741  (its name in mathematics)
Points = Sequence[Fraction | Imaginary]


def cook_toom(outputs: int, taps: int, points: Points) -> Matrices:
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
    return Matrices(np.array(a, float), np.array(b_rows, float).T.copy(), np.array(g, float))


def strided(outputs: int, taps: int, stride: int) -> Matrices:
    """The filter at a stride: output o = the sum over t of input[stride * o + t] * tap[t].

    Input stride * i + r meets tap stride * j + r in output i - j: for each r a filter at stride 1, of its own inputs
    and taps. The products of all stand one below the other, and add up to the outputs.
    """
    phases = _phases(outputs, taps, stride)
    a, b, g = _empty(phases, outputs, stride * (outputs - 1) + taps, taps)
    for r, (rows, phase) in enumerate(phases):
        a[rows], b[r::stride, rows], g[rows, r::stride] = phase
    return Matrices(a, b, g)


def strided_gradient(outputs: int, taps: int, stride: int) -> Matrices:
    """The gradient of the input of ``strided``, from that of its outputs, as a filter with the *turned* taps:

        result[stride * q + r] = the sum over j of  input[q + reach - j] * taps[stride * j + r]

    with ``reach`` = (taps - 1) // stride: so much further back do its inputs begin. ``outputs`` is how many there are
    for each r. What is a filter of its own for each r here shares its inputs, and has its own outputs.
    """
    phases = _phases(outputs, taps, stride)
    reach = (taps - 1) // stride
    a, b, g = _empty(phases, outputs * stride, outputs + reach, taps)
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
        phase = cook_toom(outputs, own, (Fraction(0), Fraction(1), Fraction(-1))[: outputs + own - 2])
        phases.append((slice(first, first + len(phase.A)), phase))
        first += len(phase.A)
    return phases


def _empty(phases: list[tuple[slice, Matrices]], outputs: int, inputs: int, taps: int) -> Matrices:
    products = phases[-1][0].stop
    return Matrices(np.zeros((products, outputs)), np.zeros((inputs, products)), np.zeros((products, taps)))


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


def _texts(matrices: Matrices) -> Texts:
    a, b, g = matrices
    return Texts(encode(b.T), encode(a.T), encode(a), encode(g), encode(g.T))


# Points that keep rounding errors small. Of a sum over products, each with a random error, the standard deviation is
# that of the result times  sum over q of |B_q|^2 |G_q|^2 mean(A_q^2) / r,  in both dimensions together:
#
#     F(2x2,3x3) at 0, 1, -1              1.67, with 4.0 multiplications per output instead of 9
#     F(4x4,3x3) at 0, 1, -1, 1/2, -2     6.94, with 2.25
#     F(4x4,3x3) at 0, +-5/8, +-3/2       4.78, with 2.25; the least: 4.76, at +-2/3, +-3/2, which no float32 holds
#     F(4x4,3x3) at 0, 1, -1, i, -i       1.83, with 3.06
#     F(2x2,5x5) at 0, 1, -1, i, -i       1.90, with 12.25 instead of 25
#     F(2x2,3x3) at stride 2, at 0, 1     1.67, with 6.25; the gradient of its input as much, with 1.56 instead of 2.25
TWO = (Fraction(0), Fraction(1), Fraction(-1))
FOUR = (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2))
COMPLEX = (Fraction(0), Fraction(1), Fraction(-1), I)

MATRICES = (  # of each form, see ``winograd_transforms``
    cook_toom(2, 3, TWO),
    cook_toom(4, 3, FOUR),
    cook_toom(4, 3, COMPLEX),
    cook_toom(2, 5, COMPLEX),  # a tile has six inputs too, so its ``input`` is the same
    strided(2, 3, 2),
    strided_gradient(2, 3, 2),  # of the same taps, so its ``kernel`` is the same
)
TWO_3, FOUR_3, COMPLEX_3, COMPLEX_5, STRIDED_3, STRIDED_GRADIENT_3 = map(_texts, MATRICES)
