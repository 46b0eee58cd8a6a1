"""What layers check of what they are given, in words that say which layer it was."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
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


def pair(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """The same ``forward`` or ``backward`` of a layer of one's own, looked at: two things come back, and backward has a
    gradient for each parameter. What Keras's ``call`` returns, the output alone, would be taken apart."""
    forward = name == "forward"
    expected = "(y, cache)" if forward else "(dx, gradients), gradients a dict,"

    @functools.wraps(method)
    def looked_at(layer: Any, *arguments: Any, **keywords: Any) -> Any:
        result = method(layer, *arguments, **keywords)
        if not isinstance(result, (tuple, list)) or len(result) != 2 or not (forward or isinstance(result[1], Mapping)):
            fix = "The cache is what backward must remember, or None." if forward else "{} without parameters."
            received = f"{len(result)} things" if isinstance(result, (tuple, list)) else type(result).__name__
            raise OptionError(explain(f"{expected} from {type(layer).__name__}.{name}", received, fix))
        missing = [] if forward or not layer.trainable else [key for key in layer.params if key not in result[1]]
        if missing:
            fix = "Without one it would never learn; a layer with trainable=False needs none."
            raise ShapeError(explain(f"a gradient of each parameter of '{layer.name}'", f"none of {missing}", fix))
        return result

    return looked_at


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
