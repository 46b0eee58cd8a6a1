"""The three small matrices of F(m x m, r x r), from the points at which it evaluates its polynomials.

See ``winograd.py`` for what they do. They are built from their points, instead of being copied from a paper: another
tile size or other points are one line here. ``cook_toom`` takes any real points, in exact fractions rounded once at the
end; ``roots_of_unity`` takes 0, the roots of unity of some order, and infinity, for which there are formulas.

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


def cook_toom(outputs: int, taps: int, points: Sequence[Fraction]) -> Matrices:
    """The matrices (A, B, G) of F(outputs, taps) that evaluate at ``points`` and at infinity, in float64.

    A (Q, outputs) and G (Q, taps) take the coefficients of polynomials to their values, Q of them; B (outputs + taps
    - 1, Q) is whatever turns products of values into the filter's outputs again,

        sum over q of  B[position, q] * G[q, tap] * A[q, output]  =  1 if position == tap + output else 0,

    and these equations have one solution. A column of B may be multiplied by any number if the row of G is divided by
    it; here its last entry is 1.
    """
    if len(points) != outputs + taps - 2:
        raise ValueError(f"F({outputs},{taps}) needs {outputs + taps - 2} finite points, got {len(points)}")
    a, g = _values(points, outputs), _values(points, taps)
    pairs = [(tap, output) for tap in range(taps) for output in range(outputs)]
    products = [[g_row[tap] * a_row[output] for g_row, a_row in zip(g, a, strict=True)] for tap, output in pairs]
    wanted = [[Fraction(tap + output == n) for n in range(outputs + taps - 1)] for tap, output in pairs]
    b_rows = _solve(products, wanted)  # (Q, n): B^T
    scales = [next(value for value in reversed(row) if value) for row in b_rows]
    b_rows = [[value / scale for value in row] for row, scale in zip(b_rows, scales, strict=True)]
    g = [[value * scale for value in row] for row, scale in zip(g, scales, strict=True)]
    return Matrices(np.array(a, float), np.array(b_rows, float).T.copy(), np.array(g, float))


def roots_of_unity(outputs: int, taps: int) -> Matrices:
    """F(outputs, taps) at 0, infinity and the k roots of unity of order k = outputs + taps - 3, an even number.

    The values at the roots are a Fourier transform of length k, whose inverse is known. It takes the polynomial for one
    of period k: the coefficients 0 and k come out added up, and so do 1 and k + 1; but 0 and k + 1 are the values at 0
    and infinity, which are subtracted. Data being real, conjugate roots have conjugate values, and only one of the two
    is computed; what it counts twice, and the division by k, are left to G.
    """
    k = outputs + taps - 3
    if k < 2 or k % 2:
        raise ValueError(f"F({outputs},{taps}) has {k} points beside 0 and infinity, which must be an even number")
    pairs = k // 2 - 1
    b = np.zeros((k + 2, k + 2))
    b[0, 0], b[k, 0], b[k + 1, 3], b[1, 3] = 1, -1, 1, -1
    b[1:-1, [1, 2, *range(4, k + 2)]] = _at_roots(k, np.arange(1, k + 1)).T
    g = _with_ends(k, taps)
    g[1:3] /= k
    g[4:] /= k / 2
    return Matrices(_with_ends(k, outputs), b, g, pairs)


def _at_roots(k: int, powers: Array) -> Array:
    """(k, len): the powers of 1 and -1, then of a root of each pair, as real and imaginary part."""
    eighths = np.outer(range(k // 2 + 1), powers)
    re, im = np.cos(2 * np.pi / k * eighths), np.sin(2 * np.pi / k * eighths)
    rows = [re[0], re[-1], *(part[j] for j in range(1, k // 2) for part in (re, im))]
    return np.where(np.abs(rows) < 1e-9, 0.0, rows)  # cos(pi / 2) is not quite 0 in floating point


def _with_ends(k: int, length: int) -> Array:
    """The matrix that evaluates a polynomial: at 0, 1, -1, infinity (its leading coefficient), and the other roots."""
    roots = _at_roots(k, np.arange(length))
    unit = np.eye(length)
    return np.array([unit[0], roots[0], roots[1], unit[-1], *roots[2:]])


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
        phase = cook_toom(outputs, own, (Fraction(0), Fraction(1), Fraction(-1))[: outputs + own - 2])
        phases.append((slice(first, first + len(phase.A)), phase))
        first += len(phase.A)
    return phases


def _empty(phases: list[tuple[slice, Matrices]], outputs: int, inputs: int, taps: int) -> Matrices:
    products = phases[-1][0].stop
    return Matrices(np.zeros((products, outputs)), np.zeros((inputs, products)), np.zeros((products, taps)))


def _values(points: Sequence[Fraction], length: int) -> list[list[Fraction]]:
    """The matrix that evaluates a polynomial of ``length`` coefficients, lowest power first; its leading one last."""
    return [
        *([point**k for k in range(length)] for point in points),
        [Fraction(k == length - 1) for k in range(length)],
    ]


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


# Points that keep rounding errors small. Of a sum over products, each with a random error, the standard deviation is
# that of the result times the root of  sum over planes of |B_p|^2 |G_p|^2 mean(A_p^2) / r^2  (``two_dimensional``):
#
#     F(2x2,3x3) at 0, 1, -1              1.67, with 4.0 multiplications per output instead of 9
#     F(4x4,3x3) at 0, 1, -1, 1/2, -2     6.94, with 2.25
#     F(4x4,3x3) at 0, +-5/8, +-3/2       4.78, with 2.25; the least: 4.76, at +-2/3, +-3/2, which no float32 holds
#     F(4x4,3x3) at 0, 1, -1, i, -i       1.69, with 2.88
#     F(2x2,5x5) at 0, 1, -1, i, -i       1.76, with 11.5 instead of 25
#     F(2x2,3x3) at stride 2, at 0, 1     1.67, with 6.25; the gradient of its input as much, with 1.56 instead of 2.25
FOUR = (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2))

MATRICES = (  # of each form, see ``winograd_transforms``
    roots_of_unity(2, 3),
    cook_toom(4, 3, FOUR),
    roots_of_unity(4, 3),
    roots_of_unity(2, 5),
    strided(2, 3, 2),
    strided_gradient(2, 3, 2),  # of the same taps
)
