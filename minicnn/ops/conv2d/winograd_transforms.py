"""The matrices of ``winograd_matrices`` as compiled code multiplies with them: picked by the ``form``, a small number.

    form   tiles        Q products along one axis, at points
    0      F(2x2,3x3)   4, real
    1      F(4x4,3x3)   6, real
    2      F(4x4,3x3)   7, complex
    3      F(2x2,5x5)   7, complex

Each function is ``left_multiply`` (``ops/simd.py``) with one of them; a matrix is compiled into the instructions, so
that it cannot be an argument.
"""

from __future__ import annotations

from typing import Any

from minicnn.ops.conv2d.winograd_matrices import COMPLEX_3, COMPLEX_5, FOUR_3, TWO_3
from minicnn.ops.jit import njit
from minicnn.ops.simd import left_multiply, left_multiply_add

OUTPUTS, TAPS, PRODUCTS = (2, 4, 4, 2), (3, 3, 3, 5), (4, 6, 7, 7)  # m, r and Q of each form

# One name for each: compiled code takes texts from global names only.
INPUT_0, INPUT_1, INPUT_2 = TWO_3.input, FOUR_3.input, COMPLEX_3.input
OUTPUT_0, OUTPUT_1, OUTPUT_2, OUTPUT_3 = TWO_3.output, FOUR_3.output, COMPLEX_3.output, COMPLEX_5.output
UPSTREAM_0, UPSTREAM_1, UPSTREAM_2, UPSTREAM_3 = TWO_3.upstream, FOUR_3.upstream, COMPLEX_3.upstream, COMPLEX_5.upstream
KERNEL_0, KERNEL_1, KERNEL_2, KERNEL_3 = TWO_3.kernel, FOUR_3.kernel, COMPLEX_3.kernel, COMPLEX_5.kernel
KERNEL_GRADIENT_0, KERNEL_GRADIENT_1, KERNEL_GRADIENT_2, KERNEL_GRADIENT_3 = (
    TWO_3.kernel_gradient,
    FOUR_3.kernel_gradient,
    COMPLEX_3.kernel_gradient,
    COMPLEX_5.kernel_gradient,
)


@njit
def outputs_of(form: int) -> int:
    """m, the outputs of a tile along one axis."""
    return OUTPUTS[form]


@njit
def inputs_of(form: int) -> int:
    """m + r - 1, the inputs of a tile along one axis."""
    return OUTPUTS[form] + TAPS[form] - 1


@njit
def products_of(form: int) -> int:
    """Q, the multiplications along one axis."""
    return PRODUCTS[form]


@njit
def to_input(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """B^T, for tiles of the input. Six inputs at the same points: one matrix for forms 2 and 3."""
    if form >= 2:
        left_multiply(INPUT_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(INPUT_1, source, source_step, result, step, width)
    else:
        left_multiply(INPUT_0, source, source_step, result, step, width)


@njit
def to_output(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """A^T, for tiles of products."""
    if form == 3:
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
    if form == 3:
        left_multiply_add(OUTPUT_3, source, source_step, result, step, width, bias, floor)
    elif form == 2:
        left_multiply_add(OUTPUT_2, source, source_step, result, step, width, bias, floor)
    elif form == 1:
        left_multiply_add(OUTPUT_1, source, source_step, result, step, width, bias, floor)
    else:
        left_multiply_add(OUTPUT_0, source, source_step, result, step, width, bias, floor)


@njit
def to_upstream(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """A, for tiles of output gradients."""
    if form == 3:
        left_multiply(UPSTREAM_3, source, source_step, result, step, width)
    elif form == 2:
        left_multiply(UPSTREAM_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(UPSTREAM_1, source, source_step, result, step, width)
    else:
        left_multiply(UPSTREAM_0, source, source_step, result, step, width)


@njit
def to_kernel(form: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """G, for kernels."""
    if form == 3:
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
    if form == 3:
        left_multiply(KERNEL_GRADIENT_3, source, source_step, result, step, width)
    elif form == 2:
        left_multiply(KERNEL_GRADIENT_2, source, source_step, result, step, width)
    elif form == 1:
        left_multiply(KERNEL_GRADIENT_1, source, source_step, result, step, width)
    else:
        left_multiply(KERNEL_GRADIENT_0, source, source_step, result, step, width)
