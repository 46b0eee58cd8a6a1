"""What compiled code multiplies tiles with, in two dimensions: tables for ``ops/constant_product.py``.

    form   tiles        values along one axis, at points
    0      F(2x2,3x3)   4: 0, 1, -1 and infinity
    1      F(4x4,3x3)   6: real ones
    2      F(4x4,3x3)   6: 0, infinity and the fourth roots of unity
    3      F(2x2,5x5)   6: the same
    4      F(2x2,3x3)   5: at stride 2
    5      F(4x4,3x3)   5: the gradient of the input of a convolution at stride 2
    6      F(6x6,3x3)   8: real ones, infinity, i and -i
    7      F(4x4,5x5)   8: the same

Along one axis, a transform is one of the matrices of ``winograd_matrices``: it takes a row of pixels to their values at
the points. In two dimensions, rows and then columns are transformed. At real points that is all: a value is a factor of
one product.

A value at a complex point z is a complex number, and that at its conjugate the conjugate number, so one of the two will
do. A product of two complex numbers takes three multiplications (Gauss):

    (re + i im) (re' + i im') = (p - q) + i (s - p - q)    with p = re re', q = im im', s = (re + im) (re' + im')

so where one axis has a real point and the other a complex one, real and imaginary part become three factors. Where both
are complex, at (z, w), there are four numbers: real or imaginary part along either axis. They make two complex values,
that at (z, w) and that at (z, conj w), the other two being their conjugates: six factors, not nine.

    at (z, w):  (rr - ii) + i (ri + ir)              at (z, conj w):  (rr + ii) + i (ir - ri)

The factors stand in a grid of Q x Q *planes*, where Q counts real points once and pairs three times. Row and column of
a pair are its three factors; where two pairs meet, the columns are its two values, and the third one stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from minicnn.ops.constant_product import Product, encode, product
from minicnn.ops.conv2d.winograd_matrices import MATRICES, Matrices
from minicnn.ops.jit import njit
from minicnn.shapes import Array

VALUES = tuple(len(one.A) for one in MATRICES)  # n' of each form
PAIRS = tuple(one.pairs for one in MATRICES)
REALS = tuple(n - 2 * pairs for n, pairs in zip(VALUES, PAIRS, strict=True))
PRODUCTS = tuple(reals + 3 * pairs for reals, pairs in zip(REALS, PAIRS, strict=True))  # Q
OUTPUTS: tuple[int, ...] = tuple(one.A.shape[1] for one in MATRICES)  # m
INPUTS: tuple[int, ...] = tuple(len(one.B) for one in MATRICES)  # n: m + r - 1 at stride 1
TAPS: tuple[int, ...] = tuple(one.G.shape[1] for one in MATRICES)  # r
STEPS = (2, 4, 4, 2, 4, 2, 6, 4)  # inputs from one tile to the next
TERMS = (32, 64, 32, 32, 64, 32, 32, 32)  # of a sum of products that is added up at once; short sums round less
CHANNELS = 64  # at a time: 6 x 6 x 64 numbers between two steps, 9 KB (8 x 8 x 64: 16 KB)

# The three factors of a complex number (re, im): of what is evaluated (p, q, s above), and for the input, whose
# transform is that of the products turned round, what p, q and s are taken into.
EVALUATED = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
TURNED_ROUND = np.array([[1.0, -1.0], [-1.0, -1.0], [0.0, 1.0]])

Factors = dict[tuple[int, int], dict[tuple[int, int], float]]  # of each plane: its values, and how often each counts


def factors(form: int, three: Array, both: float = 1.0) -> Factors:
    """Which values, along rows and columns, a plane is made of. ``both``: a factor for planes of two pairs."""
    R, P = REALS[form], PAIRS[form]
    planes: Factors = {(i, j): {(i, j): 1.0} for i in range(R) for j in range(R)}
    for i in range(R):
        for b in range(P):
            re, im = R + 2 * b, R + 2 * b + 1
            for t, (of_re, of_im) in enumerate(three):
                planes[i, R + 3 * b + t] = {(i, re): of_re, (i, im): of_im}
                planes[R + 3 * b + t, i] = {(re, i): of_re, (im, i): of_im}
    for a in range(P):
        for b in range(P):
            rr, ri, ir, ii = ((R + 2 * a + k, R + 2 * b + j) for k in (0, 1) for j in (0, 1))
            for s, sign in enumerate((1.0, -1.0)):  # at (z, w) and at (z, conj w)
                for t, (of_re, of_im) in enumerate(three * both):
                    value = {rr: of_re, ii: -sign * of_re, ri: sign * of_im, ir: of_im}
                    planes[R + 3 * a + t, R + 3 * b + s] = value
    return planes


def places(form: int) -> Array:
    """The planes in use, row by row."""
    return np.array([i * PRODUCTS[form] + j for i, j in sorted(factors(form, EVALUATED))], np.intp)


def two_dimensional(form: int) -> Matrices:
    """The transforms of whole tiles: A (Q, Q, m, m), B (n, n, Q, Q) and G (Q, Q, r, r), with zeros for empty planes.

    For a filter as it is defined, y = sum over planes of A * [(sum of G * k) * (sum of B * d)].
    """
    own, Q, n = MATRICES[form], PRODUCTS[form], VALUES[form]

    def planes(transform: Array, three: Array, both: float = 1.0) -> Array:
        spread = np.zeros((Q, Q, n, n))
        for plane, values in factors(form, three, both).items():
            for value, factor in values.items():
                spread[plane][value] = factor
        return transform.T @ spread @ transform  # (Q, Q, n', n') -> (Q, Q, size, size)

    b = planes(own.B.T, TURNED_ROUND).transpose(2, 3, 0, 1)
    return Matrices(planes(own.A, EVALUATED), b, planes(own.G, EVALUATED, 0.5), own.pairs)


def _matrix(planes: Factors, keys: Iterable[tuple[int, int]], values: list[tuple[int, int]]) -> Array:
    """(planes, values): the factors of these planes from these values."""
    return np.array([[planes[key].get(value, 0.0) for value in values] for key in keys])


def _spread(form: int, transform: Array, planes: Factors, axis: int) -> tuple[Product, Product | None]:
    """From a row (``axis`` 0) or column (1) of n pixels to its planes: for real points, and for pairs of rows.

    The other axis was transformed before, so a pair has two rows of pixels, real and imaginary part.
    """
    R, P, Q, values = REALS[form], PAIRS[form], PRODUCTS[form], range(VALUES[form])

    def at(along: int, across: int) -> tuple[int, int]:
        return (along, across) if axis == 0 else (across, along)

    ones = [i * Q + j for i, j in (at(0, j) for j in range(Q))]
    if not P:
        return product(transform, writes=ones), None
    row = _matrix(planes, (at(0, j) for j in range(Q)), [at(0, j) for j in values])
    keys = [at(R + t, j) for t in range(3) for j in range(Q) if at(R + t, j) in planes]
    pair = _matrix(planes, keys, [at(R + k, j) for k in (0, 1) for j in values])
    writes = [(i - at(R, 0)[0]) * Q + j - at(R, 0)[1] for i, j in keys]
    twice = np.kron(np.eye(2), transform)
    return product(transform, row, writes=ones), product(twice, pair, writes=writes)


def _turned(one: Product | None, writes: list[int] | None = None) -> Product | None:
    """The product with all matrices transposed, from the last to the first."""
    if one is None:
        return None
    return product(*(step.T for step in reversed(one.steps)), reads=one.writes, writes=writes)


def _both_parts(form: int, length: int) -> list[int]:
    """Where the two columns of a pair lie among those of ``half``: real parts, then imaginary ones."""
    return [i * VALUES[form] + part for part in (0, 1) for i in range(length)]


def _tables(
    matrix: Callable[[Matrices], Array], three: Array, both: float = 1.0
) -> tuple[str, str, str, str, str, str]:
    """The tables that take tiles to planes (first columns, then rows, then pairs of rows), and those that take planes
    back (columns, pairs of columns, then rows), by the transpose of it all."""
    first, rows, pairs, columns, column_pairs, last = [], [], [], [], [], []
    for form, own in enumerate(MATRICES):
        transform, planes = matrix(own), factors(form, three, both)
        row, pair = _spread(form, transform, planes, 0)
        column, column_pair = _spread(form, transform, planes, 1)
        first.append(product(transform))
        rows.append(row)
        pairs.append(pair)
        columns.append(_turned(column))
        column_pairs.append(_turned(column_pair, _both_parts(form, transform.shape[1])))
        last.append(product(transform.T))
    return tuple(encode(*table) for table in (first, rows, pairs, columns, column_pairs, last))  # type: ignore[return-value]


# One name for each: compiled code takes texts from global names only. B^T, for tiles of the input:
INPUT_FIRST, INPUT_ROW, INPUT_PAIR, *_ = _tables(lambda own: own.B.T, TURNED_ROUND)
# A, for tiles of output gradients, and A^T, for tiles of products:
UPSTREAM_FIRST, UPSTREAM_ROW, UPSTREAM_PAIR, OUTPUT_COLUMN, OUTPUT_PAIR, OUTPUT_LAST = _tables(
    lambda own: own.A, EVALUATED
)
# G, for kernels, and G^T, for gradients of transformed kernels. The two values of two pairs count half: they are taken
# for real and imaginary parts of a sum and a difference.
KERNEL_FIRST, KERNEL_ROW, KERNEL_PAIR, GRADIENT_COLUMN, GRADIENT_PAIR, GRADIENT_LAST = _tables(
    lambda own: own.G, EVALUATED, 0.5
)


@njit
def outputs_of(form: int) -> int:
    """m, the outputs of a tile along one axis."""
    return OUTPUTS[form]


@njit
def inputs_of(form: int) -> int:
    """n, the inputs of a tile along one axis."""
    return INPUTS[form]


@njit
def step_of(form: int) -> int:
    """How many inputs lie between the beginnings of two neighbouring tiles."""
    return STEPS[form]


@njit
def terms_of(form: int) -> int:
    """How many terms of a sum over channels are added up at once."""
    return TERMS[form]


@njit
def values_of(form: int) -> tuple[int, int, int, int]:
    """Along one axis: n', how many of them are at real points, how many pairs there are, and Q."""
    return VALUES[form], REALS[form], PAIRS[form], PRODUCTS[form]
