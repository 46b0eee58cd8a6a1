"""One output of a convolution, computed in each way there is, with the real numbers on the way.

    loops       every product of a window, one after the other
    im2col      the windows of neighbouring outputs as rows of a matrix, times the kernel as a column
    Winograd    a tile of outputs from fewer multiplications: y = A^T [sum over c of (G k G^T) * (B^T d B)] A

All three are computed in float64 from what the layer really read, so they differ in their last digits alone; the page
shows the network's own number beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.layers import Conv2D
from minicnn.ops.conv2d import im2col, winograd
from minicnn.ops.conv2d.winograd_transforms import two_dimensional
from minicnn.shapes import Array

POSITIONS = 8  # outputs whose windows are shown as rows of the matrix
MOST_COLUMNS = 512  # of the matrix that are shown
TILES = {
    "F(2x2, 3x3)": winograd.F2x2,
    "F(4x4, 3x3) at complex points": winograd.F4x4_COMPLEX,
    "F(6x6, 3x3) at real and complex points": winograd.F6x6,
    "F(2x2, 5x5) at complex points": winograd.F2x2_5x5,
    "F(4x4, 5x5) at real and complex points": winograd.F4x4_5x5,
    "F(2x2, 3x3) at stride 2": winograd.F2x2_STRIDE_2,
}


def ways(layer: Any, x: Array, index: tuple[int, int, int]) -> dict[str, Any]:
    """Output ``index`` (row, column, filter) of a Conv2D that read ``x`` (H, W, C), in every way.

    Winograd's pictures show one channel, the one with the largest part in the number; its sum runs over all. Raises
    OptionError for another kind of layer, and for groups.
    """
    layer = require_convolution(layer)
    exact, kernel = x.astype(np.float64)[None], layer.params["kernel"].astype(np.float64)
    bias = float(layer.params["bias"][index[2]]) if layer.use_bias else 0.0
    rows = _window_rows(layer, exact, index[0])
    products = rows[index[1]] * kernel[..., index[2]].reshape(-1)  # (KH, KW, C) -> (KH*KW*C,)
    channel = int(np.abs(products.reshape(-1, x.shape[2]).sum(axis=0)).argmax())
    tiles = {
        name: _winograd(form, layer, exact, kernel, bias, index, channel)
        for name, form in TILES.items()
        if form.unsupported(kernel.shape, layer.window, layer.groups) is None
    }
    reason = None if tiles else winograd.F2x2.unsupported(kernel.shape, layer.window, layer.groups)
    return {
        "used": layer.algorithm_used(),
        "multiplications": {"output": int(kernel[..., 0].size), "layer": layer.multiplications(x.shape)},
        "bias": bias,
        "im2col": _im2col(rows, kernel, bias, index),
        "winograd": {"tiles": tiles, "reason": reason, "channel": channel, "channels": x.shape[2]},
    }


def require_convolution(layer: Any) -> Conv2D:
    """The layer, if it is a Conv2D without groups. Raises OptionError."""
    if not isinstance(layer, Conv2D):
        raise OptionError(
            explain("a Conv2D, which can be computed in several ways", f"'{layer.name}', a {type(layer).__name__}")
        )
    if layer.groups > 1:
        raise OptionError(explain("a convolution without groups", f"'{layer.name}' with groups={layer.groups}"))
    return layer


def _window_rows(layer: Conv2D, x: Array, row: int) -> Array:
    """The windows of one row of outputs, (OW, KH*KW*C)."""
    width = layer.window.output_size(*x.shape[1:3])[1]
    padded = im2col.padded_pictures(x, layer.window)[0]
    return im2col.image_columns(padded, slice(row, row + 1), width, layer.window)


def _im2col(rows: Array, kernel: Array, bias: float, index: tuple[int, int, int]) -> dict[str, Any]:
    """Rows of the matrix for the output and its right neighbours, the kernel's column, and the products."""
    _, column, f = index
    first = max(0, min(column, len(rows) - POSITIONS))
    matrix = rows[first : first + POSITIONS]
    weights = kernel[..., f].reshape(-1)  # (KH, KW, C) -> (KH*KW*C,)
    return {
        "matrix": matrix[:, :MOST_COLUMNS].tolist(),
        "kernel": weights[:MOST_COLUMNS].tolist(),
        "columns": len(weights),
        "products": (matrix @ weights + bias).tolist(),
        "first": first,
        "chosen": column - first,
    }


def _winograd(
    form: winograd.Winograd,
    layer: Conv2D,
    x: Array,
    kernel: Array,
    bias: float,
    index: tuple[int, int, int],
    shown: int,
) -> dict[str, Any]:
    """The tile in which the output lies: input, kernel and product of one channel, the sum of all, the outputs."""
    row, column, f = index
    top, left = row - row % form.m, column - column % form.m
    a, b, g, _ = two_dimensional(form.form)
    side, first, start = len(b), top * form.stride, left * form.stride
    padded = im2col.padded_pictures(x, layer.window)[0]
    d = np.zeros((side, side, x.shape[3]))
    part = padded[first : first + side, start : start + side]  # the last tiles hang over the border, into zeros
    d[: part.shape[0], : part.shape[1]] = part
    k = kernel[:, :, :, f]
    transformed = np.einsum("abpq,abc->pqc", b, d)  # B^T d B, for every channel
    u = np.einsum("pqab,abc->pqc", g, k)  # G k G^T
    summed = (transformed * u).sum(axis=2)
    outputs = np.einsum("pqab,pq->ab", a, summed) + bias  # A^T [...] A
    return {
        "m": form.m,
        "top": top,
        "left": left,
        "row": row - top,
        "column": column - left,
        "d": d[:, :, shown].tolist(),
        "k": k[:, :, shown].tolist(),
        "v": transformed[:, :, shown].tolist(),
        "u": u[:, :, shown].tolist(),
        "product": (transformed * u)[:, :, shown].tolist(),
        "sum": summed.tolist(),
        "outputs": outputs.tolist(),
        "multiplications": len(form.used),
        "empty": form.Q * form.Q - len(form.used),
        "directly": form.m * form.m * form.r * form.r,
    }
