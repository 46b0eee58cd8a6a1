"""Windows that slide over a picture: convolution, padding, pooling, and what makes pictures larger."""

from __future__ import annotations

import numpy as np

from minicnn.layers import AveragePooling2D, Conv2DTranspose, MaxPooling2D, UpSampling2D, ZeroPadding2D
from minicnn.layers.base import Layer
from minicnn.ops.conv2d import conv2d, conv2d_backward
from minicnn.report.plots import BAD, GOOD, KERAS, LINE, MUTED, OURS
from minicnn.shapes import Array, Window
from website.pictures.sheet import arrow, frame, grid, sheet, square, words

EDGE = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], float)  # Sobel's: bright left of dark


def _picture(matrix: Array) -> Array:
    """(H, W) -> (1, H, W, 1)"""
    return np.asarray(matrix, float)[None, :, :, None]


def _kernel(matrix: Array) -> Array:
    """(KH, KW) -> (KH, KW, 1, 1)"""
    return np.asarray(matrix, float)[:, :, None, None]


def convolution() -> str:
    """A window, a kernel, and the number they make."""
    x = np.array([[3, 3, 3, 0, 0], [3, 3, 3, 0, 0], [3, 3, 3, 1, 0], [3, 3, 2, 0, 0], [3, 3, 0, 0, 0]], float)
    y = conv2d(_picture(x), _kernel(EDGE))[0][0, :, :, 0]
    row, column = 1, 1
    with sheet(13.4, 6.2, "convolution") as (axes, drawing):
        grid(axes, x, (0, 0.9), title="x: a picture, 5x5")
        frame(axes, (column, 0.9 + row), 3, 3)
        words(axes, (5.55, 3.4), "∗")
        grid(axes, EDGE, (6.1, 1.9), title="kernel, 3x3")
        words(axes, (9.7, 3.4), "=")
        grid(axes, y, (10.3, 1.9), title="y, 3x3", marked=[(row, column)])
        window = x[row : row + 3, column : column + 3]
        sums = " + ".join(f"{row_sum:g}" for row_sum in (window * EDGE).sum(axis=1))
        words(axes, (13.3, 5.7), f"the rows' sums: {sums} = {y[row, column]:g}", size=8.5, where="right")
    return drawing.svg


def convolution_gradient() -> str:
    """What one number of dy gives to dx, and to the kernel."""
    x = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 1, 0, 0], [1, 0, 2, 1]], float)
    kernel = np.array([[1, 2, 0], [0, 1, -1], [1, 0, 2]], float)
    _, cache = conv2d(_picture(x), _kernel(kernel))
    dy = np.array([[0, 0], [2, 0]], float)
    dx, dkernel, _ = conv2d_backward(_picture(dy), cache)
    assert dx is not None
    assert dkernel is not None
    with sheet(15.6, 9.9, "convolution-gradient") as (axes, drawing):
        grid(axes, dy, (0, 1.9), title="dy", marked=[(1, 0)])
        words(axes, (2.6, 2.9), "×")
        grid(axes, kernel, (3.2, 1.4), title="kernel")
        words(axes, (6.8, 2.9), "=")
        grid(axes, dx[0, :, :, 0], (7.4, 0.9), title="dx: the kernel, stamped where the window was")
        frame(axes, (7.4, 1.9), 3, 3)
        grid(axes, dy, (0, 6.9), title="dy", marked=[(1, 0)])
        words(axes, (2.6, 7.9), "×")
        grid(axes, x, (3.2, 5.9), title="x")
        frame(axes, (3.2, 6.9), 3, 3)
        words(axes, (7.7, 7.9), "=")
        grid(axes, dkernel[:, :, 0, 0], (8.3, 6.4), title="dkernel: the window, times dy")
    return drawing.svg


def taps() -> str:
    """At a corner of a padded picture four of nine taps are left."""
    x = np.arange(1, 17, dtype=float).reshape(4, 4)
    with sheet(10.4, 6.1, "taps") as (axes, drawing):
        for row, column in np.ndindex(6, 6):
            square(axes, (column, row), LINE, 0.35)
            if not (1 <= row <= 4 and 1 <= column <= 4):
                words(axes, (column + 0.5, row + 0.53), "0", size=8.5, colour=MUTED)
        grid(axes, x, (1, 1))
        frame(axes, (0, 0), 3, 3)
        words(axes, (6.5, 1.2), "5 taps lie in the padding:", size=8.5, where="left", colour=MUTED)
        words(axes, (6.5, 1.8), "left out, they would add 0", size=8.5, where="left", colour=MUTED)
        words(axes, (6.5, 3.0), "4 taps meet the picture", size=8.5, where="left")
    return drawing.svg


