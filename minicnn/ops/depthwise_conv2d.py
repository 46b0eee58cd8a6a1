"""Depthwise convolution: every channel has filters of its own and never meets the others.

    y[n, oh, ow, c*M + m] = bias[c*M + m] + sum over kh, kw of  xp[n, oh*SH + kh*DH, ow*SW + kw*DW, c] * kernel[kh,
    kw, c, m]

with M = depth_multiplier filters per channel, xp the zero-padded input. It is a convolution with as many groups as
channels: the same sums, so the algorithms of ``conv2d`` can compute it. What differs is the layout of the kernel,
(KH, KW, C, M), where a grouped convolution has (KH, KW, 1, C*M): the same numbers in the same order.

Cost: N*OH*OW*C*M*KH*KW multiplications, C times fewer than a full convolution with C*M filters. So few that memory
traffic decides, and matrix products and Winograd have nothing to work on. So "auto" has loops of its own, in
``depthwise_loops`` and ``depthwise_gradient``. They know one filter per channel; with M > 1 every channel of x is
repeated M times for them, and its gradient is the sum over the copies.
Paper: Sifre 2014, "Rigid-Motion Scattering for Image Classification"; Howard et al. 2017, "MobileNets".
"""

from __future__ import annotations

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops.checks import check_bias
from minicnn.ops.column_sums import column_sums
from minicnn.ops.conv2d import Conv2DCache, conv2d_backward, convolve, require_size
from minicnn.ops.depthwise_gradient import kernel_gradient
from minicnn.ops.depthwise_loops import forward
from minicnn.ops.depthwise_loops import input_gradient as _input_gradient
from minicnn.shapes import Array, Pads, Window, check_array, check_same_dtype

OWN = "depthwise"  # what a cache calls the loops that only this operation has


def depthwise_conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: int | tuple[int, int] = 1,
    padding: str | Pads = "valid",
    dilation_rate: int | tuple[int, int] = 1,
    algorithm: str = "auto",
) -> tuple[Array, Conv2DCache]:
    """(N, H, W, C), (KH, KW, C, M), (C*M,) -> (N, OH, OW, C*M) and the cache for ``depthwise_conv2d_backward``.

    ``algorithm`` is "auto" or a name from ``conv2d.ALGORITHMS``. Raises ShapeError, DtypeError, OptionError.
    """
    check_array(x, "x", 4, "(N, H, W, C)")
    check_array(kernel, "kernel", 4, "(KH, KW, C, depth_multiplier)")
    window = Window.of(kernel.shape[:2], strides, padding, dilation_rate, dilated_strides=True)
    return convolve_depthwise(x, kernel, bias, window, algorithm=algorithm)


def convolve_depthwise(
    x: Array, kernel: Array, bias: Array | None, window: Window, *, algorithm: str = "auto"
) -> tuple[Array, Conv2DCache]:
    """``depthwise_conv2d`` for a window that was made before: a layer makes its own once, and calls this many times."""
    check_array(x, "x", 4, "(N, H, W, C)")
    check_array(kernel, "kernel", 4, "(KH, KW, C, depth_multiplier)")
    require_size(window, kernel.shape)
    size_h, size_w, channels, multiplier = kernel.shape
    if channels != x.shape[3]:
        raise ShapeError(explain(f"x with {channels} channels (kernel {kernel.shape})", f"x of shape {x.shape}"))
    grouped = kernel.reshape(size_h, size_w, 1, channels * multiplier)  # (KH, KW, C, M) -> (KH, KW, 1, C*M)
    if algorithm != "auto":
        return convolve(x, grouped, bias, window, groups=channels, algorithm=algorithm)
    check_same_dtype(x, kernel, "x", "kernel")
    check_bias(bias, grouped.shape[3:], kernel, "(C*depth_multiplier,)")
    window.output_size(*x.shape[1:3])  # raises when the window does not fit
    y = forward(_repeated(x, multiplier), grouped[:, :, 0], bias, window)
    return y, Conv2DCache(x, grouped, window, channels, bias is not None, OWN)


def depthwise_conv2d_backward(
    dy: Array, cache: Conv2DCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, OH, OW, C*M) -> (dx, dkernel, dbias), in the shapes of x, kernel and bias.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    if cache.algorithm == OWN:
        dx, grouped, dbias = _backward(dy, cache, input_gradient, parameter_gradients)
    else:
        dx, grouped, dbias = conv2d_backward(
            dy, cache, input_gradient=input_gradient, parameter_gradients=parameter_gradients
        )
    if grouped is None:
        return dx, None, None
    size_h, size_w, _, filters = cache.kernel.shape
    return dx, grouped.reshape(size_h, size_w, cache.groups, filters // cache.groups), dbias


def _backward(
    dy: Array, cache: Conv2DCache, want_dx: bool, want_parameters: bool
) -> tuple[Array | None, Array | None, Array | None]:
    x, kernel, window = cache.x, cache.kernel, cache.window
    check_array(dy, "dy", 4, "(N, OH, OW, C*depth_multiplier)")
    check_same_dtype(dy, kernel, "dy", "kernel")
    expected = (len(x), *window.output_size(*x.shape[1:3]), kernel.shape[3])
    if dy.shape != expected:
        raise ShapeError(explain(f"dy in the shape of y, {expected}", f"shape {dy.shape}"))
    multiplier, dx = kernel.shape[3] // x.shape[3], None
    if want_dx:
        copies = _input_gradient(dy, kernel[:, :, 0], (*x.shape[:3], kernel.shape[3]), window)
        # (N, H, W, C*M) -> (N, H, W, C, M) -> (N, H, W, C)
        dx = copies if multiplier == 1 else copies.reshape(*x.shape, multiplier).sum(axis=-1)
    if not want_parameters:
        return dx, None, None
    dkernel = kernel_gradient(dy, _repeated(x, multiplier), window)
    return dx, dkernel, column_sums(dy) if cache.has_bias else None


def _repeated(x: Array, multiplier: int) -> Array:
    """(N, H, W, C) -> (N, H, W, C*M): each channel M times in a row."""
    return x if multiplier == 1 else np.repeat(x, multiplier, axis=3)
