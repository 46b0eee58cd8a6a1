"""The same case in minicnn: whatever ``Subject.twin`` made of it, a layer, a loss or an optimiser, run once."""

from __future__ import annotations

import numpy as np

from minicnn.checking.subject import Arguments, Results, Subject
from minicnn.errors import OptionError, explain
from minicnn.layers import Context, Dropout, Layer
from minicnn.losses import Loss
from minicnn.optimizers import Optimizer

PARAMETER = "variable"  # under this address, an optimiser's one parameter and its slots


def run_twin(subject: Subject, arguments: Arguments) -> Results:
    """minicnn's results, under the names of the subject."""
    twin = subject.twin(arguments)
    if isinstance(twin, Layer):
        return _layer(twin, subject, arguments)
    if isinstance(twin, Loss):
        value, cache = twin.forward(arguments["y_true"], arguments["y_pred"])
        return {"loss": np.asarray(value)} if subject.direction == "forward" else {"dy_pred": twin.backward(cache)}
    if isinstance(twin, Optimizer):
        return _optimizer(twin, subject, arguments)
    raise OptionError(explain("a layer, loss or optimizer", type(twin).__name__))


def _layer(layer: Layer, subject: Subject, arguments: Arguments) -> Results:
    training = bool(arguments.get("training", True))
    if isinstance(layer, Dropout):  # which draws its own mask; the formula is its op's, on the mask given
        return subject.formula(arguments)
    y, cache = layer.forward(arguments["x"], Context(training=training))
    if subject.direction == "forward":
        return {"y": y} | layer.state | layer.next_state(cache)
    dx, gradients = layer.backward(arguments["dy"], cache)
    assert dx is not None
    return {"dx": dx} | {f"d{name}": gradient for name, gradient in gradients.items()}


def _optimizer(optimizer: Optimizer, subject: Subject, arguments: Arguments) -> Results:
    variable = arguments["variable"].copy()
    slots = {name: arguments[name].copy() for name in subject.results if name != PARAMETER}
    optimizer.slots = {f"{name}/{PARAMETER}": slot for name, slot in slots.items()}
    optimizer.iterations = int(arguments.get("step", 1)) - 1
    optimizer.apply({PARAMETER: variable}, {PARAMETER: arguments["gradient"]})
    return {PARAMETER: variable} | slots
