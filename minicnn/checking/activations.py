"""ReLU, LeakyReLU and Softmax: formulas, and what goes wrong in them."""

from __future__ import annotations

import numpy as np

from minicnn.checking.simple import both, instead, on_dx, on_y
from minicnn.checking.subject import Arguments, Mistake
from minicnn.layers import LeakyReLU, ReLU, Softmax
from minicnn.shapes import Array

# -- ReLU and LeakyReLU ------------------------------------------------------------------------------------------------

MASK = (
    instead(
        "mask of dy", "It asks where dy is positive. What counts is where x was: relu'(x) = 1 for x > 0.", mask="dy"
    ),
    instead(
        "gradient 1 at 0", "At x = 0 the gradient passes: >= where > was meant. Keras takes relu'(0) as 0.", edge=1
    ),
    on_dx(
        "gradient of negative numbers passed",
        "dy passes everywhere; it stops where x is not positive.",
        lambda dx, a: a["dy"],
    ),
)


def _positive(a: Arguments) -> Array:
    x = a["dy"] if a.get("mask") == "dy" else a["x"]
    result: Array = (x >= 0) if a.get("edge") else (x > 0)
    return result


RELU = both(
    ReLU,
    lambda a: np.maximum(a["x"], 0),
    lambda a: np.where(_positive(a), a["dy"], 0.0),
    (
        (
            on_y("absolute value", "Negative numbers become positive; they become 0.", lambda y, a: np.abs(a["x"])),
            on_y("wrong side kept", "min(x, 0) instead of max(x, 0).", lambda y, a: np.minimum(a["x"], 0)),
            on_y(
                "sign instead of value",
                "Positive numbers become 1; they stay what they are.",
                lambda y, a: (a["x"] > 0) * 1.0,
            ),
        ),
        MASK,
    ),
)
LEAKY_RELU = both(
    LeakyReLU,
    lambda a: np.where(_positive(a), a["x"], a["negative_slope"] * a["x"]),
    lambda a: np.where(_positive(a), a["dy"], a["negative_slope"] * a["dy"]),
    (
        (
            instead("slope 0.01", "The slope is 0.01, PyTorch's default. Keras's layer has 0.3.", negative_slope=0.01),
            instead(
                "slope 0.2",
                "The slope is 0.2, the default of Keras's function leaky_relu; the layer has 0.3.",
                negative_slope=0.2,
            ),
            instead("slope 0", "Negative numbers become 0, as in ReLU.", negative_slope=0.0),
            on_y(
                "slope on the positive side",
                "Positive numbers are multiplied by the slope, negative ones pass.",
                lambda y, a: np.where(a["x"] > 0, a["negative_slope"] * a["x"], a["x"]),
            ),
        ),
        (
            instead("slope 0.01", "The slope is 0.01, PyTorch's default. Keras's layer has 0.3.", negative_slope=0.01),
            instead(
                "slope 0",
                "Where x is negative the gradient is 0, as in ReLU; it is the slope times dy.",
                negative_slope=0.0,
            ),
            *MASK[:2],
        ),
    ),
    options={"negative_slope": (0.3, 0.1)},
)

# -- Softmax -----------------------------------------------------------------------------------------------------------


def _softmax(a: Arguments) -> Array:
    x = a["x"]
    axis = a.get("along", a["axis"])
    shift = 0.0 if a.get("unshifted") else x.max(axis=axis, keepdims=True)
    with np.errstate(all="ignore"):
        e = np.exp(x - shift)
        result: Array = e / e.sum(axis=axis, keepdims=True)
        return result


def _softmax_backward(a: Arguments) -> Array:
    y, dy = _softmax(a), a["dy"]
    if a.get("diagonal"):
        result: Array = y * (1 - y) * dy
        return result
    result = y * (dy - (dy * y).sum(axis=a.get("along", a["axis"]), keepdims=True))
    return result


def _all_axes(a: Arguments) -> Arguments:
    return {"along": tuple(range(a["x"].ndim))}


def _log_softmax(y: Array, a: Arguments) -> Array:
    shifted = a["x"] - a["x"].max(axis=a["axis"], keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=a["axis"], keepdims=True))
    return logs


SOFTMAX = both(
    Softmax,
    _softmax,
    _softmax_backward,
    (
        (
            instead(
                "maximum not subtracted",
                "exp overflows for large scores, and inf / inf is NaN. exp(x - max) gives the same and never "
                "overflows.",
                unshifted=True,
            ),
            instead(
                "along the batch", "It normalises over axis 0: the samples of a batch compete with each other.", along=0
            ),
            Mistake(
                "over the whole array", "All numbers together sum to 1; each row on its own does.", before=_all_axes
            ),
            on_y(
                "not normalised",
                "exp(x - max) without the division by its sum.",
                lambda y, a: np.exp(a["x"] - a["x"].max(axis=a["axis"], keepdims=True)),
            ),
            on_y("logarithm returned", "It returns log-softmax.", _log_softmax),
        ),
        (
            instead(
                "only the diagonal of the Jacobian",
                "y * (1 - y) * dy is the derivative of a sigmoid. Every output depends on every score: "
                "dx = y * (dy - sum(dy * y)).",
                diagonal=True,
            ),
            instead("along the batch", "It sums over axis 0, the samples; the sum runs over the classes.", along=0),
            on_dx("dy passed on", "It returns dy, as if softmax were part of the loss already.", lambda dx, a: a["dy"]),
        ),
    ),
    options={"axis": (-1, 1)},
    scales=(0.25, 1000.0),
)


ACTIVATIONS = (*RELU, *LEAKY_RELU, *SOFTMAX)
