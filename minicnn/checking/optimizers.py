"""One step of an optimiser: cases, and what goes wrong in it.

The function gets the ``variable``, its ``gradient``, Keras's slots (``momentum``, ``velocity``, ``accumulator``) as
they are before the step, and the settings; it returns the new variable, and the new slots if it likes. As ``momentum``
is the slot, SGD's setting of that name is called ``mu`` here. ``step`` counts from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from minicnn.checking.simple import instead
from minicnn.checking.subject import Arguments, Mistake, Results, Settings, Subject
from minicnn.optimizers import SGD, Adagrad, Adam, Optimizer, RMSprop

SIZES = (1, 3, 6)
SCALES = (1.0, 1e-6)  # a small gradient shows where epsilon stands


def _subject(
    layer: str,
    results: tuple[str, ...],
    settings: Mapping[str, tuple[Any, ...]],
    formula: Callable[[Arguments], Results],
    twin: Callable[[Arguments], Optimizer],
    mistakes: tuple[Mistake, ...],
) -> Subject:
    """An optimiser: the first of each setting's values is Keras's default."""
    choices: dict[str, tuple[Any, ...]] = {"size": SIZES, **settings, "scale": SCALES}

    def grid() -> Iterator[Settings]:
        for values in product(*choices.values()):
            yield dict(zip(choices, values, strict=True))

    def arguments(chosen: Settings, rng: np.random.Generator) -> Arguments:
        size, scale = chosen["size"], chosen["scale"]
        a: Arguments = {"variable": rng.standard_normal(size), "gradient": scale * rng.standard_normal(size)}
        for slot in results[1:]:
            squared = slot in ("velocity", "accumulator")
            a[slot] = scale**2 * rng.uniform(0.5, 2, size) if squared else scale * rng.standard_normal(size)
        return a | {name: chosen[name] for name in settings}

    defaults = {name: values[0] for name, values in settings.items() if name != "step"}
    return Subject(layer, "forward", results, choices, grid, arguments, formula, twin, mistakes, defaults)


UPHILL = Mistake(
    "sign",
    "The step goes uphill: it is added where it should be subtracted.",
    after=lambda results, a: {"variable": 2 * a["variable"] - results["variable"]},
)
ROOT = instead("root missing", "It divides by the mean square itself; by its root is right.", power=1.0)


def _over(square: Any, a: Arguments) -> Any:
    """What a step is divided by: the root of ``square``, and epsilon where ``epsilon_at`` says."""
    epsilon, power = a["epsilon"], a.get("power", 0.5)
    return square**power + epsilon if a["epsilon_at"] == "outside" else (square + epsilon) ** power


# -- SGD ---------------------------------------------------------------------------------------------------------------


def _sgd(a: Arguments) -> Results:
    g, m, mu, lr = a["gradient"], a["momentum"], a["mu"], a["learning_rate"]
    if not mu:
        return {"variable": a["variable"] - lr * g, "momentum": m}
    if a.get("style") == "torch":
        m = mu * m + g
        return {"variable": a["variable"] - lr * (mu * m + g if a["nesterov"] else m), "momentum": m}
    m = mu * m - (1 - mu if a.get("style") == "mean" else 1) * lr * g
    return {"variable": a["variable"] + (mu * m - lr * g if a["nesterov"] else m), "momentum": m}


def _sgd_twin(a: Arguments) -> SGD:
    return SGD(a["learning_rate"], a["mu"], a["nesterov"])


SGD_MISTAKES = (
    UPHILL,
    instead(
        "learning rate outside the momentum",
        "m = mu * m + g; p -= lr * m is PyTorch's form. Keras's momentum holds the step: m = mu * m - lr * g; p += m.",
        style="torch",
    ),
    instead(
        "momentum as a mean",
        "The gradient has a factor 1 - mu, as in a moving mean. Keras's momentum is a sum: m = mu * m - lr * g.",
        style="mean",
    ),
    instead("momentum ignored", "The step is lr * g whatever the momentum.", mu=0.0),
    instead("nesterov ignored", "The step is m also with nesterov=True: then it is mu * m - lr * g.", nesterov=False),
    Mistake(
        "momentum's sign",
        "The old momentum is subtracted: the ball rolls back.",
        before=lambda a: {"momentum": -a["momentum"]},
    ),
    instead("nesterov always", "The step is mu * m - lr * g also with nesterov=False: then it is m.", nesterov=True),
)

# -- Adam --------------------------------------------------------------------------------------------------------------


def _adam(a: Arguments) -> Results:
    b1, b2, t, g = a["beta_1"], a["beta_2"], a["step"], a["gradient"]
    m = a["momentum"] + (1 - b1) * (g - a["momentum"])
    v = a["velocity"] + (1 - b2) * ((np.abs(g) if a.get("not_squared") else g * g) - a["velocity"])
    t = t - 1 if a.get("from_zero") else t
    with np.errstate(all="ignore"):
        one, two = (np.float64(1) if a.get("uncorrected") else 1 - np.float64(b) ** t for b in (b1, b2))
        if a.get("paper"):  # epsilon beside the corrected root
            step = (m / one) / (np.sqrt(v / two) + a["epsilon"])
        else:
            step = np.sqrt(two) / one * m / _over(v, {"epsilon_at": "outside"} | a)
    return {"variable": a["variable"] - a["learning_rate"] * step, "momentum": m, "velocity": v}


def _adam_twin(a: Arguments) -> Adam:
    return Adam(a["learning_rate"], a["beta_1"], a["beta_2"], a["epsilon"])


ADAM_MISTAKES = (
    UPHILL,
    instead(
        "bias correction missing",
        "m and v start at 0 and are too small at first: the step needs sqrt(1 - beta_2**t) / (1 - beta_1**t).",
        uncorrected=True,
    ),
    instead("steps counted from 0", "The first step is t = 1: with t = 0 the correction divides by 0.", from_zero=True),
    instead("epsilon inside the root", "sqrt(v + epsilon) instead of sqrt(v) + epsilon.", epsilon_at="inside"),
    instead(
        "epsilon beside the corrected root",
        "m_hat / (sqrt(v_hat) + epsilon) is the paper's first form. Keras corrects the step, so epsilon stands "
        "beside sqrt(v).",
        paper=True,
    ),
    instead("gradient not squared", "v gathers |g|; it gathers g**2.", not_squared=True),
    ROOT,
    Mistake(
        "betas swapped",
        "beta_1 belongs to the momentum, beta_2 to the mean square.",
        before=lambda a: {"beta_1": a["beta_2"], "beta_2": a["beta_1"]},
    ),
)

# -- RMSprop and Adagrad -----------------------------------------------------------------------------------------------


def _rmsprop(a: Arguments) -> Results:
    rho, g = a["rho"], a["gradient"]
    v = rho * a["velocity"] + (1 - rho) * g * g
    return {"variable": a["variable"] - a["learning_rate"] * g / _over(v, {"epsilon_at": "inside"} | a), "velocity": v}


def _rmsprop_twin(a: Arguments) -> RMSprop:
    return RMSprop(a["learning_rate"], a["rho"], epsilon=a["epsilon"])


def _adagrad(a: Arguments) -> Results:
    g, before = a["gradient"], a["accumulator"]
    after = 0.9 * before + 0.1 * g * g if a.get("forgets") else before + g * g
    used = before if a.get("late") else after
    over = _over(used, {"epsilon_at": "inside"} | a)
    return {"variable": a["variable"] - a["learning_rate"] * g / over, "accumulator": after}


def _adagrad_twin(a: Arguments) -> Adagrad:
    return Adagrad(a["learning_rate"], epsilon=a["epsilon"])


OUTSIDE = instead(
    "epsilon outside the root", "sqrt(...) + epsilon; here Keras takes sqrt(... + epsilon).", epsilon_at="outside"
)
RATES = (0.001, 0.1)
EPSILONS = (1e-7, 1e-2)

OPTIMIZERS = (
    _subject(
        "SGD",
        ("variable", "momentum"),
        {"learning_rate": (0.01, 0.1), "mu": (0.0, 0.9), "nesterov": (False, True)},
        _sgd,
        _sgd_twin,
        SGD_MISTAKES,
    ),
    _subject(
        "Adam",
        ("variable", "momentum", "velocity"),
        {"learning_rate": RATES, "beta_1": (0.9, 0.5), "beta_2": (0.999, 0.8), "epsilon": EPSILONS, "step": (1, 2, 10)},
        _adam,
        _adam_twin,
        ADAM_MISTAKES,
    ),
    _subject(
        "RMSprop",
        ("variable", "velocity"),
        {"learning_rate": RATES, "rho": (0.9, 0.6), "epsilon": EPSILONS},
        _rmsprop,
        _rmsprop_twin,
        (
            UPHILL,
            OUTSIDE,
            ROOT,
            Mistake(
                "rho swapped",
                "rho is the weight of the old mean square, 1 - rho that of the new one.",
                before=lambda a: {"rho": 1 - a["rho"]},
            ),
        ),
    ),
    _subject(
        "Adagrad",
        ("variable", "accumulator"),
        {"learning_rate": RATES, "epsilon": EPSILONS},
        _adagrad,
        _adagrad_twin,
        (
            UPHILL,
            OUTSIDE,
            ROOT,
            instead(
                "this step's gradient left out",
                "It divides by what was gathered before this step; g**2 is added first.",
                late=True,
            ),
            instead(
                "squares forgotten",
                "The accumulator is a moving mean (0.9 of the old), as in RMSprop; Adagrad only adds.",
                forgets=True,
            ),
        ),
    ),
)
