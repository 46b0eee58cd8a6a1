"""Solutions to the exercises of notebook 2."""

import numpy as np


def convolution(x, kernel):
    """(N, H, W, C), (KH, KW, C, F) -> (N, OH, OW, F)"""
    (KH, KW, _, F), (N, H, W, _) = kernel.shape, x.shape
    OH, OW = H - KH + 1, W - KW + 1
    y = np.zeros((N, OH, OW, F))
    for kh in range(KH):
        for kw in range(KW):
            y += x[:, kh : kh + OH, kw : kw + OW] @ kernel[kh, kw]  # (N, OH, OW, C) @ (C, F)
    return y


def full_convolution(x, kernel, bias=None, strides=(1, 1), padding="valid"):
    """(N, H, W, C), (KH, KW, C, F), (F,) -> (N, OH, OW, F)"""
    sizes, pads = [], []
    for n, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True):
        size = -(-n // s) if padding == "same" else (n - k) // s + 1
        total = max((size - 1) * s + k - n, 0) if padding == "same" else 0
        sizes.append(size)
        pads.append((total // 2, total - total // 2))
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    (OH, OW), (SH, SW) = sizes, strides
    y = np.zeros((len(x), OH, OW, kernel.shape[3]))
    for kh, kw in np.ndindex(*kernel.shape[:2]):
        y += x[:, kh : kh + (OH - 1) * SH + 1 : SH, kw : kw + (OW - 1) * SW + 1 : SW] @ kernel[kh, kw]
    return y if bias is None else y + bias
