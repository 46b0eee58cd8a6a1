"""Add, Multiply and Concatenate: the operations of ``minicnn.ops.merging``, where ways through a network meet.

    y = Add()([x, Conv2D(4, 3, padding="same")(x)])

They take a list of arrays, and give back a list of gradients.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from minicnn.errors import ShapeError, explain
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Params
from minicnn.ops import merging as ops
from minicnn.shapes import MOST_AXES, Array, Shape, whole

Forward = Callable[[Sequence[Array]], tuple[Array, Cache]]
Backward = Callable[[Array, Cache], list[Array]]


class _Merge(Layer):
    """What they share: several inputs, nothing to learn."""

    merges: ClassVar[bool] = True

    def output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        several = isinstance(input_shape, (list, tuple)) and all(isinstance(s, (list, tuple)) for s in input_shape)
        if not several or not input_shape:
            raise ShapeError(explain("a list of inputs", f"one of shape {input_shape}", "Call it on [a, b]."))
        return self._merged([(1, *shape) for shape in input_shape])[1:]

    @abstractmethod
    def _merged(self, shapes: list[Shape]) -> Shape:
        """The shape of the output for inputs of ``shapes``, all with a batch axis."""

    @abstractmethod
    def forward(self, x: Sequence[Array], context: Context = INFERENCE) -> tuple[Array, Cache]:
        """Several (N, ...) -> (N, ...)"""

    @abstractmethod
    def backward(self, dy: Array, cache: Cache, *, input_gradient: bool = True) -> tuple[list[Array] | None, Params]:
        """(a gradient for each input, {})"""


class Add(_Merge):
    """The sum of all inputs. Sizes of 1 are repeated, and (N, C) fits (N, H, W, C): see ``minicnn.ops.merging``."""

    takes_relu: ClassVar[bool] = True

    def _merged(self, shapes: list[Shape]) -> Shape:
        return ops.broadcast_shape(shapes)

    def forward(
        self, x: Sequence[Array], context: Context = INFERENCE, *, relu: bool = False
    ) -> tuple[Array, ops.AddCache]:
        """``relu`` cuts off at 0 in the same pass: see ``minicnn.fusion``."""
        return ops.add(x, relu=relu)

    def backward(
        self, dy: Array, cache: ops.AddCache, *, input_gradient: bool = True
    ) -> tuple[list[Array] | None, Params]:
        return ops.add_backward(dy, cache) if input_gradient else None, {}


class Multiply(_Merge):
    """The product of all inputs, number by number; sizes as for ``Add``."""

    def _merged(self, shapes: list[Shape]) -> Shape:
        return ops.broadcast_shape(shapes)

    def forward(self, x: Sequence[Array], context: Context = INFERENCE) -> tuple[Array, ops.MultiplyCache]:
        return ops.multiply(x)

    def backward(
        self, dy: Array, cache: ops.MultiplyCache, *, input_gradient: bool = True
    ) -> tuple[list[Array] | None, Params]:
        return ops.multiply_backward(dy, cache) if input_gradient else None, {}


class Concatenate(_Merge):
    """The inputs one behind the other along ``axis``, the batch being axis 0; in all other axes they must agree."""

    def __init__(self, axis: int = -1, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.axis = whole(axis, "axis", least=-MOST_AXES)

    def _merged(self, shapes: list[Shape]) -> Shape:
        return ops.concatenated(shapes, ops.check_concatenation(shapes, self.axis))

    def forward(self, x: Sequence[Array], context: Context = INFERENCE) -> tuple[Array, ops.ConcatenateCache]:
        return ops.concatenate(x, self.axis)

    def backward(
        self, dy: Array, cache: ops.ConcatenateCache, *, input_gradient: bool = True
    ) -> tuple[list[Array] | None, Params]:
        return ops.concatenate_backward(dy, cache) if input_gradient else None, {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"axis": self.axis}
