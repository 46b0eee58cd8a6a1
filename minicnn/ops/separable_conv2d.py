"""Separable convolution: first each channel by itself, in space; then every pixel by itself, across channels.

    z[n, oh, ow, c*M + m] = sum over kh, kw of  xp[n, oh*SH + kh*DH, ow*SW + kw*DW, c] * depthwise[kh, kw, c, m]
    y[n, oh, ow, f]       = bias[f] + sum over k of  z[n, oh, ow, k] * pointwise[0, 0, k, f]

Two operations that are there already, one after the other; backward is the chain rule through both. A 3x3 convolution
costs 9*C*F multiplications per pixel, this one 9*C*M + C*M*F: about a ninth, if M is 1 and F is large. What it cannot
do is to look for another pattern in each pair of channel and filter. z is not remembered but computed again: a cache
holds no more than it must. That takes some seventh of a training step (``benchmarks/NOTES.md``).
Source: Chollet 2017, "Xception"; Howard et al. 2017, "MobileNets".
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.errors import ShapeError, explain
from minicnn.ops.conv2d import Conv2DCache, conv2d, conv2d_backward
from minicnn.ops.depthwise_conv2d import depthwise_conv2d, depthwise_conv2d_backward
from minicnn.shapes import Array, Window, check_array, check_same_dtype


class SeparableConv2DCache(NamedTuple):
    """The input and both kernels, and how they met."""

    x: Array
    depthwise_kernel: Array
    pointwise_kernel: Array
    window: Window
    has_bias: bool
    algorithms: tuple[str, str]  # what the depthwise half was asked for, and what the pointwise one took


def separable_conv2d(
    x: Array,
    depthwise_kernel: Array,
    pointwise_kernel: Array,
    bias: Array | None = None,
    *,
    strides: int | tuple[int, int] = 1,
    padding: str = "valid",
    dilation_rate: int | tuple[int, int] = 1,
    algorithm: str = "auto",
    relu: bool = False,
) -> tuple[Array, SeparableConv2DCache]:
    """(N, H, W, C), (KH, KW, C, M), (1, 1, C*M, F), (F,) -> (N, OH, OW, F) and the cache.

    ``algorithm`` is for the depthwise half. Raises ShapeError, DtypeError, OptionError.
    """
    check_array(depthwise_kernel, "depthwise_kernel", 4, "(KH, KW, C, M)")
    check_array(pointwise_kernel, "pointwise_kernel", 4, "(1, 1, C*M, F)")
    check_same_dtype(pointwise_kernel, depthwise_kernel, "pointwise_kernel", "depthwise_kernel")
    between = depthwise_kernel.shape[2] * depthwise_kernel.shape[3]
    if pointwise_kernel.shape[:3] != (1, 1, between):
        expected = f"pointwise_kernel of shape (1, 1, {between}, F), for depthwise_kernel {depthwise_kernel.shape}"
        fix = "Its third axis has C*M places, one for each channel of what the depthwise half returns."
        raise ShapeError(explain(expected, f"shape {pointwise_kernel.shape}", fix))
    window = Window.of(depthwise_kernel.shape[:2], strides, padding, dilation_rate, dilated_strides=True)
    z, _ = _depthwise(x, depthwise_kernel, window, algorithm)
    y, pointwise = conv2d(z, pointwise_kernel, bias, relu=relu)
    names = (algorithm, pointwise.algorithm)
    return y, SeparableConv2DCache(x, depthwise_kernel, pointwise_kernel, window, bias is not None, names)


def separable_conv2d_backward(
    dy: Array, cache: SeparableConv2DCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None, Array | None]:
    """(N, OH, OW, F) -> (dx, ddepthwise_kernel, dpointwise_kernel, dbias); None for what is switched off or not there.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    if not (input_gradient or parameter_gradients):
        return None, None, None, None
    z, depthwise = _depthwise(cache.x, cache.depthwise_kernel, cache.window, cache.algorithms[0])
    pointwise = Conv2DCache(z, cache.pointwise_kernel, Window((1, 1)), 1, cache.has_bias, cache.algorithms[1])
    dz, dpointwise, dbias = conv2d_backward(dy, pointwise, parameter_gradients=parameter_gradients)
    assert dz is not None
    dx, ddepthwise, _ = depthwise_conv2d_backward(
        dz, depthwise, input_gradient=input_gradient, parameter_gradients=parameter_gradients
    )
    return dx, ddepthwise, dpointwise, dbias


def _depthwise(x: Array, kernel: Array, window: Window, algorithm: str) -> tuple[Array, Conv2DCache]:
    return depthwise_conv2d(
        x,
        kernel,
        strides=window.strides,
        padding=window.padding,
        dilation_rate=window.dilation,
        algorithm=algorithm,
    )
