"""What the page is told about one number: its terms, each in a place of its own where the formula has one for each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from minicnn.explorer.numbers import taken_apart
from minicnn.layers import UpSampling2D
from minicnn.sequential import Sequential
from minicnn.study import explain_gradient_in, explain_in, trace


@pytest.mark.parametrize("size", [2, 3, (1, 4)])
def test_bilinear_up_sampling_reads_a_place_once(size: Any, rng: np.random.Generator) -> None:
    """At the border as well, where the neighbour beyond it is the outermost pixel again: that has its whole share."""
    model = Sequential([UpSampling2D(size, "bilinear", name="up")], input_shape=(3, 4, 1), dtype="float64")
    both = trace(model, rng.standard_normal((1, 3, 4, 1)))
    both = both.backward(rng.standard_normal(both.output.shape))
    corner = taken_apart(explain_in(both, "up", (0, 0, 0)))
    assert corner["groups"][0]["factors"][0]["positions"] == [[0, 0, 0, 0]]
    assert corner["groups"][0]["factors"][1]["values"] == [1.0]
    for explain, shape in ((explain_in, both.output.shape), (explain_gradient_in, both.values[0].shape)):
        for index in np.ndindex(shape[1:]):
            found = taken_apart(explain(both, "up", index))
            (group,) = found["groups"]
            places = group["factors"][0]["positions"]
            assert len({tuple(place) for place in places}) == len(places)
            assert math.fsum(group["products"]) == pytest.approx(found["value"], rel=1e-12, abs=1e-12)
