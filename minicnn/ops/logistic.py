"""Functions of a vector of numbers that are made of one exponential: sigmoid, hyperbolic tangent, softplus and mish.

    sigmoid(x)        = 1 / (1 + e^-x)             = 1 / (1 + s)  where x >= 0,  s / (1 + s)  elsewhere
    tanh(|x|)         = (1 - s^2) / (1 + s^2)      = -e / (2 + e)  near 0,  1 - 2s^2 / (1 + s^2)  elsewhere
    softplus(x)       = log(1 + e^x)               = max(x, 0) + log1p(s)
    tanh(softplus(x)) = ((1 + e^x)^2 - 1) / ((1 + e^x)^2 + 1)
                      = (1 + 2s) / (1 + 2s + 2s^2) where x >= 0,  s (s + 2) / (s (s + 2) + 2)  elsewhere

with s = e^-|x|, which lies in (0, 1] and cannot overflow, and e = s^2 - 1, whose errors are doubled far from 0. What is
close to 1 comes with its distance from 1, computed from s as well: derivatives are made of it, and 1 - y would have
lost its digits.

    log1p(s) = 2 atanh(w) = 2 (w + w^3/3 + w^5/5 + ...)              w = s / (2 + s), at most 1/3

up to w^15 in float32, up to w^33 in float64. Error: less than 2.5 units in the last place (ulp) of what is returned,
4 for tanh(softplus(x)), distances from 1 included. NaN stays NaN.
"""

from __future__ import annotations

from typing import Any

from minicnn.ops.exponential import SINGLE, exp_and_expm1, exp_of_negative
from minicnn.ops.jit import inline
from minicnn.ops.vectors import digits, select, splat


@inline
def sigmoid(x: Any) -> Any:
    """(sigmoid(x), 1 - sigmoid(x)) for every lane."""
    zero, one = splat(0.0, x), splat(1.0, x)
    small = exp_of_negative(select(zero < x, zero - x, x))
    whole = one + small
    return select(zero <= x, one, small) / whole, select(zero <= x, small, one) / whole


@inline
def tanh(x: Any) -> Any:
    """tanh(x) for every lane; -0 for -0."""
    zero, one, two = splat(0.0, x), splat(1.0, x), splat(2.0, x)
    size = select(x < zero, zero - x, x)
    size = select(splat(25.0, x) < size, splat(25.0, x), size)  # it is 1 from there on; NaN stays
    square, below = exp_and_expm1((zero - two) * size)
    far = splat(0.55, x) < size  # where it is above 1/2
    share = select(far, square + square, zero - below) / select(far, one + square, two + below)
    y = select(far, one - share, share)
    return select(zero < x, y, select(x == zero, x, zero - y))


@inline
def softplus(x: Any) -> Any:
    """log(1 + e^x) for every lane."""
    zero = splat(0.0, x)
    small = exp_of_negative(select(zero < x, zero - x, x))
    return select(zero < x, x, zero) + _log1p(small)


@inline
def tanh_of_softplus(x: Any) -> Any:
    """(t, 1 - t) with t = tanh(softplus(x)), for every lane."""
    zero, one, two = splat(0.0, x), splat(1.0, x), splat(2.0, x)
    small = exp_of_negative(select(zero < x, zero - x, x))
    far = two * small * small  # right of 0: the rest of what is divided by
    near = small * (small + two)  # left of 0: what is divided
    above = select(zero <= x, one + two * small, near)
    rest = select(zero <= x, far, two)
    whole = above + rest
    return above / whole, rest / whole


@inline
def _log1p(x: Any) -> Any:
    """log(1 + x) for every lane, x in [0, 1]."""
    w = x / (splat(2.0, x) + x)
    z = w * w
    square = z * z
    total = splat(1 / 15, x) * z + splat(1 / 13, x)
    if digits(x) != SINGLE:  # known when it is compiled
        far = splat(1 / 33, x)
        far = far * square + (splat(1 / 31, x) * z + splat(1 / 29, x))
        far = far * square + (splat(1 / 27, x) * z + splat(1 / 25, x))
        far = far * square + (splat(1 / 23, x) * z + splat(1 / 21, x))
        far = far * square + (splat(1 / 19, x) * z + splat(1 / 17, x))
        total = far * square + total
    total = total * square + (splat(1 / 11, x) * z + splat(1 / 9, x))
    total = total * square + (splat(1 / 7, x) * z + splat(1 / 5, x))
    return splat(2.0, x) * (w + w * z * (total * z + splat(1 / 3, x)))
