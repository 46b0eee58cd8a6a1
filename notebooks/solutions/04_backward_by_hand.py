"""Solutions to the exercises of notebook 4."""

import numpy as np


def relu_backward(dy, x):
    """The shape of x"""
    return dy * (x > 0)


def dense_backward(dy, x, kernel):
    """(N, U) -> dx (N, I), dkernel (I, U), dbias (U,)"""
    return dy @ kernel.T, x.T @ dy, dy.sum(axis=0)


def max_pooling_backward(dy, x, pool_size):
    """(N, OH, OW, C) -> dx (N, H, W, C), windows that do not overlap"""
    dx = np.zeros_like(x)
    for n, oh, ow, c in np.ndindex(*dy.shape):
        top, left = oh * pool_size[0], ow * pool_size[1]
        window = x[n, top : top + pool_size[0], left : left + pool_size[1], c]
        kh, kw = np.unravel_index(window.argmax(), window.shape)  # argmax is the first of equal ones
        dx[n, top + kh, left + kw, c] = dy[n, oh, ow, c]
    return dx


def convolution_backward(dy, x, kernel):
    """(N, OH, OW, F) -> dx (N, H, W, C), dkernel (KH, KW, C, F), dbias (F,)"""
    OH, OW = dy.shape[1:3]
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for kh, kw in np.ndindex(*kernel.shape[:2]):
        piece = x[:, kh : kh + OH, kw : kw + OW]
        dx[:, kh : kh + OH, kw : kw + OW] += dy @ kernel[kh, kw].T
        dkernel[kh, kw] = np.einsum("nhwc,nhwf->cf", piece, dy)
    return dx, dkernel, dy.sum(axis=(0, 1, 2))
