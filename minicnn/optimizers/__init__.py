"""Optimisers: from gradients to a step. ``base.py`` says what a step is; each other file is one formula.

    SGD         a step against the gradient, with momentum if wanted
    RMSprop     the step divided by the recent size of the gradient
    Adagrad     ... by the size of all gradients so far
    Adam        RMSprop's division, of a moving mean instead of the gradient itself
    AdamW       Adam, and weights fade a little in every step

All of them are Keras's, to rounding. Updates are elementwise: a step reads and writes each parameter and each of its
slots once, and on large layers memory sets the pace.
"""

from __future__ import annotations

from minicnn.optimizers.adagrad import Adagrad
from minicnn.optimizers.adam import Adam, AdamW
from minicnn.optimizers.base import Optimizer
from minicnn.optimizers.rmsprop import RMSprop
from minicnn.optimizers.sgd import SGD
from minicnn.options import from_identifier

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "get"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}


def get(identifier: object) -> Optimizer:
    """An optimiser from its Keras name ("adam"), from ``{"class_name": ..., "config": optimizer.config()}``, or itself.

    Raises OptionError, listing the names, for anything unknown.
    """
    return from_identifier("an optimizer", identifier, Optimizer, OPTIMIZERS)
