"""The three small matrices of F(m x m, 3x3), from the points at which it evaluates its polynomials.

See ``winograd.py`` for what they do. They are built by the Cook-Toom construction, in exact fractions rounded once at
the end, instead of being copied from a paper: another tile size or other points are one line here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from minicnn.ops.simd import encode
from minicnn.shapes import Array

TAPS = 3


def cook_toom(outputs: int, points: Sequence[Fraction]) -> tuple[Array, Array, Array]:
    """The matrices (A, B, G) of F(outputs, 3) that evaluate at ``points`` and at infinity, in float64.

    A and G hold powers of the points; row i of B^T holds the polynomial that vanishes at all points but the i-th, and
    its last row the one that vanishes at all of them.
    """
    if len(points) != outputs + TAPS - 2:
        raise ValueError(f"F({outputs},{TAPS}) needs {outputs + TAPS - 2} finite points, got {len(points)}")
    infinity = [Fraction(0)]
    powers = [[point**k for k in range(outputs)] for point in points]
    a = [*powers, infinity * (outputs - 1) + [Fraction(1)]]
    b_rows, g = [], []
    for point in points:
        others = [other for other in points if other != point]
        scale = math.prod((point - other for other in others), start=Fraction(1))
        g.append([point**k / scale for k in range(TAPS)])
        b_rows.append([*_with_roots(others), Fraction(0)])
    g.append(infinity * (TAPS - 1) + [Fraction(1)])
    b_rows.append(_with_roots(points))
    return np.array(a, float), np.array(b_rows, float).T.copy(), np.array(g, float)


def _with_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, lowest power first, of the product of (x - root)."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *polynomial]
        polynomial = [s - root * p for s, p in zip(shifted, [*polynomial, Fraction(0)], strict=True)]
    return polynomial


class Texts(NamedTuple):
    """The matrices as compiled code takes them: see ``minicnn.ops.simd``."""

    input: str  # B^T, for tiles of the input
    output: str  # A^T, for tiles of products
    upstream: str  # A, for tiles of output gradients
    kernel: str  # G, for kernels
    kernel_gradient: str  # G^T, for gradients of transformed kernels


def _texts(outputs: int, points: Sequence[Fraction]) -> Texts:
    a, b, g = cook_toom(outputs, points)
    return Texts(encode(b.T), encode(a.T), encode(a), encode(g), encode(g.T))


# Small numbers near 1 keep the matrices' entries, and so the rounding errors, small.
POINTS_2 = (Fraction(0), Fraction(1), Fraction(-1))
POINTS_4 = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))

INPUT_2, OUTPUT_2, UPSTREAM_2, KERNEL_2, KERNEL_GRADIENT_2 = _texts(2, POINTS_2)
INPUT_4, OUTPUT_4, UPSTREAM_4, KERNEL_4, KERNEL_GRADIENT_4 = _texts(4, POINTS_4)
