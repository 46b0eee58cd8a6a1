"""UnitNormalization: the operation of ``minicnn.ops.unit_normalization`` as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.layers.base import INFERENCE, Context, Layer, Params
from minicnn.ops.unit_normalization import (
    UnitNormalizationCache,
    check_axes,
    unit_normalization,
    unit_normalization_backward,
)
from minicnn.shapes import Array, Shape, whole


class UnitNormalization(Layer):
    """Bring every vector along ``axis`` (one axis or several, the batch is axis 0) to length 1. (N, ...) -> (N, ...).

    The last layer of a network that describes faces by a direction: see ``minicnn.ops.triplet``.
    """

    def __init__(self, axis: int | Sequence[int] = -1, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        several = axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axes = tuple(whole(value, "an axis", least=-1000) for value in several)
        self.axis: int | list[int] = list(self.axes) if isinstance(axis, (list, tuple)) else self.axes[0]

    def output_shape(self, input_shape: Shape) -> Shape:
        check_axes(self.axes, len(input_shape) + 1)
        return input_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, UnitNormalizationCache]:
        return unit_normalization(x, self.axes)

    def backward(
        self, dy: Array, cache: UnitNormalizationCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return unit_normalization_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"axis": self.axis}
