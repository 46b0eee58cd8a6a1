"""Weights for frameworks with channels before pixels: kernels (F, C, KH, KW), dense weights (out, in).

A dense layer behind Flatten is reordered too, because (H, W, C) and (C, H, W) flatten in different orders.
"""

from __future__ import annotations

import numpy as np

from minicnn.shapes import Array, Shape

TO_FIRST = (0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)
TO_LAST = (0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)


def turned(kind: str, kernel: Array, flattened: Shape = ()) -> Array:
    """The kernel of a Conv2D, DepthwiseConv2D or Dense layer, as others lay it out; a copy.

    ``flattened``: for Dense, the (H, W, C) in front of the Flatten before it, if that flattens in the order (C, H, W).
    """
    if kind == "Conv2D":
        kernel = kernel.transpose(3, 2, 0, 1)  # (KH, KW, C, F) -> (F, C, KH, KW)
    elif kind == "DepthwiseConv2D":
        kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])  # (KH, KW, C, M) -> (C*M, 1, KH, KW)
    else:
        if len(flattened) == 3:
            by_place = kernel.reshape(*flattened, -1)  # (H*W*C, F) -> (H, W, C, F)
            kernel = by_place.transpose(2, 0, 1, 3).reshape(kernel.shape)  # -> (C*H*W, F)
        kernel = kernel.T
    return np.ascontiguousarray(kernel)
