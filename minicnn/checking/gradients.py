"""Mistakes that the gradient of any parameter can have: how the samples of a batch are put together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.checking.subject import Arguments, Mistake, Results
from minicnn.shapes import Array


def _parameters(change: Callable[[Array, Arguments], Array]) -> Callable[[Results, Arguments], Results]:
    return lambda results, a: {name: change(array, a) for name, array in results.items() if name != "dx"}


def _last_sample(a: Arguments) -> Arguments:
    dy = np.zeros_like(a["dy"])
    dy[-1] = a["dy"][-1]
    return {"dy": dy}


PARAMETER_GRADIENTS = (
    Mistake(
        "mean instead of sum over the batch",
        "The gradients of the samples are averaged. The sum is right: the loss, which is a mean, has put 1 / N into dy "
        "already.",
        after=_parameters(lambda array, a: array / len(a["dy"])),
    ),
    Mistake(
        "mean instead of sum over positions",
        "The gradient is divided by the number of positions (batch, rows, columns) that it was added up over.",
        after=_parameters(lambda array, a: array / (a["dy"].size / a["dy"].shape[-1])),
    ),
    Mistake(
        "only the last sample counts",
        "Each sample's gradient overwrites the one before: use +=, or sum over the batch axis too.",
        before=_last_sample,
    ),
)
