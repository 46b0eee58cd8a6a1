"""How activations explain themselves: a curve through one number, its slope times one gradient; softmax as a contest.

y = f(x)                     one term, x, and one step
dx = dy * f'(x)              one term
y[i] = e^(x[i] - m) / S      the terms of S = sum over j of e^(x[j] - m), with m the largest x
dx[i] = sum over j of  dy[j] * y[i] * ((1 if i = j else 0) - y[j])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minicnn.layers import ELU, Activation, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from minicnn.layers.base import Layer
from minicnn.ops.curve_loops import SELU_BEND, SELU_SCALE
from minicnn.shapes import Array
from minicnn.study.explanation import Index, Step, Terms, Worked, total_of
from minicnn.study.places import at, combinations, place
from minicnn.study.use import Rule, Use, worked_out


class Curve(NamedTuple):
    """A formula, and the function and its derivative. ``option`` is the number that some formulas have (a slope)."""

    text: str
    value: Callable[[float, float], float]
    slope: Callable[[float, float], float]


#: by Keras's name
FORMULAS = {
    "linear": Curve("x", lambda x, _: x, lambda x, _: 1.0),
    "relu": Curve("max(x, 0)", lambda x, _: x if x > 0 or math.isnan(x) else 0.0, lambda x, _: float(x > 0)),
    "leaky_relu": Curve(
        "x if x > 0 else {:g} * x", lambda x, a: x if x > 0 else a * x, lambda x, a: 1.0 if x > 0 else a
    ),
    "elu": Curve(
        "x if x > 0 else {:g} * (e^x - 1)",
        lambda x, a: x if x > 0 else a * math.expm1(x),
        lambda x, a: 1.0 if x > 0 else a * math.exp(x) if x <= 0 else a,  # the last one for NaN
    ),
    "sigmoid": Curve("1 / (1 + e^-x)", lambda x, _: _sigmoid(x), lambda x, _: _sigmoid(x) * _sigmoid(-x)),
    "tanh": Curve("tanh(x)", lambda x, _: math.tanh(x), lambda x, _: (1 - math.tanh(x)) * (1 + math.tanh(x))),
    "silu": Curve("x * sigmoid(x)", lambda x, _: x * _sigmoid(x), lambda x, _: _silu_slope(x)),
    "swish": Curve("x * sigmoid(x)", lambda x, _: x * _sigmoid(x), lambda x, _: _silu_slope(x)),
    "gelu": Curve("x * Phi(x)", lambda x, _: x * _below(x), lambda x, _: _below(x) + x * _density(x)),
    "softplus": Curve("log(1 + e^x)", lambda x, _: _softplus(x), lambda x, _: _sigmoid(x)),
    "mish": Curve("x * tanh(log(1 + e^x))", lambda x, _: x * math.tanh(_softplus(x)), lambda x, _: _mish_slope(x)),
    "softsign": Curve("x / (1 + |x|)", lambda x, _: x / (1 + abs(x)), lambda x, _: 1 / (1 + abs(x)) / (1 + abs(x))),
    "selu": Curve(
        f"{SELU_SCALE:.4f} * x if x > 0 else {SELU_BEND:.4f} * (e^x - 1)",
        lambda x, _: SELU_SCALE * x if x > 0 else SELU_BEND * math.expm1(x),
        lambda x, _: SELU_BEND * math.exp(x) if x < 0 else SELU_SCALE,
    ),
    "exponential": Curve("e^x", lambda x, _: _exp(x), lambda x, _: _exp(x)),
    "relu6": Curve("min(max(x, 0), 6)", lambda x, _: _between(x, 6.0), lambda x, _: float(0 < x < 6)),
    "hard_sigmoid": Curve(
        "min(max(x + 3, 0), 6) / 6", lambda x, _: _between(x + 3, 6.0) / 6, lambda x, _: (-3 < x < 3) / 6
    ),
}
GATES = ("relu", "relu6", "hard_sigmoid")  # where the slope is 0 no gradient passes, were it infinity
NAMES: dict[type[Layer], str] = {ReLU: "relu", LeakyReLU: "leaky_relu", ELU: "elu", Sigmoid: "sigmoid", Tanh: "tanh"}


def _sigmoid(x: float) -> float:
    small = math.exp(-abs(x))  # in (0, 1], whatever the sign
    return (1.0 if x >= 0 else small) / (1 + small)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _softplus(x: float) -> float:
    return (x if x > 0 else 0.0) + math.log1p(math.exp(-abs(x)))


def _silu_slope(x: float) -> float:
    return _sigmoid(x) + x * _sigmoid(x) * _sigmoid(-x)


def _mish_slope(x: float) -> float:
    t = math.tanh(_softplus(x))
    return t + x * _sigmoid(x) * (1 - t) * (1 + t)


def _below(x: float) -> float:
    """Phi(x), the share of the normal distribution below x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _between(x: float, most: float) -> float:
    """x, but no less than 0 and no more than ``most``; NaN stays."""
    return x if math.isnan(x) else min(max(x, 0.0), most)


