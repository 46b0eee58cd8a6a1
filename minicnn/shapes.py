"""Windows that slide over pictures: the only place where output sizes and paddings are computed.

Convolution and pooling look at their input through a small window that moves over it in steps. Three numbers per axis
decide where it stops: its ``size`` k, its ``stride`` s and its ``dilation`` d (the distance between neighbouring
taps), and the zeros ``padded`` around the picture. With n input positions and p zeros in all,

    span   = (k - 1) * d + 1                  what one window covers, first tap to last
    output = (n + p - span) // s + 1          how many times it fits

``"valid"`` pads nothing. ``"same"`` pads so that output = ceil(n / s); when the total is odd, the extra zero goes
**after** (bottom, right), as TensorFlow does and PyTorch does not. Explicit paddings ``((top, bottom), (left,
right))`` are what the backward passes of a convolution need.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.errors import DtypeError, OptionError, ShapeError, explain

KEPT = 1024  # results that a function of shapes remembers: a layer asks for its own in each call
MOST_AXES = 64  # NumPy 2 has no arrays of more

Array = NDArray[Any]
Shape = tuple[int, ...]
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
IntOrPair = int | Sequence[int]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def whole(value: Any, name: str, *, least: int = 1, fix: str = "") -> int:
    """An integer of at least ``least``. Anything else, True and 2.0 included, is an OptionError that says ``fix`` last.

    >>> whole(32, "batch_size")
    32
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(explain(f"{name} as an integer of at least {least}", repr(value), fix))
    return int(value)


def sizes(shape: Any, name: str) -> Shape:
    """A shape, without its batch axis, as a tuple of sizes of at least 1. Anything else is an OptionError.

    >>> sizes([200, 200, 1], "input_shape")
    (200, 200, 1)
    """
    if not isinstance(shape, Iterable) or isinstance(shape, str):
        raise OptionError(explain(f"{name} as sizes without the batch axis, such as (200, 200, 1)", repr(shape)))
    fix = "Shapes are given without the batch axis, and all their sizes are fixed: (200, 200, 1)."
    return tuple(whole(size, f"a size in {name}", fix=fix) for size in shape)


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """float32 or float64, given by name or by type, as a NumPy dtype. Anything else is an OptionError."""
    name = getattr(dtype, "__name__", str(dtype))
    if name not in ("float32", "float64"):
        raise OptionError(explain("dtype 'float32' or 'float64'", repr(dtype)))
    return np.dtype(name)


def pair(value: IntOrPair, name: str, *, least: int = 1) -> Pair:
    """One number for both axes, or two. Anything else, or anything below ``least``, is an OptionError.

    >>> pair(3, "kernel_size"), pair((1, 2), "strides")
    ((3, 3), (1, 2))
    """
    fix = f"Give one integer for both axes or (rows, columns), each at least {least}."
    expected = f"{name} as an integer or a pair of integers >= {least}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        values: tuple[Any, ...] = (value, value)
    elif isinstance(value, (tuple, list)):
        values = tuple(value)
    else:
        raise OptionError(explain(expected, repr(value), fix))
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not whole or min(values) < least:
        raise OptionError(explain(expected, repr(value), fix))
    return int(values[0]), int(values[1])


