"""Whether a layer computes as it was written to.

Python lets anybody put a method of his own into a layer that exists, or into its class: ``relu.forward = mine``. What
computes layers together, or in another way than by their methods, asks here first (``fusion.py``, ``prediction.py``).
"""

from __future__ import annotations

from typing import Any

COMPUTE = ("forward", "infer", "backward")


def methods_of(kind: Any) -> tuple[Any, ...]:
    """The methods by which a class of layers computes, as they are now."""
    return kind.forward, kind.infer, kind.backward


def as_written(*layers: Any) -> bool:
    """Whether layers' methods are those of their classes, and these as the classes were written with."""
    if not all(vars(layer).keys().isdisjoint(COMPUTE) for layer in layers):
        return False
    kinds: set[Any] = set(map(type, layers))
    return all(methods_of(kind) == kind.computes for kind in kinds)
