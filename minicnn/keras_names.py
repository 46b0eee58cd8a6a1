"""Keras's attributes that are something else here: whoever asks for one is told what.

    model.trainable_weights
    AttributeError: 'Sequential' object has no attribute 'trainable_weights'. model.parameters is a dict of them, ...

Arguments have their own such table, in ``constructors.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar


class KerasNames:
    """A base class: whoever asks for an attribute in ``_instead_of_keras`` gets an error that says what there is."""

    #: {Keras's attribute: what there is instead}; only what is missing is looked up here
    _instead_of_keras: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # or every attribute would exist for type checkers

        def __getattr__(self, name: str) -> Any:
            if name in type(self)._instead_of_keras:
                missing = f"'{type(self).__name__}' object has no attribute '{name}'"
                raise AttributeError(f"{missing}. {type(self)._instead_of_keras[name]}", name=name, obj=self)
            return super().__getattribute__(name)  # once more, for Python's own error: a property may have raised it
