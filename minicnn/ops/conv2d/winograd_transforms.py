"""The matrices of ``winograd_matrices`` as compiled code multiplies with them: picked by Q, the number of products
along one axis.

    Q = 4   F(2x2,3x3)        Q = 6   F(4x4,3x3)        Q = 7   F(4x4,3x3) at complex points

Each function is ``left_multiply`` (``ops/simd.py``) with one of them; a matrix is compiled into the instructions, so
that it cannot be an argument.
"""

from __future__ import annotations

from typing import Any

from minicnn.ops.conv2d.winograd_matrices import (
    INPUT_2,
    INPUT_4,
    INPUT_I,
    KERNEL_2,
    KERNEL_4,
    KERNEL_GRADIENT_2,
    KERNEL_GRADIENT_4,
    KERNEL_GRADIENT_I,
    KERNEL_I,
    OUTPUT_2,
    OUTPUT_4,
    OUTPUT_I,
    UPSTREAM_2,
    UPSTREAM_4,
    UPSTREAM_I,
)
from minicnn.ops.jit import njit
from minicnn.ops.simd import left_multiply, left_multiply_add


@njit
def outputs_of(Q: int) -> int:
    """m, the outputs of a tile along one axis."""
    return 2 if Q == 4 else 4


@njit
def to_input(Q: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """B^T, for tiles of the input."""
    if Q == 7:
        left_multiply(INPUT_I, source, source_step, result, step, width)
    elif Q == 6:
        left_multiply(INPUT_4, source, source_step, result, step, width)
    else:
        left_multiply(INPUT_2, source, source_step, result, step, width)


@njit
def to_output(Q: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """A^T, for tiles of products."""
    if Q == 7:
        left_multiply(OUTPUT_I, source, source_step, result, step, width)
    elif Q == 6:
        left_multiply(OUTPUT_4, source, source_step, result, step, width)
    else:
        left_multiply(OUTPUT_2, source, source_step, result, step, width)


@njit
def to_output_add(
    Q: int, source: Any, source_step: int, result: Any, step: int, width: int, bias: Any, floor: float
) -> None:
    """A^T again, with what follows the last sum: the bias, and ReLU where ``floor`` is 0."""
    if Q == 7:
        left_multiply_add(OUTPUT_I, source, source_step, result, step, width, bias, floor)
    elif Q == 6:
        left_multiply_add(OUTPUT_4, source, source_step, result, step, width, bias, floor)
    else:
        left_multiply_add(OUTPUT_2, source, source_step, result, step, width, bias, floor)


@njit
def to_upstream(Q: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """A, for tiles of output gradients."""
    if Q == 7:
        left_multiply(UPSTREAM_I, source, source_step, result, step, width)
    elif Q == 6:
        left_multiply(UPSTREAM_4, source, source_step, result, step, width)
    else:
        left_multiply(UPSTREAM_2, source, source_step, result, step, width)


@njit
def to_kernel(Q: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """G, for kernels."""
    if Q == 7:
        left_multiply(KERNEL_I, source, source_step, result, step, width)
    elif Q == 6:
        left_multiply(KERNEL_4, source, source_step, result, step, width)
    else:
        left_multiply(KERNEL_2, source, source_step, result, step, width)


@njit
def to_kernel_gradient(Q: int, source: Any, source_step: int, result: Any, step: int, width: int) -> None:
    """G^T, for gradients of transformed kernels."""
    if Q == 7:
        left_multiply(KERNEL_GRADIENT_I, source, source_step, result, step, width)
    elif Q == 6:
        left_multiply(KERNEL_GRADIENT_4, source, source_step, result, step, width)
    else:
        left_multiply(KERNEL_GRADIENT_2, source, source_step, result, step, width)
