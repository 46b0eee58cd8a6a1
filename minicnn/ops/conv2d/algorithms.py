"""The algorithms of a convolution, their contract, and which one takes a shape.

Every algorithm is a module (or an object) with the same three functions, ``forward``, ``input_gradient`` and
``kernel_gradient``; with ``unsupported``, which says why it cannot take a shape (or None); with ``prepare``, which
brings a kernel into the form that its forward pass multiplies with (or returns None); and with ``ready``, which returns
``forward`` for inputs of one shape, where all that does not depend on their numbers is done. They compute the same sums
in another order; any forward goes with any backward. To add one: write that file, and add its line to ``ALGORITHMS``.

Read them in this order: ``loops`` (the definition), ``im2col`` (as one matrix product), ``direct`` (the same product
without building the matrix), ``winograd`` (fewer multiplications).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Protocol

from minicnn.errors import OptionError, explain
from minicnn.ops.calls import Call
from minicnn.ops.conv2d import direct, im2col, loops, measured, winograd
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.shapes import KEPT, Array, Shape, Window


class Algorithm(Protocol):
    """The contract of an algorithm's module. Arguments were validated; outputs are new, C-contiguous arrays.

    ``gate``: x, if a ReLU made it and dx shall be the gradient of what that one read: 0 where x is not above 0.
    """

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
    def ready(
        self,
        x_shape: Shape,
        kernel: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        finish: Finish,
        prepared: Array | None,
    ) -> Call: ...
    def input_gradient(
        self, dy: Array, kernel: Array, x_shape: Shape, window: Window, groups: int, gate: Array | None = None
    ) -> Array: ...
    def kernel_gradient(self, dy: Array, x: Array, kernel_shape: Shape, window: Window, groups: int) -> Array: ...


ALGORITHMS: MappingProxyType[str, Algorithm] = MappingProxyType(
    {
        "loops": loops,
        "im2col": im2col,
        "direct": direct,
        "winograd": winograd.F4x4,
        "winograd_2x2": winograd.F2x2,
        "winograd_complex": winograd.F4x4_COMPLEX,
        "winograd_6x6": winograd.F6x6,
        "winograd_5x5": winograd.F2x2_5x5,
        "winograd_5x5_4x4": winograd.F4x4_5x5,
        "winograd_stride_2": winograd.F2x2_STRIDE_2,
    }
)

#: Those that share kernels at stride 1 among themselves, smaller tiles first.
TILES = {
    "winograd_2x2": winograd.F2x2,
    "winograd_complex": winograd.F4x4_COMPLEX,
    "winograd_6x6": winograd.F6x6,
    "winograd_5x5": winograd.F2x2_5x5,
    "winograd_5x5_4x4": winograd.F4x4_5x5,
}

LARGE = 1000  # rows and columns of a picture whose size is not known
MEASURED = "measured"  # the one that was fastest here, for this shape


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
    many, nor whether the network is being trained. Without ``x_shape``: for large pictures.

    - 3x3 at stride 1 with at least 16 channels on both sides: the Winograd form with the least ``cost`` for this size.
      F(6x6) needs 78 multiplications for 36 outputs, F(4x4) at complex points 46 for 16, F(2x2) 16 for 4, and the
      definition 9 for each; but the smaller the picture, the more of a large tile hangs over its border, and the more
      it counts that large tiles have more transformed kernels to read. So F(2x2) is for 14x14, 10x10 and less, F(6x6)
      for nearly all from 21x21 on. (F(4x4) at real points needs 36 for 16, but rounds twice as much as F(6x6).)
    - 5x5 likewise: from 7x7 on F(4x4), 78 multiplications for 16 outputs instead of 400; in less F(2x2), 46 for 4.
    - 3x3 at stride 2 with at least 128 channels on both sides and 10 x 10 outputs: Winograd again, 25 multiplications
      for 2x2 outputs instead of 36. That gains less, so the transforms of fewer channels, or of kernels for fewer
      outputs, cost more than it (``benchmarks/NOTES.md``).
    - all else: direct, which reads windows where they lie. (im2col copies every input KH*KW times.)
    """
    _, _, channels, filters = kernel_shape
    least = min(channels, filters)
    if least < 16:
        return "direct"
    size = (LARGE, LARGE) if x_shape is None else window.output_size(*x_shape[1:3])
    if winograd.F2x2_STRIDE_2.unsupported(kernel_shape, window, groups) is None:
        return "winograd_stride_2" if least >= 128 and min(size) >= 10 else "direct"
    costs = {
        name: tiles.cost(*size)
        for name, tiles in TILES.items()
        if tiles.unsupported(kernel_shape, window, groups) is None
    }
    return min(costs, key=lambda name: costs[name]) if costs else "direct"
