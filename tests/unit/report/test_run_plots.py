"""Plots of a run: files that stand alone, and show what the history has."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from minicnn.report.plots import VARIABLES
from minicnn.report.run_plots import COLOURS, run_plots

ROWS = [{"accuracy": 0.2 * k, "loss": 1 / k, "val_loss": 1.1 / k, "val_accuracy": 0.15 * k} for k in range(1, 6)]


def test_every_colour_of_the_pages_has_one_here() -> None:
    assert set(COLOURS) == set(VARIABLES.values())


@pytest.mark.parametrize("length", [1, 5])
def test_plots_are_whole_files(length: int) -> None:
    plots = run_plots(ROWS[:length])
    assert list(plots) == ["loss", "accuracy"]
    for svg in plots.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        text = " ".join("".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text"))
        assert "training" in text
        assert "validation" in text
        assert "var(" not in svg
    assert "right answers" in plots["accuracy"]


def test_only_what_there_is() -> None:
    assert run_plots([]) == {}
    assert list(run_plots([{"loss": 1.0}])) == ["loss"]
    assert "validation" not in run_plots([{"loss": 1.0}, {"loss": 0.5}])["loss"]
    assert list(run_plots([{"loss": 1.0, "val_accuracy": 0.5, "val_loss": 1.0}])) == ["loss", "accuracy"]
