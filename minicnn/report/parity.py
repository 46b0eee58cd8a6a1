"""The page of ``minicnn parity``: what the lab compared, or one network layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.report.page import _markup, render
from minicnn.report.plots import KERAS, OURS, Drawing


def parity_page(found: Mapping[str, Any]) -> str:
    """``found`` is what ``minicnn parity --json`` prints, for the lab or for a network."""
    network = "layers" in found
    title = f"{found['model']} in minicnn and in Keras" if network else "minicnn and Keras, class by class"
    drawn = {}
    if not network and any(found["ulps"]["ours"]):
        drawn = _markup({"ulps": ulp_histogram(found["edges"], found["ulps"])})
    return render("parity.html.j2", title=title, data=found, network=network, plots=drawn)


def ulp_histogram(edges: Sequence[float], ulps: Mapping[str, Sequence[int]]) -> str:
    """The share of numbers in each class of error, minicnn beside Keras."""
    names = [f"≤ {edge:g}" for edge in edges] + [f"> {edges[-1]:g}"]
    places = np.arange(len(names))
    with Drawing(6.4, 3.3, "ulps") as (axes, drawing):
        for side, colour, label, shift in (("ours", OURS, "minicnn", -0.2), ("keras", KERAS, "Keras", 0.2)):
            shares = 100 * np.array(ulps[side]) / max(sum(ulps[side]), 1)
            axes.bar(places + shift, shares, 0.38, color=colour, label=label)
        axes.set_xticks(places, names)
        axes.set(xlabel="error in units in the last place", ylabel="share of all numbers, %")
        axes.legend()
    return drawing.svg
