"""The normal distribution of a vector of numbers, without a branch: its density, and the share of it below x.

    phi(x) = e^(-x^2 / 2) / sqrt(2 pi)             Phi(x) = integral of phi up to x = erfc(-x / sqrt(2)) / 2

Far out, Phi falls like phi. What is left when that is taken out is a curve without any hurry, and may be moved from the
half-line [0, inf) to [-1, 1], where a polynomial follows it:

    Phi(-a) = e^(-a^2 / 2) * p(t) / (a + 4)        t = (a - 4) / (a + 4),   a >= 0

p has nine terms beyond the first in float32 and 23 in float64, found by interpolation at the nodes of a Chebyshev
polynomial: 1.3e-8 and 4e-18 of the curve away from it, before its coefficients are rounded. So Phi keeps its digits
where it is small, which 1 - Phi(a) and 1 + erf(x) lose.

The square of a needs twice the digits, and its exponential would show those that are lost: at a = 10, half a unit of
50 in float32 is 2e-6 of the result. So a is cut where its square can be written down, and the rest goes another way:

    a^2 = b^2 + (a - b)(a + b)                     b: a rounded to 1/128 (float64: 2^-20)

Error: less than 5 units in the last place (ulp), of phi less than 2. Sources: Schonfelder 1978 ("Chebyshev expansions
for the error and related functions", the shape of p); Cody 1969 ("Rational Chebyshev approximations for the error
function", the square in two parts).
"""

from __future__ import annotations

from typing import Any

from minicnn.ops.exponential import SINGLE, constant, exp_of_sum
from minicnn.ops.jit import inline
from minicnn.ops.vectors import digits, select, splat


@inline
def normal(x: Any) -> Any:
    """(Phi(x), phi(x)) for every lane."""
    zero, four = splat(0.0, x), splat(4.0, x)
    end = constant(14.43, 38.61, x)  # the exponential is 0 from there on
    a = select(x < zero, zero - x, x)
    a = select(end < a, end, a)  # NaN is not above, and stays
    no_finer = constant(1.5 * 2**16, 1.5 * 2**32, x)  # a number of this size has steps of 1/128, or 2^-20
    b = (a + no_finer) - no_finer
    half = splat(-0.5, x)
    power = exp_of_sum(half * b * b, half * (a - b) * (a + b))
    inverse = splat(1.0, x) / (a + four)
    tail = power * inverse * _polynomial((a - four) * inverse)
    return select(x < zero, tail, splat(1.0, x) - tail), splat(0.3989422804014327, x) * power


@inline
def _polynomial(t: Any) -> Any:
    """p(t) for every lane, two terms at a time, from the last ones on."""
    square = t * t
    if digits(t) == SINGLE:  # known when it is compiled
        total = splat(-0.000122983157, t) * t + splat(0.0001948018511, t)
        total = total * square + (splat(0.001569313645, t) * t + splat(-0.003523574056, t))
        total = total * square + (splat(-0.007527212912, t) * t + splat(0.06040646975, t))
        total = total * square + (splat(-0.1865230059, t) * t + splat(0.3871366798, t))
        total = total * square + (splat(-0.6078966061, t) * t + splat(0.7552851385, t))
    else:
        total = splat(-7.275300107171605e-10, t) * t + splat(-2.5261891551101453e-09, t)
        total = total * square + (splat(1.9181639992074244e-09, t) * t + splat(1.963146509980107e-08, t))
        total = total * square + (splat(1.3289007028680458e-08, t) * t + splat(-8.542220644166758e-08, t))
        total = total * square + (splat(-1.549799360424435e-07, t) * t + splat(2.7181238940500646e-07, t))
        total = total * square + (splat(1.021567048724031e-06, t) * t + splat(-6.29698419169375e-07, t))
        total = total * square + (splat(-5.920179854655655e-06, t) * t + splat(7.16666081474687e-07, t))
        total = total * square + (splat(3.514468806491464e-05, t) * t + splat(-1.908258212721519e-06, t))
        total = total * square + (splat(-0.00023109493555078102, t) * t + splat(0.00013334431234060081, t))
        total = total * square + (splat(0.0016308184576315405, t) * t + splat(-0.0034796923673851912, t))
        total = total * square + (splat(-0.007540188966729406, t) * t + splat(0.06039657489093608, t))
        total = total * square + (splat(-0.18652185795965717, t) * t + splat(0.38713740074221453, t))
        total = total * square + (splat(-0.6078966419718921, t) * t + splat(0.7552851304157515, t))
    return total
