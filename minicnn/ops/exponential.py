"""e^x of a vector of numbers, at the speed of arithmetic: no table, no branch, no call.

    e^x     = 2^n * (1 + expm1(r))               n = x / ln 2 rounded to a whole number,  r = x - n * ln 2
    e^x - 1 = 2^n * expm1(r) + (2^n - 1)         so |r| <= ln 2 / 2 = 0.347
    expm1(r) = r + r^2/2! + r^3/3! + ...         up to r^7 in float32, up to r^13 in float64

What the series leaves out is less than 0.1 of a unit in the last place (ulp). n * ln 2 is taken off in two parts. The
first has so few digits that its product with n is exact, and so is the difference; only then comes the small rest of
ln 2. What float64 loses when r is rounded is known, and added where it can still be seen.

2^n takes no arithmetic: n goes where a floating-point number keeps its exponent. The smallest and the largest results
have exponents that do not fit there, and are scaled in two steps. Results too small for a full set of digits
(subnormal) are rounded a second time by that.

The second formula is how e^x - 1 keeps its digits near 0: there n = 0, and it is the series alone. e^x minus 1 would
leave nothing of an x below 1e-8.

Error, over all magnitudes, with fused multiply-adds or without: less than 0.9 ulp, for e^x less than 0.85 in float32
and 0.8 in float64. Exactly 1 for 0, 0 for -inf, inf for inf, NaN for NaN. The bits may differ from one kind of
processor to another, as they do for every a * b + c. Sources: Cody and Waite 1980, "Software Manual for the Elementary
Functions" (ln 2 in two parts, with the numbers of Moshier's Cephes and of fdlibm); Dekker 1971 (``_sum``).
"""

from __future__ import annotations

from typing import Any

from minicnn.ops.jit import inline
from minicnn.ops.vectors import digits, power_of_two, scaled, scaled_down, select, splat

SINGLE = 24  # binary digits of a float32; a float64 has 53


@inline
def exp(x: Any) -> Any:
    """e^x for every lane."""
    lowest, highest = constant(-104.0, -746.0, x), constant(89.0, 710.0, x)  # e^x is 0 and inf beyond
    x = select(x < lowest, lowest, x)  # NaN is neither below nor above, and stays
    x = select(highest < x, highest, x)
    n, r, more = _parts(x, splat(0.0, x))
    return scaled(_sum(splat(1.0, x), r, more), n)


@inline
def exp_of_negative(x: Any) -> Any:
    """e^x for every lane; no x may be above 0. With fewer instructions, unless there is one that scales."""
    lowest = constant(-104.0, -746.0, x)
    x = select(x < lowest, lowest, x)
    n, r, more = _parts(x, splat(0.0, x))
    return scaled_down(_sum(splat(1.0, x), r, more), n)


@inline
def exp_of_sum(x: Any, rest: Any) -> Any:
    """e^(x + rest) for every lane: ``rest``, of at most 0.06, has the digits for which x has no room. No x may be above
    0, or below -104.3 in float32, -746 in float64. The series leaves out more than that of e^x: less than 1.3 ulp."""
    n, r, more = _parts(x, rest)
    return scaled_down(_sum(splat(1.0, x), r, more), n)


@inline
def expm1_of_negative(x: Any) -> Any:
    """e^x - 1 for every lane; no x may be above 0."""
    lowest = splat(-50.0, x)  # below, it is -1
    return exp_and_expm1(select(x < lowest, lowest, x))[1]


@inline
def exp_and_expm1(x: Any) -> Any:
    """(e^x, e^x - 1) for every lane; no x may be above 0 or below -50."""
    n, r, more = _parts(x, splat(0.0, x))
    power, one = power_of_two(n), splat(1.0, x)
    return power * _sum(one, r, more), _sum(power - one, r * power, more * power)


@inline
def _parts(x: Any, rest: Any) -> Any:
    """n, and expm1(r + rest) as two numbers to be added: r + rest and all the others."""
    n = _nearest(x * splat(1.4426950408889634, x))  # 1 / ln 2
    rest_of_ln2 = constant(-2.12194440e-4, 1.90821492927058770002e-10, x)
    high = x - n * constant(0.693359375, 6.93147180369123816490e-01, x)
    r, lost = high - n * rest_of_ln2, splat(0.0, x)
    if digits(x) != SINGLE:  # known when it is compiled
        lost = (high - r) - n * rest_of_ln2
    r = r + rest
    square = r * r
    return n, r, square * _series(r, square) + lost


@inline
def _series(r: Any, square: Any) -> Any:
    """1/2! + r/3! + r^2/4! + ..., two terms at a time: in one long chain each would wait for the one before."""
    total = splat(1 / 5040, r) * r + splat(1 / 720, r)
    if digits(r) != SINGLE:
        far = splat(1 / 6227020800, r) * r + splat(1 / 479001600, r)
        far = far * square + (splat(1 / 39916800, r) * r + splat(1 / 3628800, r))
        far = far * square + (splat(1 / 362880, r) * r + splat(1 / 40320, r))
        total = far * square + total
    total = total * square + (splat(1 / 120, r) * r + splat(1 / 24, r))
    return total * square + (splat(1 / 6, r) * r + splat(0.5, r))


@inline
def _sum(base: Any, r: Any, more: Any) -> Any:
    """base + r + more, where r is the smaller of the first two or base is 0: what their sum loses is not lost."""
    high = base + r
    return high + ((base - high) + r + more)


@inline
def _nearest(x: Any) -> Any:
    """The whole number next to x: beyond 2^23 (2^52), floating-point numbers have no digits after the point."""
    beyond = constant(1.5 * 2**23, 1.5 * 2**52, x)
    return (x + beyond) - beyond


@inline
def constant(single: float, double: float, like: Any) -> Any:
    """In every lane ``single`` or ``double``, as the numbers of ``like`` are float32 or float64."""
    return splat(single if digits(like) == SINGLE else double, like)
