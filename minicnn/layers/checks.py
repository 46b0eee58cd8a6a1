"""What layers check of what they are given, in words that say which layer it was."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

from minicnn.errors import MinicnnError, OptionError, ShapeError, explain
from minicnn.shapes import Shape


class Named(Protocol):
    """A layer, of which nothing else matters here."""

    name: str


def naming(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method, with the layer's name put in front of minicnn's own errors unless it is there already."""

    @functools.wraps(method)
    def named(layer: Named, *arguments: Any, **keywords: Any) -> Any:
        try:
            return method(layer, *arguments, **keywords)
        except MinicnnError as error:
            if f"'{layer.name}'" in str(error):
                raise
            raise type(error)(f"Layer '{layer.name}': {error}") from error

    return named


def require_rank(shape: Shape, axes: str, layer: Named, fix: str = "") -> None:
    """Input shapes (without batch) must have as many axes as ``axes`` names, e.g. ``"(H, W, C)"``, all at least 1."""
    rank = axes.count(",") + 1
    if len(shape) != rank or min(shape) < 1:
        raise ShapeError(explain(f"inputs {axes} for layer '{layer.name}'", f"shape {tuple(shape)}", fix))


def require_named_padding(padding: object) -> None:
    """Layers pad by name, as Keras's do; explicit paddings are for operations. Raises OptionError."""
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        fix = "For other paddings put a ZeroPadding2D in front."
        raise OptionError(explain("padding 'valid' or 'same'", repr(padding), fix))
