"""Reshape and Permute: the operations of ``minicnn.ops.reshaping`` as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.layers.base import INFERENCE, Context, Layer, Params
from minicnn.ops import reshaping as ops
from minicnn.shapes import Array, Shape


class Reshape(Layer):
    """The numbers of each picture in axes of other sizes, in the same reading order. (N, ...) -> (N, *target_shape).

    One size may be -1: whatever is left.
    """

    def __init__(self, target_shape: Sequence[int], *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.target_shape = ops.check_target(target_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        return ops.filled(self.target_shape, input_shape)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.ReshapeCache]:
        return ops.reshape(x, self.target_shape)

    def backward(
        self, dy: Array, cache: ops.ReshapeCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.reshape_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"target_shape": self.target_shape}


class Permute(Layer):
    """The axes in another order: axis a of the output is axis ``dims[a - 1]`` of the input, the batch being axis 0."""

    def __init__(self, dims: Sequence[int], *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.dims = ops.check_dims(dims)

    def output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape[axis - 1] for axis in ops.check_dims(self.dims, len(input_shape)))

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, ops.PermuteCache]:
        return ops.permute(x, self.dims)

    def backward(
        self, dy: Array, cache: ops.PermuteCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return ops.permute_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"dims": self.dims}