@dataclass(frozen=True)
class Window:
    """A window over the two spatial axes. Every convolution and pooling describes itself with one.

    ``padding`` is ``"valid"``, ``"same"`` or ``((top, bottom), (left, right))``. Use ``Window.of`` to build one from
    the arguments people write (integers or pairs); it validates them.
    """

    size: Pair
    strides: Pair = (1, 1)
    padding: str | Pads = "valid"
    dilation: Pair = (1, 1)

    @classmethod
    def of(
        cls,
        size: IntOrPair,
        strides: IntOrPair = 1,
        padding: str | Sequence[Sequence[int]] = "valid",
        dilation: IntOrPair = 1,
        *,
        size_name: str = "size",
        dilated_strides: bool = False,
    ) -> Window:
        """Validate and normalise. Raises OptionError naming the argument, what it may be and what came.

        ``size_name`` is what the caller's own argument is called. ``dilated_strides`` allows strides and dilation at
        once, which Keras has for depthwise convolutions alone.
        """
        window = cls(
            pair(size, size_name), pair(strides, "strides"), _padding(padding), pair(dilation, "dilation_rate")
        )
        if not dilated_strides and window.strides != (1, 1) and window.dilation != (1, 1):
            raise OptionError(
                explain(
                    "either strides > 1 or dilation_rate > 1",
                    f"strides={window.strides} with dilation_rate={window.dilation}",
                    "Keras refuses the combination too, but for depthwise convolutions; set one of them to 1.",
                )
            )
        return window

    @property
    def span(self) -> Pair:
        """Rows and columns that one window covers, dilation included."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True))
        return rows, columns

    @functools.lru_cache(maxsize=KEPT)  # noqa: B019  (few windows, and bounded)
    def pads(self, height: int, width: int) -> Pads:
        """Zeros to add: ((top, bottom), (left, right)), for an input of height x width."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "valid":
            return (0, 0), (0, 0)
        rows, columns = (_same(n, span, s) for n, span, s in zip((height, width), self.span, self.strides, strict=True))
        return rows, columns

    def reads(self, height: int, width: int) -> tuple[Array, Array]:
        """Who reads what: for rows and for columns a table (K, 3) of (output, tap, position inside the picture).

        Along each axis, position = output * stride + tap * dilation - padding before. Taps that fall on padding are
        left out. One output's rows say where its taps lie, one position's rows which outputs see it. Raises as
        ``output_size`` does.
        """
        rows, columns = (
            _reads(n, outputs, k, s, d, pad[0])
            for n, outputs, k, s, d, pad in zip(
                (height, width),
                self.output_size(height, width),
                self.size,
                self.strides,
                self.dilation,
                self.pads(height, width),
                strict=True,
            )
        )
        return rows, columns

    @functools.lru_cache(maxsize=KEPT)  # noqa: B019
    def output_size(self, height: int, width: int) -> Pair:
        """(OH, OW) for an input of height x width. Raises ShapeError when the window does not fit even once."""
        pads = self.pads(height, width)
        oh, ow = (
            (n + sum(pad) - span) // s + 1
            for n, pad, span, s in zip((height, width), pads, self.span, self.strides, strict=True)
        )
        if min(height, width) < 1 or min(oh, ow) < 1:
            raise ShapeError(
                explain(
                    f"an input of at least {self.span[0]}x{self.span[1]} (the window with its dilation)",
                    f"{height}x{width} with padding {self.padding!r}",
                    "Use padding='same', a smaller window, or a larger input.",
                )
            )
        return oh, ow


def _reads(n: int, outputs: int, size: int, stride: int, dilation: int, before: int) -> Array:
    output, tap = np.indices((outputs, size)).reshape(2, -1)
    position = output * stride + tap * dilation - before
    inside = (position >= 0) & (position < n)
    return np.stack([output, tap, position], axis=1)[inside]


def _same(n: int, span: int, stride: int) -> Pair:
    outputs = -(-n // stride)  # ceil
    total = max((outputs - 1) * stride + span - n, 0)
    return total // 2, total - total // 2  # the odd one after


def _padding(padding: str | Sequence[Sequence[int]]) -> str | Pads:
    if isinstance(padding, str):
        if padding.lower() in ("valid", "same"):
            return padding.lower()
    else:
        try:
            (top, bottom), (left, right) = padding
            return pair((top, bottom), "padding", least=0), pair((left, right), "padding", least=0)
        except (TypeError, ValueError):
            pass
    raise OptionError(
        explain(
            "padding 'valid', 'same' or ((top, bottom), (left, right))",
            repr(padding),
            "'valid' adds no zeros; 'same' keeps the size at stride 1.",
        )
    )


def check_array(x: Array, name: str, ndim: int, axes: str, *, empty: bool = False) -> None:
    """Reject what no operation can compute with: not an array, a wrong rank, no elements, not float32/float64.

    ``axes`` spells the expected layout for the message, for example ``"(N, H, W, C)"``.
    """
    if not isinstance(x, np.ndarray):
        raise DtypeError(
            explain(f"{name} as a NumPy array {axes}", type(x).__name__, "Convert it with np.asarray(...).")
        )
    if x.ndim != ndim:
        fix = "A single picture needs a batch axis: x[None]." if x.ndim == ndim - 1 else ""
        raise ShapeError(explain(f"{name} with {ndim} axes {axes}", f"shape {x.shape}", fix))
    if x.dtype not in FLOATS:
        fix = f"Convert it: {name}.astype(np.float32)."
        raise DtypeError(explain(f"{name} as float32 or float64", f"dtype {x.dtype}", fix))
    if not empty and x.size == 0:
        raise ShapeError(explain(f"{name} with at least one element in every axis {axes}", f"shape {x.shape}"))


def check_same_dtype(x: Array, other: Array, x_name: str, other_name: str) -> None:
    """Two arrays of one operation must share a dtype: mixing would silently compute in the wider one."""
    if x.dtype != other.dtype:
        raise DtypeError(
            explain(
                f"{x_name} and {other_name} of the same dtype",
                f"{x.dtype} and {other.dtype}",
                f"Convert one of them, for example {x_name}.astype({other_name}.dtype).",
            )
        )