def _curve(use: Use) -> tuple[str, Curve, float]:
    """Its name, the curve, and the number in its formula (0 where there is none)."""
    name = NAMES.get(type(use.layer)) or use.layer.activation
    return name, FORMULAS[name], float(getattr(use.cache, "negative_slope", getattr(use.cache, "alpha", 0.0)))


def bend(use: Use, index: Index) -> Worked:
    """An output of any activation."""
    if softmax_axis(use) is not None:
        return _softmax(use, index)
    _, curve, option = _curve(use)
    text = curve.text.format(option)
    x = use.x(place(index))
    return Worked(f"y = {text}", (Terms.of(x),), (Step(text, curve.value(float(x.values[0]), option)),))


def _input_gradient(use: Use, index: Index, source: int) -> Worked:
    if softmax_axis(use) is not None:
        return _softmax_input(use, index)
    name, curve, option = _curve(use)
    slope = worked_out(f"{name}'(x)", curve.slope(float(use.xs[0][index]), option))
    terms = Terms.chosen if name in GATES else Terms.of
    return Worked(f"dx = dy * {name}'(x)", (terms(use.upstream(place(index)), slope),))


# -- softmax -----------------------------------------------------------------------------------------------------------


def is_softmax(layer: Layer) -> bool:
    """The layer of that name, or an Activation of that name."""
    return isinstance(layer, Softmax) or (isinstance(layer, Activation) and layer.activation == "softmax")


def is_relu(layer: Layer) -> bool:
    """The layer of that name, or an Activation of that name."""
    return isinstance(layer, ReLU) or (isinstance(layer, Activation) and layer.activation == "relu")


def softmax_axis(use: Use) -> int | None:
    """The axis along which a softmax adds up to one; None for every other activation."""
    if not is_softmax(use.layer):
        return None
    return int(getattr(use.layer, "axis", -1)) % use.y.ndim


def _row(use: Use, index: Index) -> tuple[Array, int]:
    """The places that share one softmax with ``index``, and which of them it is."""
    axis = softmax_axis(use)
    assert axis is not None
    row = at(*combinations(*(range(use.y.shape[a]) if a == axis else [i] for a, i in enumerate(index))))
    return row, index[axis]


def _softmax(use: Use, index: Index) -> Worked:
    row, own = _row(use, index)
    x = use.x(row)
    exponentials = np.exp(x.values - x.values.max())
    terms = Terms((x,), exponentials)
    mine = float(exponentials[own])
    step = Step(f"e^(x[{own}] - largest) {mine:.6g} / this sum", mine / total_of((terms,)))
    return Worked("y[i] = e^(x[i] - largest) / sum over j of e^(x[j] - largest)", (terms,), (step,))


def _softmax_input(use: Use, index: Index) -> Worked:
    row, own = _row(use, index)
    y = use.y[tuple(row.T)].astype(np.float64)
    slopes = y[own] * (np.eye(len(y))[own] - y)
    terms = Terms.of(use.upstream(row), worked_out("dy[j]/dx[i]", slopes))
    return Worked("dx[i] = sum over j of dy[j] * y[i] * ((1 if i = j else 0) - y[j])", (terms,))


RULES = {kind: Rule(bend, _input_gradient) for kind in (*NAMES, Softmax, Activation)}
