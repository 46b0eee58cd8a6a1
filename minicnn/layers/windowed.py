"""Layers with a window say its parts under Keras's names: ``conv.kernel_size``, ``pool.strides``."""

from __future__ import annotations

from typing import Any

from minicnn.errors import explain


class OfWindow:
    """An attribute that is read from a layer's ``window``. Writing to it is an AttributeError: what is behind the layer
    was built for the shapes that this window makes."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else getattr(layer.window, self.field)

    def __set__(self, layer: Any, value: object) -> None:
        kind = type(layer).__name__
        fix = f"Make another layer, {kind}(**{{**layer.config(), '{self.name}': {value!r}}}), and the network anew."
        raise AttributeError(
            explain(f"{self.name} when a {kind} is made", f"'{getattr(layer, 'name', kind)}' that exists", fix)
        )
