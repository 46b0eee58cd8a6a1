"""2-D convolution: one operation, several algorithms, one contract. This is its front door.

    y[n, oh, ow, f] = bias[f] + sum over kh, kw, c of  xp[n, oh*SH + kh*DH, ow*SW + kw*DW, c] * kernel[kh, kw, c, f]

xp is x with its zero padding, (SH, SW) the strides, (DH, DW) the dilation. Layout NHWC; kernels are (KH, KW,
C/groups, F). With ``groups`` G, channels and filters are cut into G parts, and each part of the filters sees only its
part of the channels.

Every algorithm is a module with the same three functions, ``forward``, ``input_gradient`` and ``kernel_gradient``;
with ``unsupported``, which says why it cannot take a shape (or None); and with ``prepare``, which brings a kernel into
the form that its forward pass multiplies with (or returns None). They compute the same sums in another order; any
forward goes with any backward. To add one: write that file, and add its line to ``ALGORITHMS``.

Read them in this order: ``loops`` (the definition), ``im2col`` (as one matrix product), ``direct`` (the same product
without building the matrix), ``winograd`` (fewer multiplications).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops.column_sums import column_sums
from minicnn.ops.conv2d import direct, im2col, loops, measured, winograd
from minicnn.ops.conv2d.prepared import Prepared
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.shapes import KEPT, Array, Pads, Shape, Window, check_array, check_same_dtype, whole


class Algorithm(Protocol):
    """The contract of an algorithm's module. Arguments were validated; outputs are new, C-contiguous arrays."""

    def unsupported(self, kernel_shape: Shape, window: Window, groups: int) -> str | None: ...
    def prepare(self, kernel: Array, window: Window, groups: int) -> Array | None: ...
    def forward(
        self,
        x: Array,
        kernel: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        finish: Finish = PLAIN,
        prepared: Array | None = None,
    ) -> Array: ...
    def input_gradient(self, dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int) -> Array: ...
    def kernel_gradient(self, dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array: ...


ALGORITHMS: MappingProxyType[str, Algorithm] = MappingProxyType(
    {
        "loops": loops,
        "im2col": im2col,
        "direct": direct,
        "winograd": winograd.F4x4,
        "winograd_2x2": winograd.F2x2,
        "winograd_complex": winograd.F4x4_COMPLEX,
        "winograd_5x5": winograd.F2x2_5x5,
        "winograd_stride_2": winograd.F2x2_STRIDE_2,
    }
)


MEASURED = "measured"  # the one that was fastest here, for this shape


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
    check_array(x, "x", 4, "(N, H, W, C)")
    check_array(kernel, "kernel", 4, "(KH, KW, C/groups, F)")
    check_same_dtype(x, kernel, "x", "kernel")
    if window.size != kernel.shape[:2]:
        raise ShapeError(explain(f"a kernel of {window.size[0]}x{window.size[1]}, the window", f"shape {kernel.shape}"))
    check_groups(x.shape[3], kernel.shape[3], groups)
    if kernel.shape[2] * groups != x.shape[3]:
        raise ShapeError(
            explain(
                f"x with {kernel.shape[2] * groups} channels (kernel {kernel.shape}, groups={groups})",
                f"x of shape {x.shape}",
                "Layout is NHWC; for NCHW pictures use x.transpose(0, 2, 3, 1).",
            )
        )
    if bias is not None:
        check_array(bias, "bias", 1, "(F,)")
        check_same_dtype(bias, kernel, "bias", "kernel")
        if bias.shape != kernel.shape[3:]:
            raise ShapeError(explain(f"bias of shape {kernel.shape[3:]}, one per filter", f"shape {bias.shape}"))
    finish.check(kernel)
    finish.size(*window.output_size(*x.shape[1:3]))  # raises when the window does not fit
    name = resolve(algorithm, kernel.shape, window, groups, (x.shape, x.dtype))
    chosen = ALGORITHMS[name]
    form = f"{name}, {groups} groups"
    panels = prepared.of(kernel, form, lambda: chosen.prepare(kernel, window, groups)) if prepared else None
    y = chosen.forward(x, kernel, bias, window, groups, finish, panels)
    return y, Conv2DCache(x, kernel, window, groups, bias is not None, name)


def conv2d_backward(
    dy: Array,
    cache: Conv2DCache,
    *,
    algorithm: str | None = None,
    input_gradient: bool = True,
    parameter_gradients: bool = True,
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, OH, OW, F) -> (dx, dkernel, dbias), in the shapes of x, kernel and bias.

    ``algorithm`` None means the forward pass's. What is switched off, or was never there, comes back as None. dx
    costs as much as the forward pass, dkernel as much again. Raises ShapeError and DtypeError when ``dy`` is not
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
    dx = chosen_algorithm.input_gradient(dy, kernel, x.shape, window, groups) if input_gradient else None
    if not parameter_gradients:
        return dx, None, None
    dkernel = chosen_algorithm.kernel_gradient(dy, x, kernel.shape, window, groups)
    return dx, dkernel, bias_gradient(dy) if has_bias else None


def bias_gradient(dy: Array) -> Array:
    """(N, OH, OW, F) -> (F,). The bias is added to every output of its filter, so its gradient is the sum over them."""
    return column_sums(dy)


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


def resolve(
    algorithm: str, kernel_shape: Shape, window: Window, groups: int, x: tuple[Shape, Any] | None = None
) -> str:
    """The name of the algorithm that will run. Raises OptionError for an unknown name or an impossible wish.

    ``x``: shape and dtype of the input, for "auto" and "measured"; without it, "measured" stays "measured".
    """
    if algorithm == "auto":
        return choose(kernel_shape, window, groups, (1, *x[0][1:]) if x else None)  # found once for any number
    if algorithm == MEASURED:
        return MEASURED if x is None else _measured(kernel_shape, window, groups, *x)
    if algorithm not in ALGORITHMS:
        names = ", ".join(["auto", MEASURED, *ALGORITHMS])
        raise OptionError(explain(f"algorithm to be one of {names}", repr(algorithm)))
    reason = ALGORITHMS[algorithm].unsupported(kernel_shape, window, groups)
    if reason:
        raise OptionError(explain(f"a convolution that '{algorithm}' can compute", reason, "Use algorithm='auto'."))
    return algorithm


def _measured(kernel_shape: Shape, window: Window, groups: int, x_shape: Shape, dtype: Any) -> str:
    """The fastest of all algorithms but "loops", which is there to be read."""
    names = [
        name
        for name, own in ALGORITHMS.items()
        if name != "loops" and own.unsupported(kernel_shape, window, groups) is None
    ]

    def run(name: str, x: Array, kernel: Array) -> Callable[[], object]:
        panels = ALGORITHMS[name].prepare(kernel, window, groups)
        return lambda: ALGORITHMS[name].forward(x, kernel, None, window, groups, PLAIN, panels)

    return measured.fastest(names, run, x_shape, kernel_shape, (window, groups), dtype)


@functools.lru_cache(maxsize=KEPT)
def choose(kernel_shape: Shape, window: Window, groups: int, x_shape: Shape | None = None) -> str:
    """The rule behind "auto". It does not ask for the number of pictures, so that one picture gets the same bits as
    many, nor whether the network is being trained.

    - 3x3 at stride 1 with at least 16 channels on both sides: Winograd at complex points, 46 multiplications for 4x4
      outputs instead of 144. In small pictures (14x14, 10x10 and less) its tiles hang so far over the border that it
      gains little on F(2x2), 16 for 2x2, whose transformed kernels are a third as large: then that one. (F(4x4) at real
      points needs 36, but whole networks were then more than twice as far from the truth as Keras.)
    - 5x5 likewise: Winograd at the same points, 46 multiplications for 2x2 outputs instead of 100.
    - 3x3 at stride 2 with at least 128 channels on both sides and 10 x 10 outputs: Winograd again, 25 multiplications
      for 2x2 outputs instead of 36. That gains less, so the transforms of fewer channels, or of kernels for fewer
      outputs, cost more than it (``benchmarks/NOTES.md``).
    - all else: direct, which reads windows where they lie. (im2col copies every input KH*KW times.)
    """
    _, _, channels, filters = kernel_shape
    least = min(channels, filters)
    if least < 16:
        return "direct"
    size = window.output_size(*x_shape[1:3]) if x_shape is not None else None
    if winograd.F2x2_STRIDE_2.unsupported(kernel_shape, window, groups) is None:
        return "winograd_stride_2" if least >= 128 and (size is None or min(size) >= 10) else "direct"
    if winograd.F2x2_5x5.unsupported(kernel_shape, window, groups) is None:
        return "winograd_5x5"
    if winograd.F2x2.unsupported(kernel_shape, window, groups) is not None:
        return "direct"
    if size is not None and winograd.F2x2.cost(*size) <= winograd.F4x4_COMPLEX.cost(*size):
        return "winograd_2x2"
    return "winograd_complex"
