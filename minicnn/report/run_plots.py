"""The plots of a run's folder: loss and accuracy per epoch, each an SVG file of its own.

Drawn as the plots of a page are (``plots``), but a file has no page to take its colours from: here they are written
into it, on white.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minicnn.report.plots import KERAS, OURS, Drawing

NAMESPACE = "http://www.w3.org/2000/svg"
COLOURS = {
    "ink": "#1c1c1c",
    "muted": "#5f5f5f",
    "line": "#d6d6d6",
    "ours": "#1f6fb2",
    "keras": "#d1702a",
    "bad": "#b3261e",
    "good": "#2e7d32",
}


def run_plots(history: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """{"loss": SVG, "accuracy": SVG} of a history's rows, epoch by epoch; only of what the rows have.

    Raises MissingDependencyError without Matplotlib.
    """
    titles = {"loss": ("loss", 1.0), "accuracy": ("right answers, %", 100.0)}
    return {
        name: _curves(history, name, *title)
        for name, title in titles.items()
        if history and (name in history[0] or f"val_{name}" in history[0])
    }


def _curves(history: Sequence[Mapping[str, float]], name: str, title: str, scale: float) -> str:
    with Drawing(5.4, 3.3, name) as (axes, drawing):
        epochs = range(1, len(history) + 1)
        marker = "o" if len(history) == 1 else ""  # one point makes no line
        for key, label, colour in ((name, "training", OURS), (f"val_{name}", "validation", KERAS)):
            if key in history[0]:
                axes.plot(epochs, [scale * row[key] for row in history], color=colour, marker=marker, label=label)
        axes.set(xlabel="epoch", ylabel=title)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return standalone(drawing.svg)


def standalone(svg: str) -> str:
    """A piece of a page as a file: with its namespaces, coloured, on white.

    >>> standalone('<svg aria-hidden="true"><g style="fill: var(--ink)"/></svg>')
    '<svg xmlns="http://www.w3.org/2000/svg" style="background: #fff"><g style="fill: #1c1c1c"/></svg>'
    """
    for variable, colour in COLOURS.items():
        svg = svg.replace(f"var(--{variable})", colour)
    start, rest = svg.split(">", 1)
    start = start.replace(' aria-hidden="true"', "").replace(' focusable="false"', "")
    start = start.replace("<svg", f'<svg xmlns="{NAMESPACE}"', 1)
    return f'{start} style="background: #fff">{rest}'
