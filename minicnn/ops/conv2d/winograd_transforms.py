"""The matrices of ``winograd_matrices`` as compiled code multiplies with them: picked by the ``form``, a small number.

    form   tiles        Q products along one axis, at points
    0      F(2x2,3x3)   4, real
    1      F(4x4,3x3)   6, real
    2      F(4x4,3x3)   7, complex
    3      F(2x2,5x5)   7, complex
    4      F(2x2,3x3)   5, real, at stride 2
    5      F(4x4,3x3)   5, real, the gradient of the input of a convolution at stride 2

Each function is ``left_multiply`` (``ops/simd.py``) with one of them; a matrix is compiled into the instructions, so
that it cannot be an argument.
"""

from __future__ import annotations

from typing import Any

from minicnn.ops.conv2d.winograd_matrices import (
    COMPLEX_3,
    COMPLEX_5,
    FOUR_3,
    MATRICES,
    STRIDED_3,
    STRIDED_GRADIENT_3,
    TWO_3,
)
from minicnn.ops.jit import njit
from minicnn.ops.simd import left_multiply, left_multiply_add

OUTPUTS: tuple[int, ...] = tuple(A.shape[1] for A, _, _ in MATRICES)  # m of each form
INPUTS: tuple[int, ...] = tuple(B.shape[0] for _, B, _ in MATRICES)  # n: m + r - 1 at stride 1
PRODUCTS: tuple[int, ...] = tuple(G.shape[0] for _, _, G in MATRICES)  # Q
TAPS: tuple[int, ...] = tuple(G.shape[1] for _, _, G in MATRICES)  # r
STEPS = (2, 4, 4, 2, 4, 2)  # inputs from one tile to the next
TERMS = (32, 64, 32, 32, 64, 32)  # of a sum of products that is added up at once; short sums round less

# One name for each: compiled code takes texts from global names only.
INPUT_0, INPUT_1, INPUT_2, INPUT_4 = TWO_3.input, FOUR_3.input, COMPLEX_3.input, STRIDED_3.input
INPUT_5 = STRIDED_GRADIENT_3.input
OUTPUT_0, OUTPUT_1, OUTPUT_2, OUTPUT_3 = TWO_3.output, FOUR_3.output, COMPLEX_3.output, COMPLEX_5.output
OUTPUT_4, OUTPUT_5 = STRIDED_3.output, STRIDED_GRADIENT_3.output
UPSTREAM_0, UPSTREAM_1, UPSTREAM_2, UPSTREAM_3 = TWO_3.upstream, FOUR_3.upstream, COMPLEX_3.upstream, COMPLEX_5.upstream
UPSTREAM_4 = STRIDED_3.upstream
KERNEL_0, KERNEL_1, KERNEL_2, KERNEL_3, KERNEL_4 = (
    TWO_3.kernel,
    FOUR_3.kernel,
    COMPLEX_3.kernel,
    COMPLEX_5.kernel,
    STRIDED_3.kernel,
)
KERNEL_GRADIENT_0, KERNEL_GRADIENT_1, KERNEL_GRADIENT_2, KERNEL_GRADIENT_3, KERNEL_GRADIENT_4 = (
    TWO_3.kernel_gradient,
    FOUR_3.kernel_gradient,
    COMPLEX_3.kernel_gradient,
    COMPLEX_5.kernel_gradient,
    STRIDED_3.kernel_gradient,
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
def products_of(form: int) -> int:
    """Q, the multiplications along one axis."""
    return PRODUCTS[form]


@njit
def terms_of(form: int) -> int:
    """How many terms of a sum over channels are added up at once."""
    return TERMS[form]


@njit
def to_input(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """B^T, for tiles of the input. Six inputs at the same points: one matrix for forms 2 and 3."""
    if form == 5:
        left_multiply(INPUT_5, source, source_step, result, step, width)
    elif form == 4:
        left_multiply(INPUT_4, source, source_step, result, step, width)
    elif form >= 2:
        left_multiply(INPUT_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(INPUT_1, source, source_step, result, step, width)
    else:
        left_multiply(INPUT_0, source, source_step, result, step, width)


@njit
def to_output(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """A^T, for tiles of products."""
    if form == 5:
        left_multiply(OUTPUT_5, source, source_step, result, step, width)
    elif form == 4:
        left_multiply(OUTPUT_4, source, source_step, result, step, width)
    elif form == 3:
        left_multiply(OUTPUT_3, source, source_step, result, step, width)
    elif form == 2:
        left_multiply(OUTPUT_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(OUTPUT_1, source, source_step, result, step, width)
    else:
        left_multiply(OUTPUT_0, source, source_step, result, step, width)


@njit
def to_output_add(
    form: int, source: Any, source_step: int, result: Any, step: int, width: int, bias: Any, floor: float
) -> None:
    """A^T again, with what follows the last sum: the bias, and ReLU where ``floor`` is 0."""
    if form == 5:
        left_multiply_add(OUTPUT_5, source, source_step, result, step, width, bias, floor)
    elif form == 4:
        left_multiply_add(OUTPUT_4, source, source_step, result, step, width, bias, floor)
    elif form == 3:
        left_multiply_add(OUTPUT_3, source, source_step, result, step, width, bias, floor)
    elif form == 2:
        left_multiply_add(OUTPUT_2, source, source_step, result, step, width, bias, floor)
    elif form == 1:
        left_multiply_add(OUTPUT_1, source, source_step, result, step, width, bias, floor)
    else:
        left_multiply_add(OUTPUT_0, source, source_step, result, step, width, bias, floor)


@njit
def to_upstream(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """A, for tiles of output gradients. (Form 5 has none: it is a gradient itself.)"""
    if form == 4:
        left_multiply(UPSTREAM_4, source, source_step, result, step, width)
    elif form == 3:
        left_multiply(UPSTREAM_3, source, source_step, result, step, width)
    elif form == 2:
        left_multiply(UPSTREAM_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(UPSTREAM_1, source, source_step, result, step, width)
    else:
        left_multiply(UPSTREAM_0, source, source_step, result, step, width)


@njit
def to_kernel(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """G, for kernels. The same taps meet in forms 4 and 5: one matrix for both."""
    if form >= 4:
        left_multiply(KERNEL_4, source, source_step, result, step, width)
    elif form == 3:
        left_multiply(KERNEL_3, source, source_step, result, step, width)
    elif form == 2:
        left_multiply(KERNEL_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(KERNEL_1, source, source_step, result, step, width)
    else:
        left_multiply(KERNEL_0, source, source_step, result, step, width)


@njit
def to_kernel_gradient(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """G^T, for gradients of transformed kernels."""
    if form == 4:
        left_multiply(KERNEL_GRADIENT_4, source, source_step, result, step, width)
    elif form == 3:
        left_multiply(KERNEL_GRADIENT_3, source, source_step, result, step, width)
    elif form == 2:
        left_multiply(KERNEL_GRADIENT_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(KERNEL_GRADIENT_1, source, source_step, result, step, width)
    else:
        left_multiply(KERNEL_GRADIENT_0, source, source_step, result, step, width)
