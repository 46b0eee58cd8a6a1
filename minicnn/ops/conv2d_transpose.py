"""Transposed convolution: every pixel stamps a kernel, times its value, onto a larger picture. Where stamps overlap,
they add up.

    y[n, h*SH + kh*DH - top, w*SW + kw*DW - left, f] += x[n, h, w, c] * kernel[kh, kw, f, c]          + bias[f]

That is what a convolution does to its gradient: let a convolution with this kernel lead from pictures of the shape of y
to pictures of the shape of x; then y is the gradient of its input for the upstream gradient x. As matrices, if the
convolution is M, this is M transposed. So nothing new is computed here, and the convolution's algorithms serve:

    y       = the convolution's input gradient                dx      = the convolution of dy
    dkernel = its kernel gradient, dy standing for x and x for the upstream gradient

The kernel is (KH, KW, F, C): as the convolution sees it, F channels in and C filters out.

Several sizes of y lead to the same size of x, since strides round down. Which one is meant, with span = (K - 1)*D + 1:

    "valid"   (H - 1)*S + span + output_padding             output_padding None: max(S - span, 0)
    "same"    H*S;  with output_padding (H - 1)*S + span % 2 + output_padding

Costs as many multiplications as that convolution. Source: Zeiler et al. 2010, "Deconvolutional Networks".
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.checks import check_bias
from minicnn.ops.conv2d import ALGORITHMS, MEASURED, bias_gradient, resolve
from minicnn.ops.normalising import add_to_channels
from minicnn.shapes import Array, IntOrPair, Pair, Shape, Window, check_array, check_same_dtype, pair


class Conv2DTransposeCache(NamedTuple):
    """Both factors of every product, and how they met."""

    x: Array
    kernel: Array
    y_shape: Shape
    window: Window
    has_bias: bool
    algorithm: str


def conv2d_transpose(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: IntOrPair = 1,
    padding: str = "valid",
    output_padding: IntOrPair | None = None,
    dilation_rate: IntOrPair = 1,
    algorithm: str = "auto",
) -> tuple[Array, Conv2DTransposeCache]:
    """(N, H, W, C), (KH, KW, F, C), (F,) -> (N, OH, OW, F) and the cache for ``conv2d_transpose_backward``.

    ``algorithm`` as for ``conv2d``, but for "measured". Raises ShapeError, DtypeError, OptionError.
    """
    check_array(x, "x", 4, "(N, H, W, C)")
    check_array(kernel, "kernel", 4, "(KH, KW, F, C)")
    check_same_dtype(x, kernel, "x", "kernel")
    if kernel.shape[3] != x.shape[3]:
        raise ShapeError(explain(f"x with {kernel.shape[3]} channels (kernel {kernel.shape})", f"x of shape {x.shape}"))
    check_bias(bias, kernel.shape[2:3], kernel)
    window = Window.of(kernel.shape[:2], strides, padding, dilation_rate)
    y_shape = (
        len(x),
        *output_size(x.shape[1:3], window, check_output_padding(output_padding, window)),
        kernel.shape[2],
    )
    if algorithm == MEASURED:
        fix = "Forward passes are measured, and this is the input gradient of one."
        raise OptionError(explain("'auto' or the name of an algorithm", repr(algorithm), fix))
    name = resolve(algorithm, kernel.shape, window, 1, (y_shape, x.dtype))  # of the convolution that this transposes
    y = ALGORITHMS[name].input_gradient(x, kernel, y_shape, window, 1)
    if bias is not None:
        add_to_channels(y, bias)
    return y, Conv2DTransposeCache(x, kernel, y_shape, window, bias is not None, name)


def conv2d_transpose_backward(
    dy: Array, cache: Conv2DTransposeCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, OH, OW, F) -> (dx, dkernel, dbias). What is switched off, or was never there, comes back as None.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    x, kernel, y_shape, window, has_bias, name = cache
    check_array(dy, "dy", 4, "(N, OH, OW, F)")
    check_same_dtype(dy, kernel, "dy", "kernel")
    if dy.shape != y_shape:
        raise ShapeError(explain(f"dy in the shape of y, {y_shape}", f"shape {dy.shape}"))
    algorithm = ALGORITHMS[name]
    dx = algorithm.forward(dy, kernel, None, window, 1) if input_gradient else None
    if not parameter_gradients:
        return dx, None, None
    return dx, algorithm.kernel_gradient(x, dy, kernel.shape, window, 1), bias_gradient(dy) if has_bias else None


def check_output_padding(output_padding: IntOrPair | None, window: Window) -> Pair | None:
    """None, or rows and columns, fewer than the strides: beyond that nobody stamps. Raises OptionError."""
    if output_padding is None:
        return None
    found = pair(output_padding, "output_padding", least=0)
    if any(extra >= stride for extra, stride in zip(found, window.strides, strict=True)):
        raise OptionError(explain(f"output_padding below the strides {window.strides}", repr(output_padding)))
    return found


def output_size(size: Pair, window: Window, output_padding: Pair | None) -> Pair:
    """(OH, OW) for inputs of ``size`` (H, W). Raises ShapeError where no convolution leads back to that size."""
    extras = (None, None) if output_padding is None else output_padding
    axes = zip(size, window.span, window.strides, extras, strict=True)
    found = tuple(_length(n, span, stride, window.padding == "same", extra) for n, span, stride, extra in axes)
    if min(found) < 1 or window.output_size(*found) != size:
        fix = "With padding='same', an even kernel needs output_padding of at least 1."
        raise ShapeError(explain(f"a convolution from {found} to {size}", f"{window}", fix))
    return found[0], found[1]


def _length(n: int, span: int, stride: int, same: bool, extra: int | None) -> int:
    if same:
        return n * stride if extra is None else (n - 1) * stride + span % 2 + extra
    return (n - 1) * stride + span + (max(stride - span, 0) if extra is None else extra)
