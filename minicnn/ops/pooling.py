"""What max and average pooling share: which windows they accept, and which lie over a place.

The operations are in the files named after them.
"""

from __future__ import annotations

from minicnn.errors import OptionError, explain
from minicnn.ops.jit import inline
from minicnn.shapes import Pair, Shape, Window


def check_pooling(x_shape: Shape, window: Window) -> Pair:
    """The padding (above, left of) the picture. Every window must see at least one of the picture's pixels."""
    pads = window.pads(*x_shape[1:3])
    if window.dilation != (1, 1):
        raise OptionError(
            explain("a pooling window without dilation", f"dilation {window.dilation}", "Keras has none either.")
        )
    if any(max(pad) >= size for pad, size in zip(pads, window.size, strict=True)):
        raise OptionError(
            explain(
                f"paddings smaller than the pooling window {window.size}",
                f"padding {pads}",
                "A window that sees only padding has neither a maximum nor an average.",
            )
        )
    return pads[0][0], pads[1][0]


@inline
def windows_over(position: int, size: int, stride: int, windows: int) -> Pair:
    """Which windows lie over a place, padding counted: a half-open range."""
    return max(0, (position - size) // stride + 1), min(windows, position // stride + 1)
