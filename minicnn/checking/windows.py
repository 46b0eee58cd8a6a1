"""What convolution and pooling have in common when they go wrong: windows, and the ways to place them.

``gathered`` and ``scattered`` are the two halves of every window operation, in plain NumPy: what each window sees, and
where its numbers go back to. They are written to be varied by a mistake, not to be fast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.checking.subject import Arguments, Mistake
from minicnn.shapes import Array, Pads, Shape, Window


def window_of(arguments: Arguments) -> Window:
    """The window of a convolution or pooling, from its arguments."""
    size = arguments["pool_size"] if "pool_size" in arguments else arguments["kernel"].shape[:2]
    strides = arguments["strides"] or size  # pooling: None means side by side
    return Window.of(size, strides, arguments["padding"], arguments.get("dilation_rate", 1))


def gathered(x: Array, window: Window, fill: float = 0.0) -> Array:
    """(N, H, W, C) -> (N, OH, OW, KH, KW, C): what each window sees; ``fill`` where it looks outside."""
    oh, ow = window.output_size(*x.shape[1:3])
    padded = np.pad(x, ((0, 0), *window.pads(*x.shape[1:3]), (0, 0)), constant_values=fill)
    rows, columns = (
        np.arange(count)[:, None] * stride + np.arange(size) * dilation
        for count, stride, size, dilation in zip((oh, ow), window.strides, window.size, window.dilation, strict=True)
    )
    # (OH, 1, KH, 1) and (1, OW, 1, KW) -> (N, OH, OW, KH, KW, C)
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]


def scattered(values: Array, x_shape: Shape, window: Window, *, overwrite: str = "") -> Array:
    """(N, OH, OW, KH, KW, C) -> (N, H, W, C): every number added where its tap saw the input.

    ``overwrite`` assigns instead: "window" everything that the window covers, "value" only what is not 0.
    """
    pads = window.pads(*x_shape[1:3])
    (top, bottom), (left, right) = pads
    n, h, w, c = x_shape
    out = np.zeros((n, h + top + bottom, w + left + right, c))
    _, oh, ow, kh, kw, _ = values.shape
    for i in range(oh):
        for j in range(ow):
            rows = i * window.strides[0] + np.arange(kh) * window.dilation[0]
            columns = j * window.strides[1] + np.arange(kw) * window.dilation[1]
            place = (slice(None), rows[:, None], columns)
            new = values[:, i, j]
            if overwrite == "window":
                out[place] = new
            elif overwrite == "value":
                out[place] = np.where(new != 0, new, out[place])
            else:
                out[place] += new
    return out[:, top : top + h, left : left + w]


def _explicit(place: Callable[[Window, Pads], Pads]) -> Callable[[Arguments], Arguments]:
    """The change of ``padding`` where it is "same": ``place`` is told the window and the right zeros."""

    def change(arguments: Arguments) -> Arguments:
        if arguments["padding"] != "same":
            return {}
        window = window_of(arguments)
        return {"padding": place(window, window.pads(*arguments["x"].shape[1:3]))}

    return change


def _mirrored(window: Window, pads: Pads) -> Pads:
    (top, bottom), (left, right) = pads
    return (bottom, top), (right, left)


def _after(window: Window, pads: Pads) -> Pads:
    return (0, sum(pads[0])), (0, sum(pads[1]))


def _half_each_side(window: Window, pads: Pads) -> Pads:
    rows, columns = (span // 2 for span in window.span)
    return (rows, rows), (columns, columns)


def _as_for_stride_one(window: Window, pads: Pads) -> Pads:
    rows, columns = (span - 1 for span in window.span)
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)


PADDING = (
    Mistake(
        "padding ignored",
        "Computes 'valid' where 'same' was asked for: no zeros are added around the picture.",
        before=lambda a: {"padding": "valid"},
    ),
    Mistake(
        "odd padding before",
        "When 'same' needs an odd number of zeros, the extra one is placed before (top, left). Keras and TensorFlow "
        "place it after (bottom, right).",
        before=_explicit(_mirrored),
    ),
    Mistake(
        "padding for stride 1",
        "'same' adds size - 1 zeros whatever the stride. With stride s and n positions the total is "
        "max((ceil(n / s) - 1) * s + size - n, 0): the last window just reaches the end.",
        before=_explicit(_as_for_stride_one),
    ),
    Mistake(
        "half the window on both sides",
        "'same' adds size // 2 zeros on every side, as is often done in PyTorch. Right only for odd sizes at stride 1; "
        "the total depends on the stride, and an even size needs an odd number of zeros.",
        before=_explicit(_half_each_side),
    ),
    Mistake(
        "all padding after",
        "All zeros of 'same' are placed after the picture (bottom, right); half of them belong before it.",
        before=_explicit(_after),
    ),
)

STRIDES = (
    Mistake(
        "stride ignored",
        "The window moves by 1 whatever the strides are. Output [i, j] starts at input [i * stride, j * stride].",
        before=lambda a: {"strides": (1, 1)},
    ),
    Mistake(
        "strides swapped",
        "Rows move by the stride of the columns and the other way round. strides is (rows, columns).",
        before=lambda a: {"strides": a["strides"] and a["strides"][::-1]},
    ),
)
