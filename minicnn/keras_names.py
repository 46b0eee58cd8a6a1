"""Keras's attributes that are something else here: whoever asks for one is told what.

    model.trainable_weights
    AttributeError: 'Sequential' object has no attribute 'trainable_weights'. parameters is a dict of what learns, ...

Arguments have their own such table, in ``constructors.py``. And the names that Keras gives to layers without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import getattr_static
from typing import Any, NoReturn, TypeVar

Class = TypeVar("Class", bound=type)

#: What layers have in Keras, and where it is here
OF_LAYERS = {
    "weights": "params and state are dicts of its arrays.",
    "get_weights": "params and state are dicts of its arrays.",
    "set_weights": "Write to the arrays in params: layer.params['kernel'][...] = kernel.",
    "kernel": "It stands in params: layer.params['kernel'].",
    "bias": "It stands in params: layer.params['bias'].",
    "gamma": "It stands in params: layer.params['gamma'].",
    "beta": "It stands in params: layer.params['beta'].",
    "moving_mean": "It stands in state: layer.state['moving_mean'].",
    "moving_variance": "It stands in state: layer.state['moving_variance'].",
    "dtype": "That of its network; params are arrays of it.",
    "trainable_weights": "params is a dict of what learns.",
    "non_trainable_weights": "state is a dict of moving statistics.",
    "get_config": "config() describes the layer.",
    "input": "input_shape tells of it; model.symbols() draws the network again, to read on from any layer.",
    "output": "model.up_to(layer.name) is the network up to here; output_shape(input_shape) tells of it.",
}


class Elsewhere:
    """Stands in a class under Keras's name, to be read and written; an object's own attribute of that name goes first.

    Not ``__getattr__``: a class that has one reads every attribute more slowly (``benchmarks/NOTES.md``).
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, thing: Any, owner: type | None = None) -> Any:
        if thing is not None and self.name in vars(thing):
            return vars(thing)[self.name]
        self._refuse(thing, owner)

    def __set__(self, thing: Any, value: object) -> None:
        if type(thing).__module__.partition(".")[0] == __name__.partition(".")[0]:
            text = f"'{self.name}' of '{type(thing).__name__}' object cannot be set. {self.instead}"
            raise AttributeError(text, name=self.name, obj=thing)
        vars(thing)[self.name] = value  # a class of somebody's own may call something so

    def __delete__(self, thing: Any) -> None:
        if self.name not in vars(thing):
            self._refuse(thing, None)
        del vars(thing)[self.name]

    def _refuse(self, thing: Any, owner: type | None) -> NoReturn:
        kind = f"type object '{owner.__name__}'" if thing is None and owner else f"'{type(thing).__name__}' object"
        raise AttributeError(f"{kind} has no attribute '{self.name}'. {self.instead}", name=self.name, obj=thing)


def answers_for_keras(instead: Mapping[str, str]) -> Callable[[Class], Class]:
    """A decorator of classes: asking for one of these attributes is an error that says what there is ``instead``."""

    def decorate(cls: Class) -> Class:
        for name, fix in instead.items():
            setattr(cls, name, Elsewhere(name, fix))
        setattr(cls, "__dir__", _listed)  # noqa: B010  (mypy forbids the assignment)
        return cls

    return decorate


def _listed(thing: object) -> list[str]:
    """What tab completion offers: not what is not there."""
    names, own = object.__dir__(thing), vars(thing)
    return [name for name in names if name in own or not isinstance(getattr_static(thing, name, None), Elsewhere)]


def snake_case(name: str) -> str:
    """Keras's default layer names: ``MaxPooling2D`` -> ``max_pooling2d``, ``ReLU`` -> ``re_lu``."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
