"""UpSampling2D: the operation of ``minicnn.ops.up_sampling`` as a layer."""

from __future__ import annotations

from typing import Any

from minicnn.layers.base import INFERENCE, Context, Layer, Params
from minicnn.layers.checks import require_rank
from minicnn.ops.up_sampling import (
    NEAREST,
    UpSampling2DCache,
    check_interpolation,
    up_sampling2d,
    up_sampling2d_backward,
)
from minicnn.shapes import Array, IntOrPair, Shape, pair


class UpSampling2D(Layer):
    """Pictures ``size`` times as large, (N, H, W, C) -> (N, H*SH, W*SW, C).

    ``interpolation`` is "nearest" (pixels become blocks) or "bilinear" (what lies between pixels is blended).
    """

    def __init__(
        self,
        size: IntOrPair = (2, 2),
        interpolation: str = NEAREST,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.size = pair(size, "size")
        self.interpolation = check_interpolation(interpolation)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self)
        H, W, C = input_shape
        return H * self.size[0], W * self.size[1], C

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, UpSampling2DCache]:
        return up_sampling2d(x, self.size, self.interpolation)

    def backward(
        self, dy: Array, cache: UpSampling2DCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return up_sampling2d_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"size": self.size, "interpolation": self.interpolation}
