"""What the operations ask of their arrays in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.errors import DtypeError, ShapeError
from minicnn.ops.conv2d import conv2d
from minicnn.ops.conv2d_transpose import conv2d_transpose
from minicnn.ops.dense import dense
from minicnn.ops.depthwise_conv2d import depthwise_conv2d
from minicnn.shapes import Array

X, KERNEL = np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 2))


@pytest.mark.parametrize(
    ("operation", "kernel", "axes", "expected"),
    [
        (conv2d, KERNEL, "(F,)", "(2,), one per filter"),
        (depthwise_conv2d, KERNEL, "(C*depth_multiplier,)", "(4,), one per filter"),
        (conv2d_transpose, KERNEL, "(F,)", "(2,), one per filter"),
        (dense, np.ones((2, 3)), "(U,)", "(3,), one number per unit"),
    ],
)
def test_what_is_said_of_a_bias(operation: Callable[..., Any], kernel: Array, axes: str, expected: str) -> None:
    def complaint(error: type[Exception], bias: Any) -> str:
        with pytest.raises(error) as caught:
            operation(X, kernel, bias)
        return str(caught.value)

    assert complaint(ShapeError, np.ones(7)) == f"Expected bias of shape {expected}. Received: shape (7,)."
    assert complaint(DtypeError, [1.0]).startswith(f"Expected bias as a NumPy array {axes}. Received: list.")
    assert complaint(ShapeError, np.ones((1, 7))).startswith(f"Expected bias with 1 axes {axes}.")
    assert complaint(DtypeError, np.ones(7, np.float32)).startswith("Expected bias and kernel of the same dtype.")
