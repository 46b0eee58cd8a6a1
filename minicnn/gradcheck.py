"""Gradient checking: is ``backward`` really the derivative of ``forward``?

A backward pass is a derivative somebody worked out by hand. The forward pass says what the right answer is, because a
derivative can be measured: ``gradslopes.py`` says how, with which step, and how a place without a derivative shows.
Here it is measured entry by entry. An entry on a kink is left out of the comparison and **reported**, never dropped
silently. What is measured sees ``forward`` alone, so a mistake in ``backward`` cannot hide behind it.

**The error** of an entry is |a - n| / max(|a|, |n|, scale), a analytic, n numeric. ``scale`` is 1e-3 of the largest
gradient in the check (or what rounding lets us see, where that is more): entries far below the others are judged
against it rather than against their own rounding. A right layer shows 1e-7 to 1e-11, a wrong one rarely less than 1e-2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.gradreport import ArrayCheck, Entry, GradientReport, Index
from minicnn.gradslopes import EPS, STEPS, Slope, copied, float64_array, is_smooth, measure_slope, named_inputs
from minicnn.layers.base import INFERENCE, Context, Layer, Tensors
from minicnn.shapes import Array

FLOOR = 1e-3  # entries below this share of the largest gradient are compared with that share of it


class Network(Protocol):
    """What ``check_model_gradient`` needs of a model. The layers say which parameters must have a gradient."""

    @property
    def layers(self) -> Sequence[Layer]: ...
    @property
    def parameters(self) -> Mapping[str, Array]: ...
    def forward(self, x: Tensors, context: Context) -> tuple[Tensors, Any]: ...
    def backward(self, dy: Tensors, caches: Any, *, input_gradient: bool) -> tuple[Any, Mapping[str, Array]]: ...


class Criterion(Protocol):
    """What ``check_model_gradient`` needs of a loss."""

    def forward(self, targets: Array, predictions: Array) -> tuple[float, Any]: ...
    def backward(self, cache: Any) -> Array: ...


def check_layer_gradient(
    layer: Layer, x: Tensors, *, context: Context = INFERENCE, seed: int = 0, limit: int | None = 200
) -> GradientReport:
    """Compare ``layer.backward`` with measured derivatives of f = sum(dy * layer.forward(x)), for a random ``dy``.

    ``x`` (N, ...), or a list of them for a layer that merges, and all parameters are float64. Checked are ``x`` and
    every parameter; of each array at most ``limit`` entries, drawn from ``seed`` (None: all of them). The upstream
    gradient dy is drawn from the same seed: a dy of ones would not notice swapped indices. Parameters are moved in
    place while measuring and always put back.

    Raises DtypeError for float32, ShapeError for a gradient whose shape is not its array's, StateError for an unbuilt
    layer. Cost: 4 forward passes per entry, up to 12 where the function bends sharply.
    """
    layer.require_built()
    x = copied(x)
    y, cache = layer.forward(x, context)
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    dx, gradients = layer.backward(dy, cache)
    _require_gradients(layer, gradients)
    pairs = named_inputs(x, dx) | {name: (layer.params[name], gradient) for name, gradient in gradients.items()}
    return _check(lambda: layer.forward(x, context)[0], dy, pairs, seed, limit, set(layer.params) - set(gradients))


def check_gradient(
    f: Callable[[Array], float], df: Callable[[Array], Array], x: Array, *, seed: int = 0, limit: int | None = 200
) -> GradientReport:
    """Compare ``df(x)`` with measured derivatives of the scalar function ``f``; otherwise as ``check_layer_gradient``.

    >>> report = check_gradient(lambda x: float((x**3).sum()), lambda x: 3 * x**2, np.array([1.0, -2.0, 0.5]))
    >>> report.checked, report.passed(1e-9)
    (3, True)
    """
    x = float64_array(x, "x").copy()
    return _check(lambda: np.float64(f(x)), np.float64(1.0), {"x": (x, df(x.copy()))}, seed, limit)


def check_model_gradient(
    model: Network,
    loss: Criterion,
    x: Tensors,
    y: Array,
    *,
    context: Context = INFERENCE,
    seed: int = 0,
    limit: int | None = 10,
) -> GradientReport:
    """Compare a whole network's gradients with measured derivatives of its loss: dx and every ``"layer/parameter"``.

    ``y`` are the targets, handed to ``loss`` as they are. At most ``limit`` entries per array, drawn from ``seed``.
    ``context=Context(training=True)`` checks what training does (batch statistics, dropout: its mask depends on the
    context alone and stays the same). Otherwise as ``check_layer_gradient``; a pass goes through the whole network.
    A parameter without a gradient is left out only if its layer is frozen; else it is a ShapeError.
    """
    x = copied(x)
    predictions, caches = model.forward(x, context)
    dx, gradients = model.backward(loss.backward(loss.forward(y, predictions)[1]), caches, input_gradient=True)
    pairs = named_inputs(x, dx) | with_gradients(model, gradients)

    def value() -> Array:
        return np.asarray(loss.forward(y, model.forward(x, context)[0])[0], dtype=np.float64)

    return _check(value, np.float64(1.0), pairs, seed, limit, set(model.parameters) - set(gradients))


def with_gradients(model: Network, gradients: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """{"layer/parameter": (array, its gradient)}. Raises ShapeError where a layer that learns lacks a gradient."""
    parts = [address.rpartition("/") for address in gradients]
    for layer in model.layers:
        _require_gradients(layer, {key for name, _, key in parts if name == layer.name})
    parameters = model.parameters
    return {name: (parameters[name], gradient) for name, gradient in gradients.items()}


def _require_gradients(layer: Layer, came: Iterable[str]) -> None:
    """A gradient for each parameter, and for nothing else, of a layer that learns. Raises ShapeError."""
    if layer.trainable and set(came) != set(layer.params):
        raise ShapeError(
            explain(f"a gradient for each of {sorted(layer.params)} from layer '{layer.name}'", sorted(came))
        )


def _check(
    evaluate: Callable[[], Any],
    dy: Any,
    pairs: Mapping[str, tuple[Array, Array | None]],
    seed: int,
    limit: int | None,
    without_gradient: set[str] | frozenset[str] = frozenset(),
) -> GradientReport:
    """Measure every sampled entry with the first step, which shows the scale; then judge, measuring finer if needed."""
    if limit is not None and limit < 1:
        raise OptionError(explain("limit >= 1, or None for all entries", limit))

    def output() -> Any:
        return np.array(evaluate())  # a copy: what Flatten returns is a view of x, which is about to move

    y = output()
    measured: dict[str, dict[Index, Slope]] = {}
    for position, (name, (array, gradient)) in enumerate(pairs.items()):
        float64_array(array, name)
        if not isinstance(gradient, np.ndarray) or gradient.shape != array.shape:
            received = f"shape {gradient.shape}" if isinstance(gradient, np.ndarray) else type(gradient).__name__
            raise ShapeError(explain(f"the gradient of {name} with its shape {array.shape}", received))
        indices = _sample(array, limit, np.random.default_rng([seed, position]))
        measured[name] = {index: measure_slope(output, dy, y, _entry(array, index), STEPS[0]) for index in indices}

    largest = max((abs(s.numeric) for slopes in measured.values() for s in slopes.values()), default=0.0)
    noise = EPS * float(np.max(np.abs(dy * y), initial=0.0)) / STEPS[0]
    scale = max(FLOOR * largest if np.isfinite(largest) else 0.0, 1e7 * noise, float(np.finfo(np.float64).tiny))

    def judge(name: str, array: Array, gradient: Array) -> ArrayCheck:
        entries, kinks = [], []
        for index, slope in measured[name].items():
            for step in STEPS[1:]:
                if is_smooth(slope, scale):
                    break
                slope = measure_slope(output, dy, y, _entry(array, index), step)
            analytic, numeric = float(gradient[index]), slope.numeric
            if not np.isfinite(numeric) or is_smooth(slope, scale):
                error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), scale)
                entries.append(Entry(name, index, analytic, numeric, error if np.isfinite(error) else float("inf")))
            else:
                kinks.append(index)
        worst = max(entries, key=lambda entry: entry.error, default=None)
        return ArrayCheck(name, array.shape, len(entries), tuple(kinks), worst)

    arrays = tuple(judge(name, array, gradient) for name, (array, gradient) in pairs.items() if gradient is not None)
    return GradientReport(arrays, scale, tuple(sorted(without_gradient)))


def _entry(array: Array, index: Index) -> Callable[[float], None]:
    """A function that moves one entry of ``array`` by an offset from where it is now."""
    kept = array[index]

    def move(offset: float) -> None:
        array[index] = kept + offset if offset else kept

    return move


def _sample(array: Array, limit: int | None, rng: np.random.Generator) -> list[Index]:
    size = array.size
    flat = np.arange(size) if limit is None or limit >= size else np.sort(rng.choice(size, limit, replace=False))
    return [tuple(int(i) for i in np.unravel_index(position, array.shape)) for position in flat]
