"""Gradient checking: is ``backward`` really the derivative of ``forward``?

A backward pass is a derivative somebody worked out by hand. The forward pass says what the right answer is, because a
derivative can be measured. Push one number of the input by +h and by -h and see how far the output moves:

    C(h) = (f(x + h) - f(x - h)) / 2h  =  f'(x) + h**2/6 f'''(x) + ...         central difference

**Why central.** The one-sided (f(x + h) - f(x)) / h is wrong by h/2 f''; in the central form the even terms cancel, and
the error falls with h**2. **Which step.** A small h does not help for ever: f is known to eps = 2.2e-16 of itself, so
C(h) carries a rounding error of about eps |f| / h. Together O(h**2) + O(eps/h), smallest near h = eps**(1/3) = 6e-6,
where about ten digits are right. Two step sizes do better: (4 C(h) - C(2h)) / 3 cancels the h**2 term as well
(Richardson), the best step grows to about 1e-4, and twelve digits are right. In float32 eps is 1.2e-7 and two or three
digits remain, which cannot tell a wrong gradient from a rounded one. Hence float64 only.

**Kinks.** ReLU at 0 and a max-pool with two equal maxima have no derivative, and a difference quotient across such a
place is not one. Two quantities vanish with h where f is smooth, and stay where a kink lies between x - 2h and x + 2h:

    C(2h) - C(h)                                  smooth: h**2/2 f'''
    D(2h) - 2 D(h)                                smooth: O(h**3) f''''.  D = right slope minus left slope

An entry that fails this test is measured again with smaller steps, which leave a nearby kink outside. What still fails
is a kink: it is left out of the comparison and **reported**, never dropped silently. The test sees ``forward`` alone,
so a mistake in ``backward`` cannot hide behind it.

**The error** of an entry is |a - n| / max(|a|, |n|, scale), a analytic, n numeric. ``scale`` is 1e-3 of the largest
gradient in the check (or what rounding lets us see, where that is more): entries far below the others are judged
against it rather than against their own rounding. A right layer shows 1e-7 to 1e-11, a wrong one rarely less than 1e-2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from minicnn.errors import DtypeError, OptionError, ShapeError, explain
from minicnn.gradreport import ArrayCheck, Entry, GradientReport, Index
from minicnn.layers.base import INFERENCE, Context, Layer, Tensors
from minicnn.shapes import Array

STEPS = (1e-4, 1e-5, 1e-6)  # for numbers of order one; the smaller where a larger one meets a kink or sharp bend
KINK = 1e-6  # slopes that disagree by more than this share of the gradient are no rounding
FLOOR = 1e-3  # entries below this share of the largest gradient are compared with that share of it
EPS = float(np.finfo(np.float64).eps)


class Network(Protocol):
    """What ``check_model`` needs of a model."""

    @property
    def parameters(self) -> Mapping[str, Array]: ...
    def forward(self, x: Tensors, context: Context) -> tuple[Tensors, Any]: ...
    def backward(self, dy: Tensors, caches: Any, *, input_gradient: bool) -> tuple[Any, Mapping[str, Array]]: ...


class Criterion(Protocol):
    """What ``check_model`` needs of a loss."""

    def forward(self, targets: Array, predictions: Array) -> tuple[float, Any]: ...
    def backward(self, cache: Any) -> Array: ...


def check_layer(
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
    x = _copied(x)
    y, cache = layer.forward(x, context)
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    dx, gradients = layer.backward(dy, cache)
    if layer.trainable and set(gradients) != set(layer.params):
        raise ShapeError(
            explain(f"a gradient for each of {sorted(layer.params)} from layer '{layer.name}'", sorted(gradients))
        )
    pairs = _inputs(x, dx) | {name: (layer.params[name], gradient) for name, gradient in gradients.items()}
    return _check(lambda: layer.forward(x, context)[0], dy, pairs, seed, limit, set(layer.params) - set(gradients))


def check_gradient(
    f: Callable[[Array], float], df: Callable[[Array], Array], x: Array, *, seed: int = 0, limit: int | None = 200
) -> GradientReport:
    """Compare ``df(x)`` with measured derivatives of the scalar function ``f``; otherwise as ``check_layer``.

    >>> report = check_gradient(lambda x: float((x**3).sum()), lambda x: 3 * x**2, np.array([1.0, -2.0, 0.5]))
    >>> report.checked, report.passed(1e-9)
    (3, True)
    """
    x = _float64(x, "x").copy()
    return _check(lambda: np.float64(f(x)), np.float64(1.0), {"x": (x, df(x.copy()))}, seed, limit)


def check_model(
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
    context alone and stays the same). Otherwise as ``check_layer``; a pass here goes through the whole network.
    """
    x = _copied(x)
    predictions, caches = model.forward(x, context)
    dx, gradients = model.backward(loss.backward(loss.forward(y, predictions)[1]), caches, input_gradient=True)
    parameters = model.parameters
    pairs = _inputs(x, dx) | {name: (parameters[name], gradient) for name, gradient in gradients.items()}

    def value() -> Array:
        return np.asarray(loss.forward(y, model.forward(x, context)[0])[0], dtype=np.float64)

    return _check(value, np.float64(1.0), pairs, seed, limit, set(parameters) - set(gradients))


