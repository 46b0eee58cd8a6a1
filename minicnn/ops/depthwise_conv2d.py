"""Depthwise convolution: every channel has filters of its own and never meets the others.

    y[n, oh, ow, c*M + m] = bias[c*M + m] + sum over kh, kw of  xp[n, oh*SH + kh*DH, ow*SW + kw*DW, c] * kernel[kh,
    kw, c, m]

with M = depth_multiplier filters per channel, xp the zero-padded input. It is a convolution with as many groups as
channels: the same sums, so the same algorithms compute it. What differs is the layout of the kernel, (KH, KW, C, M),
where a grouped convolution has (KH, KW, 1, C*M): the same numbers in the same order.

Cost: N*OH*OW*C*M*KH*KW multiplications, C times fewer than a full convolution with C*M filters. So few that memory
traffic decides, and matrix products and Winograd have nothing to work on.
Paper: Sifre 2014, "Rigid-Motion Scattering for Image Classification"; Howard et al. 2017, "MobileNets".
"""

from __future__ import annotations

from minicnn.errors import ShapeError, explain
from minicnn.ops.conv2d import Conv2DCache, conv2d, conv2d_backward
from minicnn.shapes import Array, Pads, check_array


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

    Raises ShapeError, DtypeError, OptionError.
    """
    check_array(x, "x", 4, "(N, H, W, C)")
    check_array(kernel, "kernel", 4, "(KH, KW, C, depth_multiplier)")
    size_h, size_w, channels, multiplier = kernel.shape
    if channels != x.shape[3]:
        raise ShapeError(explain(f"x with {channels} channels (kernel {kernel.shape})", f"x of shape {x.shape}"))
    grouped = kernel.reshape(size_h, size_w, 1, channels * multiplier)  # (KH, KW, C, M) -> (KH, KW, 1, C*M)
    return conv2d(
        x,
        grouped,
        bias,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        groups=channels,
        algorithm=algorithm,
    )


def depthwise_conv2d_backward(
    dy: Array, cache: Conv2DCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, OH, OW, C*M) -> (dx, dkernel, dbias), in the shapes of x, kernel and bias."""
    dx, grouped, dbias = conv2d_backward(
        dy, cache, input_gradient=input_gradient, parameter_gradients=parameter_gradients
    )
    if grouped is None:
        return dx, None, None
    size_h, size_w, _, filters = grouped.shape
    return dx, grouped.reshape(size_h, size_w, cache.groups, filters // cache.groups), dbias
