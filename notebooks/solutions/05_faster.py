"""Solution to the exercise of notebook 5."""

import numpy as np


def im2col_convolution(x, kernel):
    """(N, H, W, C), (KH, KW, C, F) -> (N, OH, OW, F)"""
    (KH, KW, C, F), (N, H, W, _) = kernel.shape, x.shape
    OH, OW = H - KH + 1, W - KW + 1
    pieces = [x[:, kh : kh + OH, kw : kw + OW] for kh, kw in np.ndindex(KH, KW)]
    columns = np.concatenate(pieces, axis=-1).reshape(-1, KH * KW * C)  # (N, OH, OW, KH*KW*C) -> (N*OH*OW, KH*KW*C)
    return (columns @ kernel.reshape(-1, F)).reshape(N, OH, OW, F)
