"""Dense: cases, arithmetic, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.arithmetic import at, total
from minicnn.checking.gradients import PARAMETER_GRADIENTS
from minicnn.checking.subject import (
    FILLS,
    Arguments,
    Index,
    Mistake,
    Results,
    Settings,
    Subject,
    UndefinedError,
    numbers,
    ones_for_dy,
)
from minicnn.layers import Dense

CHOICES: dict[str, tuple[Any, ...]] = {
    "batch": (1, 2, 3),
    "inputs": (1, 2, 3, 4),
    "units": (1, 2, 3, 4),
    "use_bias": (True, False),
    "fill": FILLS,
}


def _grid() -> Iterator[Settings]:
    for batch, inputs, units, fill in product((1, 3), (2, 4), (2, 4), FILLS):
        yield {"batch": batch, "inputs": inputs, "units": units, "fill": fill}
    yield {"batch": 3, "inputs": 3, "units": 4, "use_bias": False, "fill": "random"}


def _arguments(settings: Settings, rng: np.random.Generator) -> Arguments:
    batch, inputs, units, fill = (settings[name] for name in ("batch", "inputs", "units", "fill"))
    return {
        "x": numbers((batch, inputs), fill, rng),
        "kernel": numbers((inputs, units), fill, rng),
        "bias": numbers((units,), fill, rng) if settings["use_bias"] else None,
        "dy": numbers((batch, units), fill, rng),
    }


def _forward_arguments(settings: Settings, rng: np.random.Generator) -> Arguments:
    return {name: value for name, value in _arguments(settings, rng).items() if name != "dy"}


def _forward(a: Arguments) -> Results:
    y = a["x"] @ a["kernel"]
    return {"y": y if a["bias"] is None else y + a["bias"]}


def _backward(a: Arguments) -> Results:
    gradients = {"dx": a["dy"] @ a["kernel"].T, "dkernel": a["x"].T @ a["dy"]}
    return gradients if a["bias"] is None else gradients | {"dbias": a["dy"].sum(axis=0)}


def _twin(a: Arguments) -> Dense:
    layer = Dense(a["kernel"].shape[1], use_bias=a["bias"] is not None)
    layer.restore(a["x"].shape[1:], {f"{layer.name}/kernel": a["kernel"], f"{layer.name}/bias": a["bias"]})
    return layer


def _arithmetic(a: Arguments, name: str, index: Index) -> str:
    x, kernel, dy = a["x"], a["kernel"], a.get("dy")
    i = index[0]
    if name == "y":
        terms = [[("x", x, (i, c)), ("kernel", kernel, (c, index[1]))] for c in range(len(kernel))]
        if a["bias"] is None:
            return total(name, index, terms)
        return total(name, index, terms, at("bias", index[1:]), float(a["bias"][index[1]]))
    assert dy is not None
    if name == "dx":
        terms = [[("dy", dy, (i, u)), ("kernel", kernel, (index[1], u))] for u in range(dy.shape[1])]
    elif name == "dkernel":
        terms = [[("x", x, (n, i)), ("dy", dy, (n, index[1]))] for n in range(len(x))]
    else:
        terms = [[("dy", dy, (n, i))] for n in range(len(dy))]
    return total(name, index, terms)


def _transposed(a: Arguments) -> Arguments:
    if a["kernel"].shape[0] != a["kernel"].shape[1]:
        raise UndefinedError
    return {"kernel": a["kernel"].T}


TRANSPOSED = Mistake(
    "kernel transposed",
    "Rows and columns of the kernel are exchanged. Its layout is (inputs, units), and y = x @ kernel + bias.",
    before=_transposed,
)
RESHAPED = Mistake(
    "kernel reshaped instead of transposed",
    "The kernel's numbers are taken as (units, inputs) by a reshape, which does not move them; .T does.",
    before=lambda a: {"kernel": a["kernel"].reshape(a["kernel"].shape[::-1]).T},
)
FORWARD = (
    TRANSPOSED,
    RESHAPED,
    Mistake(
        "bias missing",
        "The bias is never added: y = x @ kernel + bias.",
        before=lambda a: {"bias": None if a["bias"] is None else 0 * a["bias"]},
    ),
    Mistake(
        "bias added twice",
        "The bias is added two times; once is right.",
        before=lambda a: {"bias": None if a["bias"] is None else 2 * a["bias"]},
    ),
    Mistake(
        "bias added at every product",
        "The bias is added inside the loop over the inputs, once for each of them.",
        before=lambda a: {"bias": None if a["bias"] is None else len(a["kernel"]) * a["bias"]},
    ),
    Mistake(
        "bias subtracted",
        "The bias is subtracted: y = x @ kernel + bias.",
        before=lambda a: {"bias": None if a["bias"] is None else -a["bias"]},
    ),
)
BACKWARD = (
    TRANSPOSED,
    RESHAPED,
    Mistake(
        "dkernel transposed",
        "dkernel is (units, inputs): dy.T @ x instead of x.T @ dy. A gradient has the shape of its array.",
        after=lambda results, a: {"dkernel": results["dkernel"].T},
    ),
    *PARAMETER_GRADIENTS[:1],
    *PARAMETER_GRADIENTS[2:],
    ones_for_dy(),
)

DENSE = (
    Subject(
        layer="Dense",
        direction="forward",
        results=("y",),
        choices=CHOICES,
        grid=_grid,
        arguments=_forward_arguments,
        formula=_forward,
        twin=_twin,
        mistakes=FORWARD,
        defaults={"bias": None},
        arithmetic=_arithmetic,
    ),
    Subject(
        layer="Dense",
        direction="backward",
        results=("dx", "dkernel", "dbias"),
        choices=CHOICES,
        grid=_grid,
        arguments=_arguments,
        formula=_backward,
        twin=_twin,
        mistakes=BACKWARD,
        arithmetic=_arithmetic,
    ),
)
