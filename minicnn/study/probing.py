"""What a network answers to pictures that were changed or made up: occlusion and activation maximisation.

occlusion                cover one patch after the other, and see how far the score falls     Zeiler and Fergus 2014
maximised_activation     start from noise and climb: which picture excites this unit?         Erhan et al. 2009
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.model import Model
from minicnn.options import number
from minicnn.shapes import Array, IntOrPair, Window, whole
from minicnn.study.attribution import asked, frozen, scores_of, there_and_back
from minicnn.study.places import checked
from minicnn.study.trace import number_of


def occlusion(
    model: Model,
    x: Array,
    index: int | None = None,
    *,
    size: IntOrPair = 8,
    strides: IntOrPair = 4,
    fill: float | None = None,
    batch_size: int = 32,
) -> Array:
    """(H, W): how much of the score is lost, on average over the patches that cover a pixel.

    ``x`` (1, H, W, C) is one picture, ``index`` the class (None: the winner), before a final softmax. Patches of
    ``size`` slide in steps of ``strides``, beyond the border too, so that every pixel is covered as often as the steps
    allow; covered pixels become ``fill`` (None: the picture's mean). Positive where covering hurts. Pixels that no
    patch covers, with strides larger than the size, are 0. Cost: a forward pass for each patch.
    """
    scoring = scores_of(model)
    x = scoring.as_inputs(x)[0]
    if x.ndim != 4 or len(x) != 1:
        raise ShapeError(explain("one picture (1, H, W, C)", f"shape {x.shape}"))
    _, H, W, _ = x.shape
    scores = scoring(x)
    dy = asked(scores, index)
    before = float((scores * dy).sum())
    window = Window.of(size, strides, "same")
    down, across = window.reads(H, W)
    covers = [
        (rows[:, 2], columns[:, 2])
        for rows in (down[down[:, 0] == i] for i in range(window.output_size(H, W)[0]))
        for columns in (across[across[:, 0] == j] for j in range(window.output_size(H, W)[1]))
    ]
    covering = x.mean() if fill is None else fill
    lost, times = np.zeros((H, W)), np.zeros((H, W))
    for start in range(0, len(covers), whole(batch_size, "batch_size")):
        part = covers[start : start + batch_size]
        pictures = np.repeat(x, len(part), axis=0)
        for picture, place in zip(pictures, part, strict=True):
            picture[np.ix_(*place)] = covering
        drops = before - (scoring(pictures) * dy).sum(axis=1)
        for place, drop in zip(part, drops, strict=True):
            lost[np.ix_(*place)] += drop
            times[np.ix_(*place)] += 1
    return np.divide(lost, times, out=lost, where=times > 0)


class Maximised(NamedTuple):
    """A picture that excites a unit, and how far: the unit's value at each step, the start included."""

    picture: Array  # (H, W, C)
    values: list[float]


def maximised_activation(
    model: Model,
    layer: str,
    index: int | Sequence[int],
    *,
    steps: int = 64,
    rate: float = 1.0,
    decay: float = 0.01,
    start: Array | None = None,
    seed: int = 0,
) -> Maximised:
    """Climb the gradient of one unit of ``layer``: each step adds ``rate`` * g / |g|, and shrinks the picture a little.

    ``index`` is a place as for ``explain``, or one number: of a layer with maps a whole channel (its mean), of a dense
    layer a unit. ``decay`` is the share that each step takes away, which keeps the picture from growing without end
    (Simonyan et al. 2014). ``start`` (H, W, C) is where to begin; None begins with faint noise from ``seed``. Raises
    OptionError for layers and places that are not there. Cost: ``steps`` + 1 passes both ways.
    """
    whole(steps, "steps", least=0)
    number("decay", decay, least=0, most=1)
    number_of(model, layer)  # raises, with the nearest name
    below = model.up_to(layer)
    shape = below.output_shape
    dy = np.zeros((1, *shape))
    if isinstance(index, int):
        (channel,) = checked(shape[-1:], (index,), f"the channels of '{layer}'")
        dy[..., channel] = 1
    else:
        dy[(0, *checked(shape, index, f"the output of '{layer}'"))] = 1
    dy /= dy.sum()  # of a whole channel, the mean
    rng = np.random.default_rng(seed)
    x = 0.01 * rng.standard_normal((1, *below.shapes[0])) if start is None else np.array(start, np.float64)[None]
    values, graph = [], frozen(below)
    for step in range(steps + 1):
        made, gradients = there_and_back(graph, below.as_inputs(x), lambda output: dy.astype(output.dtype))
        values.append(float((made[graph.outputs[0]] * dy).sum()))
        if step < steps:
            gradient = gradients[0]
            length = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
            x = (1 - decay) * x + (rate / length) * gradient if length else x
    return Maximised(x[0].astype(below.dtype), values)
