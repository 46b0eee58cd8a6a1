"""Gradient checking of a whole network along random directions: every parameter at once, for a few passes.

``check_model_gradient`` moves one number at a time, so of a large network it can look at a few only. But a gradient
says how the loss changes along *any* direction v through all parameters and the input:

    d/dt L(parameters + t * v) at t = 0   =   sum of gradient * v

One random v has a part in every number. A gradient that is wrong somewhere by e changes the right side by e * v there,
and that the errors cancel for several random directions does not happen by chance. Four passes per direction (up
to twelve near kinks), however many parameters there are; in return, it does not say where a mistake is:
``check_model_gradient`` does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minicnn.gradcheck import Criterion, Network, with_gradients
from minicnn.gradreport import ArrayCheck, Entry, GradientReport
from minicnn.gradslopes import EPS, STEPS, copied, float64_array, is_smooth, measure_slope, named_inputs
from minicnn.layers.base import INFERENCE, Context, Tensors
from minicnn.shapes import Array, whole


def check_directions(
    model: Network,
    loss: Criterion,
    x: Tensors,
    y: Array,
    *,
    context: Context = INFERENCE,
    directions: int = 5,
    seed: int = 0,
) -> GradientReport:
    """Compare a network's gradients with measured slopes of its loss along ``directions`` random lines.

    Each direction has length 1 in x and in every trainable parameter, so small arrays count as much as large ones. x
    and all parameters are float64, are moved while measuring, and are put back bit for bit. The report has one row; its
    entries are numbered directions. Raises DtypeError, OptionError, and ShapeError where a layer that learns lacks a
    gradient. Memory: one copy of all parameters.
    """
    whole(directions, "directions")
    x = copied(x)
    predictions, caches = model.forward(x, context)
    value, cache = loss.forward(y, predictions)
    dx, gradients = model.backward(loss.backward(cache), caches, input_gradient=True)
    pairs = named_inputs(x, dx) | {
        name: (float64_array(array, name), own) for name, (array, own) in with_gradients(model, gradients).items()
    }
    arrays, slopes = ({name: pair[which] for name, pair in pairs.items()} for which in (0, 1))
    kept = {name: array.copy() for name, array in arrays.items()}

    def evaluate() -> Array:
        return np.asarray(loss.forward(y, model.forward(x, context)[0])[0], dtype=np.float64)

    entries, kinks = [], []
    for number in range(directions):
        line = _direction(arrays, np.random.default_rng([seed, number]))

        def move(offset: float, line: Mapping[str, Array] = line) -> None:
            for name, array in arrays.items():
                array[...] = kept[name] + offset * line[name] if offset else kept[name]

        analytic = float(sum(np.sum(slopes[name] * line[name]) for name in arrays))
        # The parts that add up to a slope: where they cancel, they, and not their sum, say what is small.
        size = float(np.sqrt(sum(np.sum(np.square(slopes[name] * line[name])) for name in arrays)))
        scale = max(size, abs(analytic), 1e7 * EPS * abs(value) / STEPS[0])
        for step in STEPS:
            slope = measure_slope(evaluate, np.float64(1.0), np.float64(value), move, step)
            if is_smooth(slope, scale) or not np.isfinite(slope.numeric):
                break
        if is_smooth(slope, scale) or not np.isfinite(slope.numeric):
            error = abs(analytic - slope.numeric) / scale
            error = error if np.isfinite(error) else float("inf")
            entries.append(Entry("direction", (number,), analytic, slope.numeric, error))
        else:
            kinks.append((number,))
    worst = max(entries, key=lambda entry: entry.error, default=None)
    frozen = tuple(sorted(set(model.parameters) - set(gradients)))
    return GradientReport((ArrayCheck("direction", (directions,), len(entries), tuple(kinks), worst),), 0.0, frozen)


def _direction(arrays: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """A random direction of length 1 for each array."""
    drawn = {name: rng.standard_normal(array.shape) for name, array in arrays.items()}
    return {name: array / max(float(np.linalg.norm(array)), 1e-300) for name, array in drawn.items()}