def check_directions(
    model: Network,
    loss: Criterion,
    x: Tensors,
    y: Array,
    *,
    directions: int = 4,
    context: Context = INFERENCE,
    seed: int = 0,
) -> GradientReport:
    """``check_model`` by moving the input and all weights at once, in random ``directions`` of length 1.

    Along v, the loss has the slope sum(gradient * v): one number in which every gradient has its part, so some
    directions see what samples of entries may miss, at 4 to 12 passes each, however large the network is. They do not
    say where the mistake is. The report has one array, "slope", with an entry per direction.
    """
    x = _copied(x)
    predictions, caches = model.forward(x, context)
    dx, gradients = model.backward(loss.backward(loss.forward(y, predictions)[1]), caches, input_gradient=True)
    pairs = _inputs(x, dx) | {name: (model.parameters[name], gradient) for name, gradient in gradients.items()}
    kept = {name: array.copy() for name, (array, _) in pairs.items()}
    chosen = [_direction(kept, np.random.default_rng([seed, number])) for number in range(directions)]
    slopes = np.array([sum(float(np.sum(pairs[name][1] * v)) for name, v in each.items()) for each in chosen])
    along = np.zeros(directions)  # how far the weights have been moved in each direction

    def value() -> Array:
        for name, (array, _) in pairs.items():
            array[...] = kept[name] + sum(t * each[name] for t, each in zip(along, chosen, strict=True) if t)
        return np.asarray(loss.forward(y, model.forward(x, context)[0])[0], dtype=np.float64)

    try:
        without = set(model.parameters) - set(gradients)
        return _check(value, np.float64(1.0), {"slope": (along, slopes)}, seed, None, without)
    finally:
        for name, (array, _) in pairs.items():
            array[...] = kept[name]


