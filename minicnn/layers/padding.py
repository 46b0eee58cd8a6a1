"""ZeroPadding2D: the operation of ``minicnn.ops.padding`` as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.layers.base import INFERENCE, Context, Layer, Params
from minicnn.layers.checks import require_rank
from minicnn.ops.padding import ZeroPad2DCache, check_pads, zero_pad2d, zero_pad2d_backward
from minicnn.shapes import Array, Shape


class ZeroPadding2D(Layer):
    """A frame of zeros around each picture. (N, H, W, C) -> (N, top + H + bottom, left + W + right, C).

    ``padding`` is one number for all sides, (rows, columns), or ((top, bottom), (left, right)).
    """

    def __init__(
        self,
        padding: int | Sequence[int] | Sequence[Sequence[int]] = 1,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.padding = check_pads(padding)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self)
        H, W, C = input_shape
        return H + sum(self.padding[0]), W + sum(self.padding[1]), C

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ZeroPad2DCache]:
        return zero_pad2d(x, self.padding)

    def backward(self, dy: Array, cache: ZeroPad2DCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        return zero_pad2d_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"padding": self.padding}
