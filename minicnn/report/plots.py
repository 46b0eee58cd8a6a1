"""Plots as SVG inside the page: drawn by Matplotlib, coloured by the page.

Matplotlib is given stand-in colours, and each is then replaced by a CSS variable of the page (``var(--ours)``). So
one picture serves light and dark screens, stays sharp on every one, and its letters are the page's letters.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.errors import missing

INK, MUTED, LINE, OURS, KERAS, BAD, GOOD = (f"#0{i}0{i}0{i}" for i in range(1, 8))
VARIABLES = dict(
    zip(
        (INK, MUTED, LINE, OURS, KERAS, BAD, GOOD),
        ("ink", "muted", "line", "ours", "keras", "bad", "good"),
        strict=True,
    )
)
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "minicnn",  # the same figure gives the same file
    "font.size": 9.5,
    "font.family": "sans-serif",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
}


def loss_curves(ours: Sequence[float], keras: Sequence[float]) -> str:
    """Mean loss per epoch of both, on a logarithmic axis; Keras dashed, so that both show where they lie on each
    other.
    """
    with Drawing(5.4, 3.3, "loss") as (axes, drawing):
        _two_lines(axes, ours, keras)
        axes.set(xlabel="epoch", ylabel="training loss (mean of the epoch)", yscale="log")
        _plain_numbers(axes.yaxis)
        axes.legend()
    return drawing.svg


def accuracy_curves(ours: Sequence[float], keras: Sequence[float]) -> str:
    """Share of right answers on the training pictures per epoch, 0 to 100 %."""
    with Drawing(5.4, 3.3, "accuracy") as (axes, drawing):
        _two_lines(axes, [100 * a for a in ours], [100 * a for a in keras])
        axes.set(xlabel="epoch", ylabel="right on augmented training crops, %", ylim=(0, 103))
        axes.legend(loc="lower right")
    return drawing.svg


def difference_curve(differences: Sequence[float], steps_per_epoch: int) -> str:
    """|loss of ours - loss of Keras| at every step, on a logarithmic axis."""
    with Drawing(5.4, 3.3, "difference") as (axes, drawing):
        epochs = (np.arange(len(differences)) + 1) / steps_per_epoch
        values = np.array([value if value > 0 else np.nan for value in differences])  # the same to the last bit: no dot
        axes.plot(epochs, values, color=INK, linewidth=1)
        axes.set(xlabel="epoch", ylabel="|loss of minicnn − loss of Keras|")
        if np.isfinite(values).any():
            axes.set_yscale("log")
    return drawing.svg


def epoch_times(ours: Sequence[float], keras: Sequence[float]) -> str:
    """Seconds per epoch of both."""
    with Drawing(5.4, 3.3, "epochs") as (axes, drawing):
        _two_lines(axes, ours, keras)
        axes.set(xlabel="epoch", ylabel="seconds per epoch")
        axes.set_ylim(bottom=0)
        axes.legend()
    return drawing.svg


def confusion(persons: Sequence[int], predicted: Sequence[int], classes: int) -> str:
    """Who was taken for whom: a square per pair of people, on the diagonal where the answer was right."""
    with Drawing(5.4, 5.0, "confusion") as (axes, drawing):
        counts = np.zeros((classes, classes), int)
        np.add.at(counts, (np.asarray(persons), np.asarray(predicted)), 1)
        rows, columns = np.nonzero(counts)
        most = counts.max()
        for row, column in zip(rows, columns, strict=True):
            strength = 0.25 + 0.75 * counts[row, column] / most
            colour = GOOD if row == column else BAD
            axes.add_patch(_square(column + 0.5, row + 0.5, colour, strength if row == column else 1.0))
        axes.plot([0, classes + 1], [0, classes + 1], color=LINE, linewidth=0.6, zorder=0)
        axes.set(xlim=(0.5, classes + 0.5), ylim=(classes + 0.5, 0.5), xlabel="taken for person", ylabel="is person")
        axes.set_aspect("equal")
    return drawing.svg


def layer_errors(layers: Sequence[dict[str, Any]]) -> str:
    """For each layer, its worst array: error of minicnn, of Keras, and the limit of the rule, on a logarithmic axis."""
    worst = [worst_array(layer) for layer in layers]
    positive = [array[key] for array in worst for key in ("ours", "keras") if array[key] > 0]
    floor = min(positive, default=1e-8) / 4  # where exact results are drawn: a logarithm has no zero
    with Drawing(5.4, 1.1 + 0.2 * len(layers), "errors") as (axes, drawing):
        y = np.arange(len(layers))
        axes.hlines(y, floor, [array["limit"] for array in worst], color=LINE, linewidth=3)
        axes.scatter([array["limit"] for array in worst], y, marker="|", s=70, color=MUTED, label="limit of the rule")
        axes.scatter(
            [max(array["keras"], floor) for array in worst],
            y,
            s=36,
            facecolor="none",
            edgecolor=KERAS,
            linewidth=1.6,
            label="Keras",
        )
        axes.scatter([max(array["ours"], floor) for array in worst], y, s=16, color=OURS, zorder=3, label="minicnn")
        _layer_names(axes, layers)
        axes.set(xscale="log", xlabel="largest error, relative to the largest value; left edge: exact")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handletextpad=0.2, columnspacing=1
        )
    return drawing.svg


def layer_times(layers: Sequence[dict[str, Any]], which: str) -> str:
    """Milliseconds per layer of both; ``which`` is "forward" or "step" (forward and backward)."""
    with Drawing(5.4, 1.1 + 0.24 * len(layers), f"times-{which}") as (axes, drawing):
        y = np.arange(len(layers))
        for offset, engine, colour, label in ((-0.19, "ours", OURS, "minicnn"), (0.19, "keras", KERAS, "Keras")):
            times = [1e3 * layer["times"][f"{engine}_{which}"] for layer in layers]
            axes.barh(y + offset, times, height=0.36, color=colour, label=label)
        _layer_names(axes, layers)
        axes.set(xlabel="milliseconds for the batch")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handlelength=1)
    return drawing.svg


def worst_array(layer: dict[str, Any]) -> dict[str, Any]:
    """Of a layer's arrays, the one closest to its limit or furthest beyond; a wrong one before a merely imprecise
    one.
    """
    found: dict[str, Any] = max(layer["arrays"], key=lambda array: (not array["right"], array["ours"] / array["limit"]))
    return found


# -- how a figure becomes a piece of the page ------------------------------------------------------------------------


class Drawing:
    """``with Drawing(width, height, name) as (axes, drawing)``; afterwards ``drawing.svg``. Sizes in inches of 72
    px.
    """

    def __init__(self, width: float, height: float, name: str) -> None:
        self.size, self.name, self.svg = (width, height), name, ""

    def __enter__(self) -> tuple[Any, Drawing]:
        matplotlib = require_matplotlib()
        from matplotlib.figure import Figure  # no pyplot: it keeps figures and looks for a display

        self.style = matplotlib.rc_context(STYLE)
        self.style.__enter__()
        self.figure = Figure(self.size, layout="constrained")
        return self.figure.add_subplot(), self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        try:
            if kind is None:
                buffer = io.StringIO()
                self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
                self.svg = page_svg(buffer.getvalue(), self.name)
        finally:
            self.style.__exit__(kind, *exception)


def require_matplotlib() -> Any:
    """The module ``matplotlib``. Raises MissingDependencyError."""
    try:
        import matplotlib
    except ImportError:
        raise missing("matplotlib", "report", "Drawing plots") from None
    return matplotlib


def page_svg(svg: str, name: str) -> str:
    """A stand-alone SVG as a piece of an HTML page: without addresses, with ids of its own, coloured by CSS variables.

    >>> page_svg('<svg xmlns="http://a"><g id="x" style="fill: #040404"/><use xlink:href="#x"/></svg>', "p")
    '<svg aria-hidden="true" focusable="false"><g id="p-x" style="fill: var(--ours)"/><use href="#p-x"/></svg>'
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = re.sub(r'^<svg([^>]*?)\s(?:width="[^"]*")', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?)\s(?:height="[^"]*")', r"<svg\1", svg)
    return re.sub(r"^<svg", '<svg aria-hidden="true" focusable="false"', svg)


def _two_lines(axes: Any, ours: Sequence[float], keras: Sequence[float]) -> None:
    epochs = range(1, len(ours) + 1)
    marker = "o" if len(ours) == 1 else ""  # one point makes no line
    axes.plot(epochs, ours, color=OURS, linewidth=3.2, alpha=0.75, marker=marker, label="minicnn")
    axes.plot(epochs, keras, color=KERAS, linewidth=1.5, linestyle=(0, (4, 2.5)), marker=marker, label="Keras")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _plain_numbers(axis: Any) -> None:
    """0.1 instead of 10^-1, also between the powers of ten where there are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def _layer_names(axes: Any, layers: Sequence[dict[str, Any]]) -> None:
    axes.set_yticks(range(len(layers)), [textwrap.shorten(layer["name"], 16, placeholder="…") for layer in layers])
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _square(x: float, y: float, colour: str, strength: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x + 0.05, y + 0.05), 0.9, 0.9, color=colour, alpha=strength, linewidth=0)
