"""A convolution to play with: a small picture, a 3x3 kernel, and every padding, stride and dilation.

The picture is the face, SIZE pixels wide, so that each of its numbers can be read. What the page shows is computed by
``minicnn.ops.conv2d``; a combination that it refuses is shown as its message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.explorer.pictures import shrink
from minicnn.ops.conv2d import conv2d
from minicnn.shapes import Array, Window, whole

SIZE = 16  # rows and columns of the picture
TAPS = 3
MOST = 8  # strides and dilations beyond it leave nothing to see
LARGEST = 1000.0  # of an entry of the kernel

KERNELS: dict[str, tuple[float, ...]] = {
    "edges": (-1, 0, 1, -2, 0, 2, -1, 0, 1),
    "edges-below": (-1, -2, -1, 0, 0, 0, 1, 2, 1),
    "blur": (0.0625, 0.125, 0.0625, 0.125, 0.25, 0.125, 0.0625, 0.125, 0.0625),
    "sharpen": (0, -1, 0, -1, 5, -1, 0, -1, 0),
    "outline": (-1, -1, -1, -1, 8, -1, -1, -1, -1),
    "as-it-is": (0, 0, 0, 0, 1, 0, 0, 0, 0),
}


def small_picture(crop: Array) -> Array:
    """A crop, uint8 (size, size) or (size, size, 3) -> float64 (SIZE, SIZE), 0..1, rounded to 2 decimals.

    Rounded, so that what is read on the page can be computed again by hand.
    """
    grey = crop if crop.ndim == 2 else crop.mean(axis=2)
    scaled: Array = np.round(shrink(grey.astype(np.float64), SIZE).astype(np.float64) / 255, 2)
    return scaled


def play(picture: Array, kernel: Sequence[float], padding: str, stride: int, dilation: int) -> dict[str, Any]:
    """The convolution of a picture (H, W) with a kernel of 9 numbers in reading order, and how it came about.

    "taps" are, for each row and column of the output, the first row and column of its window, counted in the picture
    (negative: in the padding). Raises OptionError or ShapeError for what conv2d refuses.
    """
    stride, dilation = whole(stride, "stride"), whole(dilation, "dilation")
    if max(stride, dilation) > MOST:
        raise OptionError(explain(f"stride and dilation of at most {MOST}", f"{stride} and {dilation}"))
    taps = np.array(kernel, np.float64)
    if taps.shape != (TAPS * TAPS,) or not (np.abs(taps) <= LARGEST).all():
        raise OptionError(explain(f"a kernel of 9 numbers from -{LARGEST:g} to {LARGEST:g}", f"{list(kernel)}"))
    weights = taps.reshape(TAPS, TAPS, 1, 1)
    y, _ = conv2d(
        picture[None, :, :, None],  # (H, W) -> (1, H, W, 1)
        weights,
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        algorithm="loops",
    )
    window = Window.of(TAPS, stride, padding, dilation)
    pads = window.pads(*picture.shape)
    starts = [[place * stride - pad[0] for place in range(n)] for n, pad in zip(y.shape[1:3], pads, strict=True)]
    return {
        "input": picture.tolist(),
        "kernel": taps.reshape(TAPS, TAPS).tolist(),
        "output": y[0, :, :, 0].tolist(),
        "padding": padding,
        "stride": stride,
        "dilation": dilation,
        "pads": pads,
        "span": window.span[0],
        "taps": {"rows": starts[0], "columns": starts[1]},
    }
