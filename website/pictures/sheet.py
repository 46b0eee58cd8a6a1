"""Paper for pictures: a sheet measured in squares, numbers in squares, arrows and words."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

from minicnn.report.plots import INK, KERAS, LINE, MUTED, OURS, Drawing

INCHES = 5.0  # the width of every picture: its letters stay legible on a telephone
Place = tuple[float, float]


@contextmanager
def sheet(width: float, height: float, name: str) -> Iterator[tuple[Any, Drawing]]:
    """An empty sheet of ``width`` x ``height`` squares, the first at the top left: ``(axes, drawing)``."""
    with Drawing(INCHES, INCHES * height / width, name) as (axes, drawing):
        axes.axis("off")
        axes.set(xlim=(-0.15, width + 0.15), ylim=(height + 0.1, -0.1))
        axes.set_aspect("equal")
        yield axes, drawing


@contextmanager
def plots(rows: int, columns: int, height: float, name: str) -> Iterator[tuple[Any, Drawing]]:
    """Several plots in one picture, ``height`` inches high: ``(axes as an array, drawing)``."""
    with Drawing(INCHES, height, name) as (_, drawing):
        drawing.figure.clear()
        yield drawing.figure.subplots(rows, columns, squeeze=False), drawing


def grid(
    axes: Any,
    numbers: Any,
    at: Place,
    *,
    title: str = "",
    marked: Collection[tuple[int, ...]] = (),
    mark: str = KERAS,
    size: float = 8.5,
) -> None:
    """A matrix as squares from the place ``at`` on: the larger a number, the stronger its colour, negative ones in the
    other; ``marked`` squares get a thick border.
    """
    numbers = np.atleast_2d(np.asarray(numbers, float))
    most = float(np.abs(numbers).max()) or 1.0
    x, y = at
    for row, column in np.ndindex(*numbers.shape):
        value = numbers[row, column]
        strength = 0.5 * abs(value) / most
        square(axes, (x + column, y + row), OURS if value >= 0 else KERAS, strength)
        told = f"{value + 0.0:.3g}".replace("-", "−")  # + 0.0: no "−0"
        words(axes, (x + column + 0.5, y + row + 0.53), told, size=size)
    for row, column in marked:
        frame(axes, (x + column, y + row), 1, 1, mark)
    if title:
        axes.text(x, y - 0.25, title, ha="left", va="bottom", fontsize=8.5, color=MUTED)


def square(axes: Any, at: Place, colour: str, strength: float, side: float = 1.0) -> None:
    """One square with a thin border, filled as strongly as ``strength`` (0 to 1) says."""
    axes.add_patch(Rectangle(at, side, side, facecolor=colour, alpha=strength, linewidth=0))
    axes.add_patch(Rectangle(at, side, side, facecolor="none", edgecolor=LINE, linewidth=0.8))


def frame(axes: Any, at: Place, width: float, height: float, colour: str = KERAS, line: float = 1.8) -> None:
    """A border round some squares."""
    axes.add_patch(Rectangle(at, width, height, facecolor="none", edgecolor=colour, linewidth=line, zorder=3))


def words(axes: Any, at: Place, text: str, *, size: float = 9.5, colour: str = INK, where: str = "center") -> None:
    """Words whose middle (or left, or right end) is at a place."""
    axes.text(*at, text, ha=where, va="center", fontsize=size, color=colour)


def arrow(axes: Any, start: Place, end: Place, colour: str = MUTED, bend: float = 0.0) -> None:
    """An arrow, bent by a share of its length."""
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", color=colour, **style))


def box(axes: Any, at: Place, width: float, height: float, text: str, colour: str = OURS) -> None:
    """A box with words in it."""
    axes.add_patch(Rectangle(at, width, height, facecolor=colour, alpha=0.18, linewidth=0))
    axes.add_patch(Rectangle(at, width, height, facecolor="none", edgecolor=colour, linewidth=1))
    words(axes, (at[0] + width / 2, at[1] + height / 2), text, size=8.5)
