"""Local response normalisation: a channel that answers strongly holds its neighbours down.

    y[c] = x[c] * s[c]**-beta,    s[c] = bias + alpha * sum over j from c - depth_radius to c + depth_radius of x[j]**2

for every pixel by itself; channels beyond the ends do not exist. x[c] is in the sums of its own channel and of its
neighbours, so with t[c] = dy[c] * x[c] * s[c]**(-beta - 1):

    dx[c] = dy[c] * s[c]**-beta - 2 * alpha * beta * x[c] * sum over the same j of t[j]

Costs 2 * depth_radius additions per number, and a power. It was AlexNet's normalisation, with depth_radius 2, bias 2,
alpha 1e-4, beta 0.75; batch normalisation has taken its place, and Keras has no layer for it. The arguments are those
of ``tf.nn.local_response_normalization``; its alpha is not divided by the number of channels in the sum, as PyTorch's
is. Paper: Krizhevsky, Sutskever and Hinton 2012.
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.ops.checks import check_pictures, check_upstream
from minicnn.options import number
from minicnn.shapes import Array, whole


class LRNCache(NamedTuple):
    """The input, what it was divided by before the power, and the options."""

    x: Array
    scale: Array
    depth_radius: int
    alpha: float
    beta: float


def local_response_normalization(
    x: Array, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> tuple[Array, LRNCache]:
    """(N, H, W, C) -> (N, H, W, C) and the cache. Raises ShapeError, DtypeError, OptionError.

    ``bias`` is above 0 and ``alpha`` not below, so that nothing is divided by 0.
    """
    x = check_pictures(x)
    depth_radius = whole(depth_radius, "depth_radius", least=0)
    bias, alpha, beta = number("bias", bias, above=0), number("alpha", alpha, least=0), number("beta", beta)
    scale = x.dtype.type(bias) + x.dtype.type(alpha) * _sums(x * x, depth_radius)
    y: Array = x * scale ** x.dtype.type(-beta)
    return y, LRNCache(x, scale, depth_radius, alpha, beta)


def local_response_normalization_backward(dy: Array, cache: LRNCache) -> Array:
    """(N, H, W, C) -> dx. Raises ShapeError and DtypeError when ``dy`` is not shaped like y."""
    x, scale, depth_radius, alpha, beta = cache
    dy = check_upstream(dy, x.shape, x.dtype)
    shrunk = dy * scale ** x.dtype.type(-beta)
    dx: Array = shrunk - x.dtype.type(2 * alpha * beta) * x * _sums(shrunk * x / scale, depth_radius)
    return dx


def _sums(values: Array, depth_radius: int) -> Array:
    """For every channel, the sum over its neighbours and itself: shifted copies, added up."""
    C = values.shape[-1]
    total = values.copy()
    for distance in range(1, min(depth_radius, C - 1) + 1):
        total[..., distance:] += values[..., :-distance]
        total[..., :-distance] += values[..., distance:]
    return total
