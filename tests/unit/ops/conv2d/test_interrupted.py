"""A convolution that is interrupted between two of its loops, as by a signal's handler that comes to another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.ops.conv2d import conv2d, conv2d_backward, direct, winograd_blocks, winograd_gradient, winograd_plan
from minicnn.shapes import Array

SHAPE, KERNEL = (2, 13, 12, 16), (3, 3, 16, 16)


def numbers(seed: int) -> tuple[Array, Array, Array]:
    """x, kernel, dy."""
    rng = np.random.default_rng(seed)
    x, kernel, dy = (rng.standard_normal(shape, np.float32) for shape in (SHAPE, KERNEL, SHAPE))
    return x, kernel, dy


def computed(numbers: tuple[Array, Array, Array], algorithm: str) -> list[bytes]:
    """y, dx and dkernel."""
    x, kernel, dy = numbers
    y, cache = conv2d(x, kernel, padding="same", algorithm=algorithm)
    return [y.tobytes(), *(array.tobytes() for array in conv2d_backward(dy, cache) if array is not None)]


@pytest.mark.parametrize(
    "algorithm, module, loop",
    [
        ("winograd_complex", winograd_blocks, "all_input_tiles"),
        ("winograd_complex", winograd_blocks, "all_products"),
        ("winograd_complex", winograd_gradient, "all_upstream_tiles"),
        ("winograd_complex", winograd_gradient, "add_products"),
        ("winograd_complex", winograd_gradient, "add_sums"),
        ("direct", direct, "pad_picture"),
        ("direct", direct, "window_products"),
    ],
)
def test_another_one_between_two_loops_spoils_nothing(
    algorithm: str, module: Any, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd_plan, "LIMITS", winograd_plan.LIMITS._replace(kernel_bytes=0))  # step by step
    monkeypatch.setattr(winograd_gradient, "GROUP_TILES", 8)  # sums of several groups, in float64
    own, other = numbers(1), numbers(2)
    expected, others = computed(own, algorithm), computed(other, algorithm)
    assert expected != others
    real: Callable[..., None] = getattr(module, loop)
    found: list[list[bytes]] = []

    def interrupted(*arguments: Any) -> None:
        real(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(module, loop, real)
            found.append(computed(other, algorithm))

    monkeypatch.setattr(module, loop, interrupted)
    assert computed(own, algorithm) == expected
    assert found, "nothing was interrupted"
    assert all(each == others for each in found)
