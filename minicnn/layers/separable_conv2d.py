"""SeparableConv2D: the operation of ``minicnn.ops.separable_conv2d`` with kernels and a bias that learn."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minicnn import initializers
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Params, Weight
from minicnn.layers.checks import require_rank
from minicnn.layers.convolution import Convolution, require_equal_strides
from minicnn.ops.conv2d import resolve
from minicnn.ops.separable_conv2d import SeparableConv2DCache, separable_conv2d, separable_conv2d_backward
from minicnn.shapes import Array, IntOrPair, Shape, whole


class SeparableConv2D(Convolution):
    """Convolution of every channel by itself, then of every pixel by itself: see ``minicnn.ops.separable_conv2d``.

    (N, H, W, C) -> (N, OH, OW, filters); ``depthwise_kernel`` (KH, KW, C, depth_multiplier), ``pointwise_kernel``
    (1, 1, C*depth_multiplier, filters), ``bias`` (filters,). ``algorithm`` is that of the depthwise half. Other than
    for ``Conv2D``, ``strides`` and ``dilation_rate`` may both be more than 1.
    """

    takes_relu = True
    dilated_strides: ClassVar[bool] = True

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: str = "valid",
        dilation_rate: IntOrPair = (1, 1),
        depth_multiplier: int = 1,
        use_bias: bool = True,
        depthwise_initializer: str | Initializer = "glorot_uniform",
        pointwise_initializer: str | Initializer = "glorot_uniform",
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
        self.filters = whole(filters, "filters")
        self.depth_multiplier = whole(depth_multiplier, "depth_multiplier")
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self, "Pictures need a channel axis at the end: x[..., None].")
        return *self.window.output_size(*input_shape[:2]), self.filters

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        channels, between = input_shape[2], input_shape[2] * self.depth_multiplier
        resolve(self.algorithm, (*self.window.size, 1, between), self.window, channels)  # say what is impossible now
        depthwise = Weight((*self.window.size, channels, self.depth_multiplier), self.depthwise_initializer)
        pointwise = Weight((1, 1, between, self.filters), self.pointwise_initializer)
        bias = {"bias": Weight((self.filters,), self.bias_initializer)} if self.use_bias else {}
        return {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise} | bias

    def multiplications(self, input_shape: Shape) -> int:
        """Every entry of both kernels once per position of the output."""
        specs = self.parameter_specs(input_shape)
        entries = sum(math.prod(specs[name].shape) for name in ("depthwise_kernel", "pointwise_kernel"))
        return entries * math.prod(self.output_shape(input_shape)[:2])

    def forward(
        self, x: Array, context: Context = INFERENCE, *, relu: bool = False
    ) -> tuple[Array, SeparableConv2DCache]:
        """``relu`` cuts off at 0 in the same pass: see ``minicnn.fusion``."""
        self.require_built()
        return separable_conv2d(
            x,
            self.params["depthwise_kernel"],
            self.params["pointwise_kernel"],
            self.params.get("bias"),
            strides=self.window.strides,
            padding=str(self.window.padding),
            dilation_rate=self.window.dilation,
            algorithm=self.algorithm,
            relu=relu,
        )

    def backward(
        self, dy: Array, cache: SeparableConv2DCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        dx, ddepthwise, dpointwise, dbias = separable_conv2d_backward(
            dy, cache, input_gradient=input_gradient, parameter_gradients=self.trainable
        )
        found = {"depthwise_kernel": ddepthwise, "pointwise_kernel": dpointwise, "bias": dbias}
        return dx, {key: gradient for key, gradient in found.items() if gradient is not None}

    def config(self) -> dict[str, Any]:
        return self._window_config() | {
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": self.depthwise_initializer.config(),
            "pointwise_initializer": self.pointwise_initializer.config(),
        }
