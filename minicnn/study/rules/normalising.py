"""How the normalisations explain themselves: the sums behind mean and variance, then step by step to the output.

    xhat = (x - mean) / sqrt(variance + epsilon),   y = gamma * xhat + beta

Where mean and variance are those of the M numbers that are normalised together, each of these has a part in every
output. So a gradient dx[i] gathers dy[j] from all of them, with the weight

    gamma[j] * inverse * ((1 if i = j else 0) - 1/M - xhat[i] * xhat[j] / M)

which is what ``ops.batch_norm`` and ``ops.layer_norm`` add up in another order. Given statistics (batch normalisation
in inference) leave only the 1.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.layers import BatchNormalization, LayerNormalization, UnitNormalization
from minicnn.ops.unit_normalization import EPSILON, check_axes
from minicnn.shapes import Array
from minicnn.study.explanation import Index, Step, Terms, Worked, total_of
from minicnn.study.places import at, combinations, place, taken
from minicnn.study.use import Rule, Use, handed_back, worked_out

NORMALISED = "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta"


# -- batch and layer normalisation -------------------------------------------------------------------------------------


def _axes(use: Use) -> tuple[int, ...]:
    """The axes that mean and variance are taken over."""
    rank = use.y.ndim
    return check_axes(use.layer.axes, rank) if isinstance(use.layer, LayerNormalization) else tuple(range(rank - 1))


def _together(use: Use, index: Index) -> Array:
    """The places that are normalised together with ``index``."""
    axes = _axes(use)
    return at(*combinations(*(range(use.y.shape[a]) if a in axes else [i] for a, i in enumerate(index))))


def _parameter_places(use: Use, positions: Array) -> Array:
    """Which entry of gamma and beta serves each place: of the channel, or of the normalised axes."""
    axes = sorted(_axes(use)) if isinstance(use.layer, LayerNormalization) else [use.y.ndim - 1]
    return positions[:, axes]


def _given_statistics(use: Use) -> bool:
    """Batch normalisation with moving statistics: nothing depends on the batch."""
    return isinstance(use.layer, BatchNormalization) and not use.cache.batch_statistics


def _forward(use: Use, index: Index) -> Worked:
    x = float(use.xs[0][index])
    if _given_statistics(use):
        terms = Terms.of(use.x(place(index)))
        mean, variance = (use.number(f"moving_{key}", index[-1]) for key in ("mean", "variance"))
        steps = [Step(f"- moving_mean {mean:.6g}", x - mean)]
    else:
        group = use.x(_together(use, index))
        M = len(group.values)
        terms = Terms.of(group, worked_out(f"1/{M}", np.full(M, 1 / M)))
        mean = total_of((terms,))
        variance = math.fsum(((group.values - mean) ** 2).tolist()) / M
        steps = [Step(f"x{list(index)} {x:.6g} - this mean", x - mean)]
    deviation = math.sqrt(variance + use.layer.epsilon)
    value = (x - mean) / deviation
    steps.append(Step(f"/ sqrt(variance {variance:.6g} + epsilon {use.layer.epsilon:g})", value))
    (entry,) = _parameter_places(use, place(index)).tolist()
    if "gamma" in use.layer.params:
        value *= use.number("gamma", *entry)
        steps.append(Step(f"* gamma{entry} {use.number('gamma', *entry):.6g}", value))
    if "beta" in use.layer.params:
        value += use.number("beta", *entry)
        steps.append(Step(f"+ beta{entry} {use.number('beta', *entry):.6g}", value))
    return Worked(NORMALISED, (terms,), tuple(steps))


def _input_gradient(use: Use, index: Index, source: int) -> Worked:
    if _given_statistics(use):
        group, own = place(index), 0
        slopes = np.ones(1)
    else:
        group = _together(use, index)
        own = int(np.flatnonzero((group == index).all(axis=1))[0])
        xhat = _xhat(use, group)
        slopes = np.eye(len(group))[own] - (1 + xhat[own] * xhat) / len(group)
    factors = [use.upstream(group)]
    if "gamma" in use.layer.params:
        factors.append(use.weight("gamma", _parameter_places(use, group)))
    factors.append(worked_out("dxhat[j]/dx[i]", slopes * _inverse(use, group)))
    return Worked("dx[i] = sum over j of dy[j] * gamma * dxhat[j]/dx[i]", (Terms.of(*factors),))


def _gamma_gradient(use: Use, index: Index) -> Worked:
    positions = _served(use, index)
    terms = Terms.of(use.upstream(positions), worked_out("xhat", _xhat(use, positions)))
    return Worked("dgamma = sum of dy * xhat, over all that gamma multiplies", (terms,))


def _beta_gradient(use: Use, index: Index) -> Worked:
    return handed_back(use, _served(use, index), "dbeta = sum of dy, over all that beta is added to")


def _served(use: Use, index: Index) -> Array:
    """All places that one entry of gamma or beta serves."""
    axes = sorted(_axes(use)) if isinstance(use.layer, LayerNormalization) else [use.y.ndim - 1]
    fixed = dict(zip(axes, index, strict=True))
    return at(*combinations(*([fixed[a]] if a in fixed else range(size) for a, size in enumerate(use.y.shape))))


def _xhat(use: Use, positions: Array) -> Array:
    mean = taken(np.broadcast_to(use.cache.mean, use.y.shape), positions)
    xhat: Array = (taken(use.xs[0], positions) - mean) * _inverse(use, positions)
    return xhat


def _inverse(use: Use, positions: Array) -> Array:
    """1 / sqrt(variance + epsilon) at each place, as the forward pass left it."""
    if isinstance(use.layer, LayerNormalization):
        return taken(np.broadcast_to(use.cache.inverse, use.y.shape), positions)
    variance = taken(np.broadcast_to(use.cache.exact_variance, use.y.shape), positions)
    inverse: Array = 1 / np.sqrt(variance + use.layer.epsilon)
    return inverse


# -- unit normalisation ------------------------------------------------------------------------------------------------


def _vector(use: Use, index: Index) -> Array:
    axes = check_axes(use.layer.axes, use.y.ndim)
    return at(*combinations(*(range(use.y.shape[a]) if a in axes else [i] for a, i in enumerate(index))))


def _unit(use: Use, index: Index) -> Worked:
    x = use.x(_vector(use, index))
    terms = Terms.of(x, x)
    length = math.sqrt(total_of((terms,)))
    own = float(use.xs[0][index])
    steps = (
        Step("its root, the length", length),
        Step(f"x{list(index)} {own:.6g} / length", own / max(length, EPSILON)),
    )
    return Worked("y[i] = x[i] / sqrt(sum over j of x[j] * x[j])", (terms,), steps)


def _unit_input(use: Use, index: Index, source: int) -> Worked:
    vector = _vector(use, index)
    scale = float(np.broadcast_to(use.cache.scale, use.y.shape)[index])
    own = (vector == index).all(axis=1)
    along = (
        0.0 if scale >= 1 / EPSILON else float(use.y[index]) * taken(use.y, vector)
    )  # a constant factor so close to 0
    terms = Terms.of(use.upstream(vector), worked_out("dy[j]/dx[i]", scale * (own - along)))
    return Worked("dx[i] = sum over j of dy[j] * ((1 if i = j else 0) - y[i] * y[j]) / length", (terms,))


PARAMETERS = {"gamma": _gamma_gradient, "beta": _beta_gradient}
RULES = {
    BatchNormalization: Rule(_forward, _input_gradient, PARAMETERS),
    LayerNormalization: Rule(_forward, _input_gradient, PARAMETERS),
    UnitNormalization: Rule(_unit, _unit_input),
}
