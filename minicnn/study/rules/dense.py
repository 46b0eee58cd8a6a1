"""How a dense layer explains itself: each output a sum over all inputs, each kernel entry one meeting per row."""

from __future__ import annotations

import numpy as np

from minicnn.layers import Dense
from minicnn.study.explanation import Index, Step, Terms, Worked, total_of
from minicnn.study.places import at, combinations
from minicnn.study.use import Rule, Use, handed_back


def _forward(use: Use, index: Index) -> Worked:
    *row, u = index
    i = np.arange(use.xs[0].shape[-1])
    terms = Terms.of(use.x(at(*row, i)), use.weight("kernel", at(i, u)))
    if not use.layer.use_bias:
        return Worked("y = sum over i of x[i] * kernel[i, u]", (terms,))
    bias = use.number("bias", u)
    step = Step(f"+ bias[{u}] {bias:.6g}", total_of((terms,)) + bias)
    return Worked("y = sum over i of x[i] * kernel[i, u] + bias[u]", (terms,), (step,))


def _input_gradient(use: Use, index: Index, source: int) -> Worked:
    *row, i = index
    u = np.arange(use.layer.units)
    terms = Terms.of(use.upstream(at(*row, u)), use.weight("kernel", at(i, u)))
    return Worked("dx[i] = sum over u of dy[u] * kernel[i, u]", (terms,))


def _kernel_gradient(use: Use, index: Index) -> Worked:
    i, u = index
    rows = combinations(*map(range, use.y.shape[:-1]))
    terms = Terms.of(use.upstream(at(*rows, u)), use.x(at(*rows, i)))
    return Worked("dkernel[i, u] = sum over all rows of dy[u] * x[i]", (terms,))


def _bias_gradient(use: Use, index: Index) -> Worked:
    rows = combinations(*map(range, use.y.shape[:-1]))
    return handed_back(use, at(*rows, index[0]), "dbias[u] = sum over all rows of dy[u]")


RULES = {Dense: Rule(_forward, _input_gradient, {"kernel": _kernel_gradient, "bias": _bias_gradient})}
