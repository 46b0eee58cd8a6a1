"""Subjects of layers that have no parameters: x and a few options in, y out; dy in, dx out.

``both`` builds the two of them from a formula for each direction; ``instead``, ``on_y`` and ``on_dx`` are short ways to
write down a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.subject import FILLS, Arguments, Mistake, Settings, Subject, numbers, ones_for_dy
from minicnn.layers import Layer
from minicnn.shapes import Array

SHAPES = ((1, 2), (1, 3), (2, 3), (2, 2, 2, 2), (2, 2, 3, 4), (3, 4, 2, 3))
PICTURES = ((1, 1, 1, 1), (1, 2, 2, 1), (1, 2, 2, 2), (2, 3, 3, 3), (2, 2, 3, 4), (3, 4, 2, 3))


def both(
    layer: Callable[..., Layer],
    forward: Callable[[Arguments], Array],
    backward: Callable[[Arguments], Array],
    mistakes: tuple[tuple[Mistake, ...], tuple[Mistake, ...]],
    *,
    shapes: tuple[tuple[int, ...], ...] = SHAPES,
    options: Mapping[str, tuple[Any, ...]] | None = None,
    scales: tuple[float, ...] = (1.0,),
    extra: Callable[[Arguments, np.random.Generator], Arguments] = lambda a, rng: {},
) -> tuple[Subject, Subject]:
    """The two subjects of a layer; the first value of each of the ``options`` is Keras's default."""
    options = options or {}
    choices: dict[str, tuple[Any, ...]] = {"shape": shapes, **options, "fill": FILLS, "scale": scales}

    def grid() -> Iterator[Settings]:
        for values in product(*choices.values()):
            yield dict(zip(choices, values, strict=True))

    def arguments(settings: Settings, rng: np.random.Generator) -> Arguments:
        x = settings["scale"] * numbers(settings["shape"], settings["fill"], rng)
        a = {"x": x} | {name: settings[name] for name in options}
        return a | extra(a, rng)

    def backward_arguments(settings: Settings, rng: np.random.Generator) -> Arguments:
        a = arguments(settings, rng)
        y = forward(a)
        return a | {"y": y, "dy": numbers(y.shape, "random", rng)}

    def twin(a: Arguments) -> Layer:
        made = layer(**{name: a[name] for name in options if name not in ("training",)})
        made.build(a["x"].shape[1:], np.random.default_rng(0))
        return made

    # Far from 0, gradients of saturated functions are what rounding leaves of 1 - 1: no fair case.
    backward_choices = choices | {"scale": scales[:1]}

    def backward_grid() -> Iterator[Settings]:
        return (settings for settings in grid() if settings["scale"] == scales[0])

    name = layer.__name__
    defaults = {option: values[0] for option, values in options.items()}
    return (
        Subject(
            name, "forward", ("y",), choices, grid, arguments, lambda a: {"y": forward(a)}, twin, mistakes[0], defaults
        ),
        Subject(
            name,
            "backward",
            ("dx",),
            backward_choices,
            backward_grid,
            backward_arguments,
            lambda a: {"dx": backward(a)},
            twin,
            (*mistakes[1], ones_for_dy()),
            defaults,
        ),
    )


def instead(name: str, meaning: str, **knobs: Any) -> Mistake:
    """A mistake that turns knobs."""
    return Mistake(name, meaning, before=lambda a: knobs)


def on_y(name: str, meaning: str, change: Callable[[Array, Arguments], Array]) -> Mistake:
    """A mistake that changes y."""
    return Mistake(name, meaning, after=lambda results, a: {"y": change(results["y"], a)})


def on_dx(name: str, meaning: str, change: Callable[[Array, Arguments], Array]) -> Mistake:
    """A mistake that changes dx."""
    return Mistake(name, meaning, after=lambda results, a: {"dx": change(results["dx"], a)})
