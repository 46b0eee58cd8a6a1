"""The pooling layers: fewer pixels, the same channels, nothing to learn. Formulas are in ``minicnn.ops``."""

from __future__ import annotations

from typing import Any

from minicnn.layers.base import INFERENCE, Context, Layer, Params, Ready
from minicnn.layers.checks import require_named_padding, require_rank
from minicnn.layers.windowed import OfWindow
from minicnn.layers.written import as_written
from minicnn.ops.average_pooling import (
    AveragePool2DCache,
    average_pool2d,
    average_pool2d_backward,
    average_pool2d_of,
)
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.ops.global_pooling import (
    GlobalAveragePool2DCache,
    GlobalMaxPool2DCache,
    global_average_pool2d,
    global_average_pool2d_backward,
    global_average_pool2d_of,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from minicnn.ops.max_pooling import MaxPool2DCache, max_pool2d, max_pool2d_backward, max_pool2d_inference, max_pool2d_of
from minicnn.options import flag
from minicnn.shapes import Array, IntOrPair, Shape, Window


class _Pooling2D(Layer):
    """What the two share: a window, whose strides are its own size unless something else is asked for."""

    pool_size, strides, padding = OfWindow("size"), OfWindow("strides"), OfWindow("padding")

    def __init__(
        self,
        pool_size: IntOrPair = (2, 2),
        strides: IntOrPair | None = None,
        padding: str = "valid",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        require_named_padding(padding)
        self.window = Window.of(pool_size, pool_size if strides is None else strides, padding, size_name="pool_size")

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self)
        return *self.window.output_size(*input_shape[:2]), input_shape[2]

    def config(self) -> dict[str, Any]:
        return super().config() | {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}


class MaxPooling2D(_Pooling2D):
    """The largest number of every window. (N, H, W, C) -> (N, OH, OW, C).

    ``strides`` None means ``pool_size``: windows side by side. Odd sizes lose their last row with "valid": 25 -> 12.
    """

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, MaxPool2DCache]:
        return max_pool2d(x, self.window)

    def backward(self, dy: Array, cache: MaxPool2DCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        return max_pool2d_backward(dy, cache) if input_gradient else None, {}

    def infer(self, x: Array) -> Array:
        return max_pool2d_inference(x, self.window) if as_written(self) else super().infer(x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready:
        return Ready(max_pool2d_of(x, self.window))


class AveragePooling2D(_Pooling2D):
    """The mean of every window, padding not counted. (N, H, W, C) -> (N, OH, OW, C). ``strides`` as in max pooling."""

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, AveragePool2DCache]:
        return average_pool2d(x, self.window)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready:
        return Ready(average_pool2d_of(x, self.window))

    def backward(
        self, dy: Array, cache: AveragePool2DCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return average_pool2d_backward(dy, cache) if input_gradient else None, {}


class _GlobalPooling2D(Layer):
    """What the two share: pictures of any size in, one number per channel out."""

    def __init__(self, keepdims: bool = False, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.keepdims = flag("keepdims", keepdims)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self)
        return (1, 1, input_shape[2]) if self.keepdims else (input_shape[2],)

    def config(self) -> dict[str, Any]:
        return super().config() | {"keepdims": self.keepdims}


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of every channel. (N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``."""

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, GlobalAveragePool2DCache]:
        return global_average_pool2d(x, keepdims=self.keepdims)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready:
        return Ready(global_average_pool2d_of(x, keepdims=self.keepdims))

    def backward(
        self, dy: Array, cache: GlobalAveragePool2DCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return global_average_pool2d_backward(dy, cache) if input_gradient else None, {}


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest number of every channel. (N, H, W, C) -> (N, C), or (N, 1, 1, C) with ``keepdims``."""

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, GlobalMaxPool2DCache]:
        return global_max_pool2d(x, keepdims=self.keepdims)

    def backward(
        self, dy: Array, cache: GlobalMaxPool2DCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return global_max_pool2d_backward(dy, cache) if input_gradient else None, {}
