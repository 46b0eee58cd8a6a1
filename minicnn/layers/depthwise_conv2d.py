"""DepthwiseConv2D: the operation of ``minicnn.ops.depthwise_conv2d`` with a kernel and a bias that learn."""

from __future__ import annotations

from typing import Any, ClassVar

from minicnn import initializers
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Params, Weight
from minicnn.layers.checks import require_rank
from minicnn.layers.convolution import Convolution, require_equal_strides
from minicnn.ops.conv2d import Conv2DCache, resolve
from minicnn.ops.depthwise_conv2d import convolve_depthwise, depthwise_conv2d_backward
from minicnn.shapes import Array, IntOrPair, Shape, whole


class DepthwiseConv2D(Convolution):
    """Convolution of every channel with ``depth_multiplier`` filters of its own: see ``minicnn.ops.depthwise_conv2d``.

    (N, H, W, C) -> (N, OH, OW, C*depth_multiplier); ``kernel`` (KH, KW, C, depth_multiplier), ``bias``
    (C*depth_multiplier,). Other than for ``Conv2D``, ``strides`` and ``dilation_rate`` may both be more than 1.
    """

    dilated_strides: ClassVar[bool] = True

    def __init__(
        self,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        dilation_rate: IntOrPair = (1, 1),
        use_bias: bool = True,
        depthwise_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        algorithm: str = "auto",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, dilation_rate, use_bias, bias_initializer, algorithm, name, trainable
        )
        require_equal_strides(self.window)
        self.depth_multiplier = whole(depth_multiplier, "depth_multiplier")
        self.depthwise_initializer = initializers.get(depthwise_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self, "Pictures need a channel axis at the end: x[..., None].")
        return *self.window.output_size(*input_shape[:2]), input_shape[2] * self.depth_multiplier

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        channels, filters = input_shape[2], input_shape[2] * self.depth_multiplier
        resolve(self.algorithm, (*self.window.size, 1, filters), self.window, channels)  # as for Conv2D: say so now
        kernel = Weight((*self.window.size, channels, self.depth_multiplier), self.depthwise_initializer)
        return self._with_bias(kernel, filters)

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, Conv2DCache]:
        self.require_built()
        kernel, bias = self.params["kernel"], self.params.get("bias")
        return convolve_depthwise(x, kernel, bias, self.window, algorithm=self.algorithm)

    def backward(self, dy: Array, cache: Conv2DCache, *, input_gradient: bool = True) -> tuple[Array | None, Params]:
        dx, dkernel, dbias = depthwise_conv2d_backward(
            dy, cache, input_gradient=input_gradient, parameter_gradients=self.trainable
        )
        return dx, self._gradients(dkernel, dbias)

    def config(self) -> dict[str, Any]:
        return self._window_config() | {
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": self.depthwise_initializer.config(),
        }