def _direction(arrays: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """A random direction in the space of all these numbers, of length 1."""
    v = {name: rng.standard_normal(array.shape) for name, array in arrays.items()}
    length = np.sqrt(sum(float(np.sum(part**2)) for part in v.values()))
    return {name: part / length for name, part in v.items()}


def _copied(x: Tensors) -> Tensors:
    """Arrays that the check may move, one or a list of them."""
    return [_float64(part, "x").copy() for part in x] if isinstance(x, list) else _float64(x, "x").copy()


def _inputs(x: Tensors, dx: Any) -> dict[str, tuple[Array, Any]]:
    """{"x": (x, dx)}; of several inputs {"x0": ..., "x1": ...}."""
    if not isinstance(x, list):
        return {"x": (x, dx)}
    return {f"x{i}": pair for i, pair in enumerate(zip(x, dx, strict=True))}


class _Slope(NamedTuple):
    numeric: float  # (4 C(h) - C(2h)) / 3
    doubt: float  # 0 where f is smooth; the size of the jump in slope where a kink is near


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
    measured: dict[str, dict[Index, _Slope]] = {}
    for position, (name, (array, gradient)) in enumerate(pairs.items()):
        _float64(array, name)
        if not isinstance(gradient, np.ndarray) or gradient.shape != array.shape:
            received = f"shape {gradient.shape}" if isinstance(gradient, np.ndarray) else type(gradient).__name__
            raise ShapeError(explain(f"the gradient of {name} with its shape {array.shape}", received))
        indices = _sample(array, limit, np.random.default_rng([seed, position]))
        measured[name] = {index: _slope(output, dy, y, array, index, STEPS[0]) for index in indices}

    largest = max((abs(s.numeric) for slopes in measured.values() for s in slopes.values()), default=0.0)
    noise = EPS * float(np.max(np.abs(dy * y), initial=0.0)) / STEPS[0]
    scale = max(FLOOR * largest if np.isfinite(largest) else 0.0, 1e7 * noise, float(np.finfo(np.float64).tiny))

    def judge(name: str, array: Array, gradient: Array) -> ArrayCheck:
        entries, kinks = [], []
        for index, slope in measured[name].items():
            for step in STEPS[1:]:
                if _smooth(slope, scale):
                    break
                slope = _slope(output, dy, y, array, index, step)
            analytic, numeric = float(gradient[index]), slope.numeric
            if not np.isfinite(numeric) or _smooth(slope, scale):
                error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), scale)
                entries.append(Entry(name, index, analytic, numeric, error if np.isfinite(error) else float("inf")))
            else:
                kinks.append(index)
        worst = max(entries, key=lambda entry: entry.error, default=None)
        return ArrayCheck(name, array.shape, len(entries), tuple(kinks), worst)

    arrays = tuple(judge(name, array, gradient) for name, (array, gradient) in pairs.items() if gradient is not None)
    return GradientReport(arrays, scale, tuple(sorted(without_gradient)))


def _smooth(slope: _Slope, scale: float) -> bool:
    return slope.doubt <= KINK * max(abs(slope.numeric), scale)


def _slope(evaluate: Callable[[], Any], dy: Any, y: Any, array: Array, index: Index, h: float) -> _Slope:
    """Slope of sum(dy * y) along one entry, from four evaluations.

    Outputs are subtracted before they are summed: those that the entry does not touch cancel exactly, instead of
    burying the difference under their own rounding.
    """
    kept = array[index]

    def at(offset: float) -> Any:
        array[index] = kept + offset
        return evaluate()

    try:
        right, left, far_right, far_left = at(h), at(-h), at(2 * h), at(-2 * h)
    finally:
        array[index] = kept
    with np.errstate(invalid="ignore", over="ignore"):
        near = float(np.sum(dy * (right - left))) / (2 * h)
        far = float(np.sum(dy * (far_right - far_left))) / (4 * h)
        bend_near = float(np.sum(dy * ((right - y) - (y - left)))) / h
        bend_far = float(np.sum(dy * ((far_right - y) - (y - far_left)))) / (2 * h)
        return _Slope((4 * near - far) / 3, max(abs(far - near), abs(bend_far - 2 * bend_near)))


def _sample(array: Array, limit: int | None, rng: np.random.Generator) -> list[Index]:
    size = array.size
    flat = np.arange(size) if limit is None or limit >= size else np.sort(rng.choice(size, limit, replace=False))
    return [tuple(int(i) for i in np.unravel_index(position, array.shape)) for position in flat]


def _float64(array: Array, name: str) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        received = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        fix = "Build with dtype=np.float64 and convert the input: float32 keeps too few digits to judge a gradient."
        raise DtypeError(explain(f"{name} as a float64 array", received, fix))
    return array
