"""The sum behind one number, written out: what to compute by hand, to see where one's own code goes another way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from minicnn.checking.subject import Index
from minicnn.shapes import Array, Shape, Window

MOST_TERMS = 12  # a sum of more is cut short: the first ones show where it begins

Tap = dict[str, Index]  # one multiplication of a convolution: {"x": (n, h, w, c), "kernel": ..., "y": ...}


def taps(x_shape: Shape, kernel_shape: Shape, window: Window, *, depthwise: bool = False) -> Iterator[Tap]:
    """Every multiplication of a convolution: y[n, i, j, f] gains x[n, h, w, c] * kernel[kh, kw, c, f].

    A depthwise kernel (KH, KW, C, D) makes output channel c * D + d. Taps on padding are left out.
    """
    n, height, width, _ = x_shape
    kh, kw, channels, filters = kernel_shape
    oh, ow = window.output_size(height, width)
    (top, _), (left, _) = window.pads(height, width)
    for b, i, j, f, p, q, c in product(*map(range, (n, oh, ow, filters, kh, kw, channels))):
        h = i * window.strides[0] + p * window.dilation[0] - top
        w = j * window.strides[1] + q * window.dilation[1] - left
        if 0 <= h < height and 0 <= w < width:
            yield {"x": (b, h, w, c), "kernel": (p, q, c, f), "y": (b, i, j, c * filters + f if depthwise else f)}


def at(name: str, index: Index) -> str:
    """("x", (0, 1)) -> "x[0, 1]"."""
    return f"{name}[{', '.join(map(str, index))}]"


def products(
    result: str, index: Index, factors: tuple[str, str], arrays: Mapping[str, Array], every: Iterable[Tap], key: str
) -> str:
    """``result[index]`` as a sum of products of the two ``factors``: those of the taps whose ``key`` is at index.

    dy has the indices of y.
    """
    found = [tap for tap in every if tap[key] == index]
    places = [tuple(tap["y" if name == "dy" else name] for name in factors) for tap in found]
    return total(
        result, index, [[(name, arrays[name], place) for name, place in zip(factors, p, strict=True)] for p in places]
    )


def total(
    result: str, index: Index, terms: Iterable[Iterable[tuple[str, Array, Index]]], plus: str = "", more: float = 0.0
) -> str:
    """A sum of products, a line per product; ``plus`` and ``more``: text and value of what is added at the end."""
    lines, value, count = [], 0.0, 0
    for term in terms:
        factors = list(term)
        number = 1.0
        for _, array, place in factors:
            number *= float(array[place])
        value, count = value + number, count + 1
        if count <= MOST_TERMS:
            names = " * ".join(at(name, place) for name, _, place in factors)
            values = " * ".join(f"{float(array[place]):g}" for _, array, place in factors)
            lines.append(f"  {names} = {values}" + (f" = {number:g}" if len(factors) > 1 else ""))
    if count > MOST_TERMS:
        lines.append(f"  ... and {count - MOST_TERMS} more terms")
    if plus:
        lines.append(f"  + {plus} = {more:g}")
    if not lines:
        lines.append("  no term reaches it")
    return "\n".join([f"{at(result, index)} is the sum of", *lines, f"  = {value + more:g}"])
