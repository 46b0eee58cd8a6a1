"""The table of costs: what is counted, and that what is timed is what runs."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import Add, Conv2D, Dense, Flatten, Input, ReLU
from minicnn.model import Model
from minicnn.study.costs import layer_costs
from minicnn.summary import summarize


@pytest.fixture
def model() -> Model:
    x = Input((12, 10, 3))
    first = ReLU(name="relu")(Conv2D(4, 3, padding="same", name="conv")(x))
    both = Add(name="add")([first, Conv2D(4, 1, name="narrow")(x)])
    return Model(x, Dense(5, name="scores")(Flatten(name="flat")(both)))


def test_rows_count_what_the_summary_counts(model: Model, rng: np.random.Generator) -> None:
    rows = layer_costs(model, rng.standard_normal((2, 12, 10, 3)), repeats=2)
    assert [row.name for row in rows] == ["conv", "relu", "narrow", "add", "flat", "scores"]
    per_picture = {row.name: row.multiplications for row in summarize(model)}
    assert {row.name: row.multiplications for row in rows} == {name: 2 * n for name, n in per_picture.items()}
    conv, relu, narrow, add, *_ = rows
    assert conv.bytes == 4 * (2 * 120 * 3 + 2 * 120 * 4 + 3 * 3 * 3 * 4 + 4)
    assert add.bytes == 4 * 3 * (2 * 120 * 4)
    assert conv.intensity == pytest.approx(2 * conv.multiplications / conv.bytes)
    assert all(row.seconds > 0 for row in rows if row is not relu)
    assert (relu.seconds, relu.rate, relu.within, narrow.within) == (0.0, 0.0, "conv", "")
    assert conv.remembered >= 4 * 2 * 120 * 3, "a convolution's backward pass needs what was read"
    assert conv.algorithm
    assert conv.to_dict()["rate"] == conv.rate == pytest.approx(2e-9 * conv.multiplications / conv.seconds)


def test_what_does_not_fit_is_refused(model: Model) -> None:
    with pytest.raises(OptionError, match="repeats"):
        layer_costs(model, np.zeros((1, 12, 10, 3)), repeats=0)
    with pytest.raises(ShapeError):
        layer_costs(model, np.zeros((1, 12, 10, 4)))
