"""2-D convolution: one operation, several algorithms, one contract. This is its front door.

    y[n, oh, ow, f] = bias[f] + sum over kh, kw, c of  xp[n, oh*SH + kh*DH, ow*SW + kw*DW, c] * kernel[kh, kw, c, f]

xp is x with its zero padding, (SH, SW) the strides, (DH, DW) the dilation. Layout NHWC; kernels are (KH, KW,
C/groups, F). With ``groups`` G, channels and filters are cut into G parts, and each part of the filters sees only its
part of the channels. Which algorithms there are, and which one takes a shape: ``algorithms.py``.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.checks import check_bias
from minicnn.ops.column_sums import column_sums
from minicnn.ops.conv2d.algorithms import ALGORITHMS, MEASURED, choose, resolve
from minicnn.ops.conv2d.prepared import Kept, Prepared
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.shapes import KEPT, Array, Pads, Shape, Window, check_array, check_same_dtype, whole

__all__ = [
    "ALGORITHMS",
    "MEASURED",
    "Conv2DCache",
    "bias_gradient",
    "check_groups",
    "choose",
    "conv2d",
    "conv2d_backward",
    "convolve",
    "ready",
    "require_size",
    "resolve",
]


class Conv2DCache(NamedTuple):
    """What the backward pass remembers: both factors of every product, and how they met."""

    x: Array
    kernel: Array
    window: Window
    groups: int
    has_bias: bool
    algorithm: str


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: int | tuple[int, int] = 1,
    padding: str | Pads = "valid",
    dilation_rate: int | tuple[int, int] = 1,
    groups: int = 1,
    algorithm: str = "auto",
    relu: bool = False,
    prepared: Prepared | None = None,
) -> tuple[Array, Conv2DCache]:
    """(N, H, W, C), (KH, KW, C/groups, F), (F,) -> (N, OH, OW, F) and the cache for ``conv2d_backward``.

    ``padding`` is "valid", "same" or ((top, bottom), (left, right)). ``algorithm`` is "auto" (see ``choose``),
    "measured" (see ``measured.py``) or a name from ``ALGORITHMS``; a name that cannot take this shape is an OptionError
    that says why. ``relu`` cuts the result off at 0 while it is written, which is cheaper than a pass of its own;
    ``conv2d_backward`` then expects the gradient that ``relu_backward`` returned. ``prepared`` keeps the kernel in the
    algorithm's form between calls. Costs N*OH*OW*F*KH*KW*C/groups multiplications (Winograd: fewer). Raises ShapeError,
    DtypeError, OptionError.
    """
    check_array(kernel, "kernel", 4, "(KH, KW, C/groups, F)")
    window = Window.of(kernel.shape[:2], strides, padding, dilation_rate)
    return convolve(
        x, kernel, bias, window, groups=groups, algorithm=algorithm, finish=Finish(relu=relu), prepared=prepared
    )


def convolve(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    *,
    groups: int = 1,
    algorithm: str = "auto",
    finish: Finish = PLAIN,
    prepared: Prepared | None = None,
) -> tuple[Array, Conv2DCache]:
    """``conv2d`` for a window that was made before: a layer makes its own once, and calls this many times.

    ``finish``: what else is done with the results while they are in the cache; halved, y is (N, OH/2, OW/2, F).
    """
    name = _check(x, kernel, bias, window, groups, algorithm, finish)
    chosen = ALGORITHMS[name]
    panels = None
    if prepared:
        panels = prepared.of(kernel, (name, groups), lambda own: chosen.prepare(own, window, groups)).panels
    y = chosen.forward(x, kernel, bias, window, groups, finish, panels)
    return y, Conv2DCache(x, kernel, window, groups, bias is not None, name)


def ready(
    x: Array,
    kernel: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    algorithm: str,
    finish: Finish,
    prepared: Prepared,
) -> Kept:
    """For predictions: a call that makes y of ``convolve`` of this x and of those like it. When one is like the last,
    nothing is checked or prepared again."""
    factors, relu, halve = finish
    options = kind(x), kind(bias), window, type(groups), groups, algorithm, relu, halve  # True equals 1, but is none
    arrays = kernel, bias, factors
    kept = prepared.call(options, arrays)
    if kept is None:
        name = _check(x, kernel, bias, window, groups, algorithm, finish)
        chosen = ALGORITHMS[name]
        held = prepared.of(kernel, (name, groups), lambda own: chosen.prepare(own, window, groups))
        call = chosen.ready(x.shape, kernel, bias, window, groups, finish, held.panels)
        if algorithm == MEASURED:  # which is the fastest depends on the number of threads
            return Kept(options, arrays, None, held.fingerprint, call)
        kept = prepared.keep(options, arrays, held.fingerprint, call)
    return kept


def kind(array: Any) -> tuple[Any, ...]:
    """What ``_check`` looks at, of whatever somebody gives for an array."""
    return type(array), getattr(array, "shape", None), getattr(array, "dtype", None)


def _check(
    x: Array, kernel: Array, bias: Array | None, window: Window, groups: int, algorithm: str, finish: Finish
) -> str:
    """The name of the algorithm that will run. Raises ShapeError, DtypeError or OptionError for what does not fit."""
    check_array(x, "x", 4, "(N, H, W, C)")
    check_array(kernel, "kernel", 4, "(KH, KW, C/groups, F)")
    check_same_dtype(x, kernel, "x", "kernel")
    if not isinstance(algorithm, str):  # what is looked up below could not even be looked for
        raise OptionError(explain("algorithm by its name, such as 'auto'", repr(algorithm)))
    name = _check_shapes(x.shape, kernel.shape, window, whole(groups, "groups"), algorithm, finish.halve)
    check_bias(bias, kernel.shape[3:], kernel)
    finish.check(kernel)
    return resolve(MEASURED, kernel.shape, window, groups, (x.shape, x.dtype)) if name == MEASURED else name


@functools.lru_cache(maxsize=KEPT)  # found once for a layer: with few pixels it takes longer than computing them
def _check_shapes(x: Shape, kernel: Shape, window: Window, groups: int, algorithm: str, halve: bool) -> str:
    """What ``_check`` returns, but "measured" stays what it is."""
    require_size(window, kernel)
    check_groups(x[3], kernel[3], groups)
    if kernel[2] * groups != x[3]:
        raise ShapeError(
            explain(
                f"x with {kernel[2] * groups} channels (kernel {kernel}, groups={groups})",
                f"x of shape {x}",
                "Layout is NHWC; for NCHW pictures use x.transpose(0, 2, 3, 1).",
            )
        )
    Finish(halve=halve).size(*window.output_size(*x[1:3]))  # raises when the window does not fit
    return resolve(algorithm, kernel, window, groups, None if algorithm == MEASURED else (x, None))


def conv2d_backward(
    dy: Array,
    cache: Conv2DCache,
    *,
    algorithm: str | None = None,
    input_gradient: bool = True,
    parameter_gradients: bool = True,
    through_relu: bool = False,
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, OH, OW, F) -> (dx, dkernel, dbias), in the shapes of x, kernel and bias.

    ``algorithm`` None means the forward pass's. What is switched off, or was never there, comes back as None. dx
    costs as much as the forward pass, dkernel as much again. ``through_relu``: a ReLU made x, and dx is the gradient of
    what that one read, which is cheaper than a pass of its own. Raises ShapeError and DtypeError when ``dy`` is not
    shaped like y.
    """
    x, kernel, window, groups, has_bias, chosen = cache
    check_array(dy, "dy", 4, "(N, OH, OW, F)")
    check_same_dtype(dy, kernel, "dy", "kernel")
    expected = (len(x), *window.output_size(*x.shape[1:3]), kernel.shape[3])
    if dy.shape != expected:
        raise ShapeError(explain(f"dy in the shape of y, {expected}", f"shape {dy.shape}"))
    name = resolve(algorithm or chosen, kernel.shape, window, groups, (x.shape, x.dtype))
    chosen_algorithm = ALGORITHMS[name]
    gate = x if through_relu else None
    dx = chosen_algorithm.input_gradient(dy, kernel, x.shape, window, groups, gate) if input_gradient else None
    if not parameter_gradients:
        return dx, None, None
    dkernel = chosen_algorithm.kernel_gradient(dy, x, kernel.shape, window, groups)
    return dx, dkernel, bias_gradient(dy) if has_bias else None


def bias_gradient(dy: Array) -> Array:
    """(N, OH, OW, F) -> (F,). The bias is added to every output of its filter, so its gradient is the sum over them."""
    return column_sums(dy)


def require_size(window: Window, kernel: Shape) -> None:
    """Raise ShapeError for a kernel (KH, KW, ...) that has not the window's size."""
    if window.size != kernel[:2]:
        raise ShapeError(explain(f"a kernel of {window.size[0]}x{window.size[1]}, the window", f"shape {kernel}"))


def check_groups(channels: int, filters: int, groups: int) -> None:
    """``groups`` must cut both the channels and the filters into equal parts."""
    whole(groups, "groups")
    if channels % groups or filters % groups:
        raise OptionError(
            explain(
                f"groups that divide both the channels ({channels}) and the filters ({filters})",
                f"groups={groups}",
                "Choose a common divisor of the two.",
            )
        )
