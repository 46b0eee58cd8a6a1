"""Flatten: the operation of ``minicnn.ops.flatten`` as a layer."""

from __future__ import annotations

import math

from minicnn.layers.base import INFERENCE, Context, Layer, Params, Ready
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.ops.flatten import FlattenCache, flatten, flatten_backward
from minicnn.shapes import Array, Shape


class Flatten(Layer):
    """Each picture as one row, in reading order with channels last. (N, ...) -> (N, product of the others)."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, FlattenCache]:
        return flatten(x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready:
        shape = len(x), math.prod(x.shape[1:])
        return Ready(lambda x: x.reshape(shape), is_view=True)

    def backward(self, dy: Array, cache: FlattenCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        return flatten_backward(dy, cache) if input_gradient else None, {}
