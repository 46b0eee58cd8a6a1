"""Conv2DTranspose: the operation of ``minicnn.ops.conv2d_transpose`` with a kernel and a bias that learn."""

from __future__ import annotations

import math
from typing import Any

from minicnn import initializers
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Params, Weight
from minicnn.layers.checks import require_rank
from minicnn.layers.convolution import Convolution
from minicnn.ops.conv2d import resolve
from minicnn.ops.conv2d_transpose import (
    Conv2DTransposeCache,
    check_output_padding,
    conv2d_transpose,
    conv2d_transpose_backward,
    output_size,
)
from minicnn.shapes import Array, IntOrPair, Shape, whole


class Conv2DTranspose(Convolution):
    """Transposed convolution with ``filters`` kernels: makes pictures ``strides`` times as large, with learned weights.

    (N, H, W, C) -> (N, OH, OW, filters); ``kernel`` (KH, KW, filters, C), ``bias`` (filters,). ``output_padding`` adds
    rows and columns at the end (None: as many as ``strides`` ask for). ``algorithm`` is that of the convolution whose
    transpose this is.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: str = "valid",
        output_padding: IntOrPair | None = None,
        dilation_rate: IntOrPair = (1, 1),
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        algorithm: str = "auto",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, dilation_rate, use_bias, bias_initializer, algorithm, name, trainable
        )
        self.filters = whole(filters, "filters")
        self.output_padding = check_output_padding(output_padding, self.window)
        self.kernel_initializer = initializers.get(kernel_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self, "Pictures need a channel axis at the end: x[..., None].")
        return *output_size((input_shape[0], input_shape[1]), self.window, self.output_padding), self.filters

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        kernel_shape = (*self.window.size, self.filters, input_shape[2])
        resolve(self.algorithm, kernel_shape, self.window, 1)  # an algorithm that cannot do it: say so now
        return self._with_bias(Weight(kernel_shape, self.kernel_initializer), self.filters)

    def algorithm_used(self) -> str:
        """The algorithm whose input gradient runs for the shape this layer was built for."""
        self.require_built()
        assert self.input_shape is not None
        kernel, y_shape = self.params["kernel"], self.output_shape(self.input_shape)
        return resolve(self.algorithm, kernel.shape, self.window, 1, ((1, *y_shape), kernel.dtype))

    def multiplications(self, input_shape: Shape) -> int:
        """Every entry of the kernel once per position of the input."""
        return math.prod(self.parameter_specs(input_shape)["kernel"].shape) * math.prod(input_shape[:2])

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, Conv2DTransposeCache]:
        self.require_built()
        return conv2d_transpose(
            x,
            self.params["kernel"],
            self.params.get("bias"),
            strides=self.window.strides,
            padding=str(self.window.padding),
            output_padding=self.output_padding,
            dilation_rate=self.window.dilation,
            algorithm=self.algorithm,
        )

    def backward(
        self, dy: Array, cache: Conv2DTransposeCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        dx, dkernel, dbias = conv2d_transpose_backward(
            dy, cache, input_gradient=input_gradient, parameter_gradients=self.trainable
        )
        return dx, self._gradients(dkernel, dbias)

    def config(self) -> dict[str, Any]:
        return self._window_config() | {
            "filters": self.filters,
            "output_padding": self.output_padding,
            "kernel_initializer": self.kernel_initializer.config(),
        }
