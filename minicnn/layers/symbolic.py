"""Networks drawn before they are computed: calling a layer on a symbolic tensor notes who reads what.

    x = Input((8, 8, 3))                 a tensor that has a shape and no numbers
    y = ReLU()(Conv2D(4, 3)(x))          y knows the layer that makes it, and what that layer reads
    model = Model(x, y)                  follows the notes back from y to x

Nothing is computed and no weight is made: a layer only says which shape its output will have, or that it cannot take
its input; so a mistake shows in the line that makes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minicnn.constructors import explained
from minicnn.errors import ArgumentError, OptionError, explain
from minicnn.options import label
from minicnn.shapes import Shape, sizes

if TYPE_CHECKING:  # a type for readers and checkers only: a layer knows its symbols, not the other way round
    from minicnn.layers.base import Layer

DEFAULT_INPUT = "input_layer"  # Keras's name for it

_serial = itertools.count()


def _no_arithmetic(sign: str, fix: str = "Layers alone compute with symbolic tensors.") -> Callable[..., Any]:
    """The method behind an operator that symbolic tensors do not have."""

    def refuse(*operands: Any) -> Any:
        received = f"{sign} of {' and '.join(f'{operand!r:.60}' for operand in operands)}"
        raise ArgumentError(explain("symbolic tensors to go through layers", received, fix))

    return refuse


@dataclass(frozen=True, eq=False)
class SymbolicTensor:
    """One value of a network to be: its shape (no batch axis), and where it comes from.

    ``layer`` None means from outside. ``serial`` counts symbolic tensors: whatever a tensor is made of was there
    before it, so their order of appearance is an order in which they can be computed.
    """

    shape: Shape
    layer: Layer | None = None
    sources: tuple[SymbolicTensor, ...] = ()
    name: str | None = None  # of an input
    serial: int = field(default_factory=_serial.__next__)

    __array_ufunc__ = None  # NumPy's arrays, too, leave arithmetic to the methods here
    __add__ = __radd__ = _no_arithmetic("+", "Two tensors: Add()([a, b]). A number is what a layer's bias learns.")
    __mul__ = __rmul__ = _no_arithmetic("*", "Two tensors: Multiply()([a, b]). Scale numbers before they go in.")
    __sub__ = __rsub__ = __neg__ = _no_arithmetic("-")
    __truediv__ = __rtruediv__ = _no_arithmetic("/", "Scale numbers before they go in.")
    __matmul__ = __rmatmul__ = _no_arithmetic("@", "Dense multiplies with a matrix.")
    __pow__ = __rpow__ = _no_arithmetic("**")

    def __repr__(self) -> str:
        origin = f"from '{self.layer.name}'" if self.layer else f"input '{self.name or ''}'"
        return f"<symbolic tensor (N, {', '.join(map(str, self.shape))}), {origin}>"


Symbols = SymbolicTensor | Sequence[SymbolicTensor]


@explained
def Input(shape: Iterable[int], *, name: str | None = None) -> SymbolicTensor:  # noqa: N802  (Keras's name)
    """Where data will enter: a tensor of ``shape`` (no batch axis), ``Input((200, 200, 1))``. Raises OptionError."""
    return SymbolicTensor(sizes(shape, "shape"), name=None if name is None else label("a name", name))


def as_tensors(given: Symbols, what: str) -> list[SymbolicTensor]:
    """One symbolic tensor or several as a list. Raises OptionError, naming ``what`` they were to be."""
    tensors: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    if not tensors or not all(isinstance(tensor, SymbolicTensor) for tensor in tensors):
        fix = "Start with Input(shape) and call layers on it."
        raise OptionError(explain(f"{what} as symbolic tensors", repr(given), fix))
    return tensors


def input_names(inputs: Sequence[SymbolicTensor]) -> list[str]:
    """The names that were given, and Keras's numbering for the others: input_layer, input_layer_1, ..."""
    given = [tensor.name for tensor in inputs if tensor.name]
    numbered = (f"{DEFAULT_INPUT}_{i}" if i else DEFAULT_INPUT for i in itertools.count())
    free = (name for name in numbered if name not in given)
    return [tensor.name or next(free) for tensor in inputs]


def is_symbolic(x: Any) -> bool:
    """A symbolic tensor, or a list with one in it."""
    if isinstance(x, (list, tuple)):
        return any(isinstance(part, SymbolicTensor) for part in x)
    return isinstance(x, SymbolicTensor)


def note(layer: Layer, x: Any) -> SymbolicTensor:
    """What ``layer`` will make of ``x``: one symbolic tensor, or for layers that merge a list of them.

    Raises what the layer raises for shapes that it cannot take, and OptionError for numbers among symbolic tensors.
    """
    sources = tuple(x) if isinstance(x, (list, tuple)) else (x,)
    numbers = [type(source).__name__ for source in sources if not isinstance(source, SymbolicTensor)]
    if numbers:
        fix = "Give numbers to the finished model."
        raise OptionError(explain(f"symbolic tensors alone for layer '{layer.name}'", ", ".join(numbers), fix))
    if layer.merges != isinstance(x, (list, tuple)):
        expected = "a list of tensors" if layer.merges else "one tensor, not a list"
        fix = f"Call it on a list: {type(layer).__name__}()([a, b])." if layer.merges else ""
        raise OptionError(explain(f"{expected} for layer '{layer.name}'", repr(x), fix))
    shape = layer.output_shape([source.shape for source in sources] if layer.merges else x.shape)
    return SymbolicTensor(shape, layer, sources)
