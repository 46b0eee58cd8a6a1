"""How the same sums are computed in other ways."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import Rectangle

from minicnn.ops.conv2d import conv2d
from minicnn.ops.conv2d.winograd_matrices import cook_toom
from minicnn.report.plots import GOOD, KERAS, LINE, MUTED, OURS
from website.pictures.sheet import arrow, box, frame, grid, sheet, square, words


def im2col() -> str:
    """A picture, its windows as the rows of a matrix, and the product."""
    x = np.arange(1, 10, dtype=float).reshape(3, 3)
    kernel = np.array([[1, 0], [-1, 2]], float)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2)).reshape(4, 4)  # (OH, OW, KH, KW) -> (OH*OW, KH*KW)
    y = conv2d(x[None, :, :, None], kernel[:, :, None, None])[0]
    with sheet(15.4, 5.2, "im2col") as (axes, drawing):
        grid(axes, x, (0, 1.4), title="x")
        frame(axes, (1, 1.4), 2, 2)
        arrow(axes, (3.2, 2.9), (4.0, 2.9))
        grid(axes, windows, (4.3, 0.9), title="a window per row")
        frame(axes, (4.3, 1.9), 4, 1)
        words(axes, (8.8, 2.9), "@")
        grid(axes, kernel.reshape(4, 1), (9.3, 0.9), title="kernel")
        words(axes, (10.9, 2.9), "=")
        grid(axes, y.reshape(4, 1), (11.5, 0.9), title="y", marked=[(1, 0)])
        arrow(axes, (12.65, 2.9), (13.25, 2.9))
        grid(axes, y[0, :, :, 0], (13.4, 1.9), title="y", marked=[(0, 1)])
    return drawing.svg


def direct() -> str:
    """One row of a picture as it lies in memory, and the windows in it."""
    channels, width, size = 3, 6, 3
    with sheet(18.4, 8.4, "direct") as (axes, drawing):
        words(axes, (0, 0.4), "one row of the picture in memory: 6 pixels of 3 channels", size=8.5, where="left")
        for pixel, channel in np.ndindex(width, channels):
            square(axes, (pixel * channels + channel, 1.0), OURS, 0.18 + 0.16 * channel)
        for ow in range(4):
            left, y = ow * channels, 2.4 + 1.2 * ow
            axes.add_patch(Rectangle((left, y), size * channels, 0.95, facecolor=KERAS, alpha=0.3, linewidth=0))
            frame(axes, (left, y), size * channels, 0.95, line=1)
            words(axes, (left + size * channels / 2, y + 0.5), f"window of ow = {ow}", size=8)
        arrow(axes, (0, 7.7), (channels, 7.7))
        words(axes, (channels + 0.3, 7.7), "the next window begins 3 numbers further on", size=8.5, where="left")
    return drawing.svg


def winograd() -> str:
    """One tile of F(2x2, 3x3): to the points, one multiplication at each, and back."""
    tile = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 1, 0, 0], [1, 0, 2, 1]], float)
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], float)
    two = cook_toom(2, 3, (0, 1, -1))
    data, weights = two.B.T @ tile @ two.B, two.G @ kernel @ two.G.T
    products = data * weights
    y = two.A.T @ products @ two.A
    assert np.allclose(y, conv2d(tile[None, :, :, None], kernel[:, :, None, None])[0][0, :, :, 0])
    with sheet(15.6, 10.4, "winograd") as (axes, drawing):
        grid(axes, tile, (0, 0.9), title="a tile d of x, 4x4", size=7.5)
        arrow(axes, (4.15, 2.9), (5.0, 2.9))
        grid(axes, data, (5.2, 0.9), title="Bᵀ d B: 16 values", size=7.5)
        grid(axes, kernel, (0.5, 6.7), title="kernel g, 3x3", size=7.5)
        arrow(axes, (4.15, 8.2), (5.0, 8.2))
        grid(axes, weights, (5.2, 6.2), title="G g Gᵀ: 16 values", size=7.5)
        words(axes, (7.2, 5.4), "⊙")
        arrow(axes, (9.3, 5.4), (10.0, 5.4))
        grid(axes, products, (10.2, 3.4), title="16 products", size=7.5)
        arrow(axes, (12.2, 7.5), (12.2, 8.0))
        grid(axes, y, (11.2, 8.3), size=7.5)
        words(axes, (13.4, 9.3), "y = Aᵀ m A", size=8.5, colour=MUTED, where="left")
    return drawing.svg


def channels() -> str:
    """Which channels reach which filters: all, those of their group, one."""
    with sheet(15.6, 5.6, "channels") as (axes, drawing):
        for left, groups, title in ((0, 1, "Conv2D"), (5.6, 2, "groups=2"), (11.2, 4, "DepthwiseConv2D")):
            words(axes, (left, 0.3), title, size=8.5, where="left")
            for channel, filters in np.ndindex(4, 4):
                met = channel // (4 // groups) == filters // (4 // groups)
                square(axes, (left + filters, 0.8 + channel), OURS, 0.55 if met else 0.0)
            words(axes, (left, 5.2), f"{16 // groups} kernels", size=8.5, where="left", colour=MUTED)
    return drawing.svg


def dense() -> str:
    """The three products of a dense layer, each with its shapes."""
    N, I, U = 1.2, 3.0, 2.0  # noqa: E741  (inputs)
    rows = (
        (("x", N, I), ("kernel", I, U), ("y", N, U), "y = x @ kernel"),
        (("dy", N, U), ("kernelᵀ", U, I), ("dx", N, I), "dx = dy @ kernelᵀ"),
        (("xᵀ", I, N), ("dy", N, U), ("dkernel", I, U), "dkernel = xᵀ @ dy"),
    )
    with sheet(15.5, 10.8, "dense") as (axes, drawing):
        top = 0.3
        for left_side, right_side, result, told in rows:
            height = max(left_side[1], right_side[1], result[1])
            x = 0.2
            for place, (name, high, wide) in enumerate((left_side, right_side, result)):
                colour = (OURS, KERAS, GOOD)[place]
                box(axes, (x, top + (height - high) / 2), wide, high, name, colour)
                x += wide + 0.4
                if place < 2:
                    words(axes, (x, top + height / 2), "@="[place])
                    x += 0.4
            words(axes, (15.3, top + height / 2), told, size=8.5, colour=MUTED, where="right")
            axes.plot([0, 15.3], [top + height + 0.35] * 2, color=LINE, linewidth=0.6)
            top += height + 0.7
    return drawing.svg