def same_padding() -> str:
    """Where "same" puts its padding, for rows of 5 and 6 pixels."""
    cases = [(5, 3, 1), (5, 3, 2), (6, 3, 2), (6, 2, 1)]
    with sheet(15.2, 2.6 * len(cases), "same-padding") as (axes, drawing):
        for place, (n, size, stride) in enumerate(cases):
            window = Window.of((1, size), (1, stride), "same")
            before, after = window.pads(1, n)[1]
            outputs = window.output_size(1, n)[1]
            y = 2.6 * place + 0.75
            for i in range(before + n + after):
                inside = before <= i < before + n
                square(axes, (i, y), OURS if inside else LINE, 0.3)
                words(axes, (i + 0.5, y + 0.53), str(i - before + 1) if inside else "0", size=8.5)
            for o in range(outputs):
                level = y + 1.12 + 0.16 * (o % 3)
                axes.plot([o * stride + 0.12, o * stride + size - 0.12], [level, level], color=KERAS, linewidth=2)
            told = f"{n} pixels, kernel {size}, stride {stride}: {outputs} outputs; zeros: {before} + {after}"
            words(axes, (0, y - 0.3), told, size=8.5, where="left", colour=MUTED)
    return drawing.svg


POOLED = np.array([[1, 5, 2, 2], [3, 4, 0, 1], [6, 2, 7, 7], [1, 0, 3, 7]], float)
UPSTREAM = np.array([[10, 20], [30, 40]], float)


def max_pooling() -> str:
    """Which numbers win, and where the gradient goes."""
    return _pooling(MaxPooling2D(), "max-pooling")


def average_pooling() -> str:
    """Everybody gets a share."""
    return _pooling(AveragePooling2D(), "average-pooling")


def _pooling(layer: Layer, name: str) -> str:
    layer.build((4, 4, 1), np.random.default_rng(0))
    y, cache = layer.forward(_picture(POOLED))
    dx = layer.backward(_picture(UPSTREAM), cache)[0]
    winners = [tuple(index) for index in np.argwhere(dx[0, :, :, 0])] if name == "max-pooling" else []
    with sheet(15.4, 5.0, name) as (axes, drawing):
        grid(axes, POOLED, (0, 0.9), title="x", marked=winners)
        arrow(axes, (4.15, 2.9), (4.85, 2.9))
        grid(axes, y[0, :, :, 0], (5, 1.9), title="y")
        grid(axes, UPSTREAM, (8.3, 1.9), title="dy")
        arrow(axes, (10.45, 2.9), (11.15, 2.9))
        grid(axes, dx[0, :, :, 0], (11.3, 0.9), title="dx", marked=winners)
        for left in (0, 11.3):
            for row, column in np.ndindex(2, 2):
                frame(axes, (left + 2 * column, 0.9 + 2 * row), 2, 2, MUTED, 1.2)
    return drawing.svg


def resizing() -> str:
    """A frame of zeros, the same pixel four times, a ramp between pixels."""
    x = np.array([[0, 8], [16, 24]], float)
    with sheet(16.6, 5.2, "resizing") as (axes, drawing):
        grid(axes, x, (0, 2), title="x")
        for left, layer, title in (
            (2.9, ZeroPadding2D(1), "ZeroPadding2D(1)"),
            (7.6, UpSampling2D(2), "UpSampling2D(2)"),
            (12.3, UpSampling2D(2, "bilinear"), "... bilinear"),
        ):
            grid(axes, layer(_picture(x))[0, :, :, 0], (left, 1), title=title)
    return drawing.svg


def transposed_convolution() -> str:
    """Stamps at a distance of two, and what they add up to where they overlap."""
    x, kernel = np.array([[1, 2], [3, 0]], float), np.array([[1, 1, 1], [1, 2, 1], [1, 1, 1]], float)
    layer = Conv2DTranspose(1, 3, strides=2, use_bias=False)
    layer.build((2, 2, 1), np.random.default_rng(0), np.float64)
    layer.params["kernel"][...] = _kernel(kernel)
    y = layer(_picture(x))[0, :, :, 0]
    with sheet(13.6, 6.1, "transposed-convolution") as (axes, drawing):
        grid(axes, x, (0, 2.4), title="x", marked=[(0, 1)], mark=GOOD)
        words(axes, (2.7, 3.4), "⊗")
        grid(axes, kernel, (3.4, 1.9), title="kernel")
        arrow(axes, (6.7, 3.4), (8.0, 3.4))
        grid(axes, y, (8.3, 0.9), title="y, 5x5")
        frame(axes, (8.3, 0.9), 3, 3, BAD)
        frame(axes, (10.3, 0.9), 3, 3, GOOD)
    return drawing.svg
