"""The parity lab: everything in it agrees with the installed Keras, and a disagreement would be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import optimizers
from minicnn.layers import LAYERS, LeakyReLU
from minicnn.layers.base import Layer

pytest.importorskip("keras", reason="compares with Keras: pip install 'minicnn[keras]'")

import keras

from reference_keras.lab import (
    compare_defaults,
    compare_every_layer,
    compare_initializers,
    compare_losses,
    compare_metrics,
    compare_schedules,
    compare_trajectories,
    defaults,
    run_lab,
)
from reference_keras.lab.layers import option_grid
from reference_keras.lab.reports import LabReport, Row


def failures(rows: list[Row]) -> list[str]:
    return LabReport({}, tuple(rows)).failures()


@pytest.fixture(scope="module")
def layers() -> tuple[list[Row], dict[str, str]]:
    return compare_every_layer()


@pytest.mark.slow
def test_every_layer_in_every_option_is_kerass_in_float64(layers: tuple[list[Row], dict[str, str]]) -> None:
    rows, left_out = layers
    assert not [row.problem for row in rows if "wrong" in row.problem or "cannot be compared" in row.problem]
    assert {row.kind for row in rows} | set(left_out) == set(LAYERS)


@pytest.mark.slow
def test_every_layer_in_every_option_is_within_the_rule_in_float32(layers: tuple[list[Row], dict[str, str]]) -> None:
    assert not failures(layers[0])


@pytest.mark.slow
def test_who_is_closer_to_float64_is_said_of_every_row(layers: tuple[list[Row], dict[str, str]]) -> None:
    """minicnn in four fifths of the rows in which anybody rounds; in the others, both have the nearest numbers."""
    rows, _ = layers
    closer = LabReport({}, tuple(rows)).closer()
    assert sum(closer.values()) == len(rows)
    assert closer["minicnn"] >= 0.8 * (len(rows) - closer["both exact"])
    copies = {row.kind for row in rows if row.closer == "both exact"}
    assert {"Flatten", "Reshape", "Permute", "ReLU", "ZeroPadding2D"} <= copies


@pytest.mark.slow
def test_a_hundred_steps_with_every_optimiser_stay_within_1e_10() -> None:
    rows = list(compare_trajectories(steps=100))
    assert not failures(rows)
    assert {row.kind for row in rows} == {cls.__name__ for cls in optimizers.OPTIMIZERS.values()}
    assert all(row.float64 is not None and row.float64 <= 1e-10 for row in rows)


def test_losses_metrics_schedules_and_initialisers() -> None:
    for compare in (compare_losses, compare_metrics, compare_schedules, compare_initializers):
        rows = list(compare())
        assert rows
        assert not failures(rows), compare.__name__


def test_the_defaults_are_kerass() -> None:
    rows = list(compare_defaults())
    assert not failures(rows)
    assert {"LeakyReLU", "BatchNormalization", "Adam", "CosineDecay", "GlorotUniform"} <= {row.kind for row in rows}
    assert next(row for row in rows if row.kind == "BatchNormalization").options["epsilon"] == 1e-3


def test_a_version_that_changes_a_default_is_reported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed(keras.layers.LeakyReLU):  # type: ignore[misc, name-defined]
        def __init__(self, negative_slope: float = 0.25, **more: Any) -> None:
            super().__init__(negative_slope, **more)

    monkeypatch.setattr(keras.layers, "LeakyReLU", Changed)
    (failure,) = failures(list(compare_defaults()))
    assert (
        failure
        == f"defaults: LeakyReLU(negative_slope=0.25): negative_slope: minicnn 0.3, Keras {keras.__version__} 0.25"
    )


def test_a_layer_that_computes_something_else_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(LeakyReLU):
        def forward(self, x, context=None):  # type: ignore[no-untyped-def]
            y, cache = super().forward(x)
            return y + np.float32(1e-3), cache

    Wrong.__name__ = "LeakyReLU"
    only: dict[str, type[Layer]] = {"LeakyReLU": Wrong}
    monkeypatch.setattr("reference_keras.lab.layers.LAYERS", only)
    rows, _ = compare_every_layer()
    assert len(failures(rows)) == len(rows) > 0
    assert "float64 results differ" in failures(rows)[0]


def test_the_grid_is_made_of_a_layers_own_options() -> None:
    grid = list(option_grid(LAYERS["MaxPooling2D"]))
    assert {"pool_size": (2, 3), "padding": "same"} in grid
    assert {"strides": 3, "padding": "same"} in grid
    assert all(grid.count(options) == 1 for options in grid)
    assert all(set(options) <= {"pool_size", "strides", "padding"} for options in grid)


def test_families_can_be_chosen_and_told_of() -> None:
    told: list[str] = []
    report = run_lab(("schedules", "defaults"), say=told.append)
    assert told == ["schedules", "defaults"]
    assert {row.family for row in report.rows} == set(told)
    assert report.versions["keras"] == keras.__version__
    data = report.to_dict()
    assert data["ok"] is True
    assert len(data["rows"]) == sum(line["rows"] for line in data["kinds"])


def test_plain_values_compare_as_they_are_meant() -> None:
    assert defaults.plain(2) == defaults.plain((2, 2))
    assert defaults.plain("glorot_uniform") == defaults.plain("GlorotUniform")
    assert defaults.plain(0.3) != defaults.plain(0.2)
    assert defaults.plain(True) is True
