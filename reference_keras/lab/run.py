"""All families of the lab, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minicnn import __version__
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.lab.defaults import compare_defaults
from reference_keras.lab.layers import compare_every_layer
from reference_keras.lab.numbers import compare_initializers, compare_losses, compare_metrics, compare_schedules
from reference_keras.lab.reports import LabReport, Row
from reference_keras.lab.trajectories import STEPS, compare_trajectories

FAMILIES = ("layers", "losses", "optimizers", "schedules", "initializers", "metrics", "defaults")


def run_lab(
    families: Sequence[str] = FAMILIES,
    *,
    steps: int = STEPS,
    seed: int = 0,
    say: Callable[[str], None] = lambda family: None,
) -> LabReport:
    """Compare everything of these ``families``; ``say`` is told which one is next. Some minutes for all of them."""
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for family in families:
        say(family)
        if family == "layers":
            found, left_out = compare_every_layer(seed)
            rows += found
        elif family == "optimizers":
            rows += compare_trajectories(steps, seed)
        elif family == "defaults":
            rows += compare_defaults()
        elif family == "schedules":
            rows += compare_schedules()
        else:
            compare = {"losses": compare_losses, "initializers": compare_initializers, "metrics": compare_metrics}
            rows += compare[family](seed)
    versions = {"minicnn": __version__, "keras": load_keras().__version__}
    versions |= {"tensorflow": load_tensorflow().__version__, "numpy": np.__version__}
    return LabReport(versions, tuple(rows), left_out)
