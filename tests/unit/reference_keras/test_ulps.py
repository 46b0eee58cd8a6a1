"""Errors in units in the last place: known distances, and the places where there is none."""

from __future__ import annotations

import numpy as np

from reference_keras.ulps import EDGES, histogram, ulp_report


def test_known_distances() -> None:
    one = np.float32(1)
    ulp = np.spacing(one)
    found = np.array([one, one + ulp, one + 3 * ulp, one + 100 * ulp], np.float32)
    counts = dict(zip([*EDGES, np.inf], histogram(found, np.ones(4)), strict=True))
    assert counts == {0.5: 1, 1: 1, 2: 0, 4: 1, 8: 0, 16: 0, 64: 0, np.inf: 1}


def test_a_rounded_number_is_within_half_an_ulp(rng: np.random.Generator) -> None:
    referee = rng.standard_normal(1000) * 10.0 ** rng.integers(-30, 30, 1000)
    assert histogram(referee.astype(np.float32), referee)[0] == 1000


def test_nan_and_infinity_are_far_unless_expected() -> None:
    found = np.array([np.nan, np.inf, 0], np.float32)
    assert histogram(found, np.array([1.0, np.inf, 0.0])) == (2, 0, 0, 0, 0, 0, 0, 1)


def test_who_is_closer_and_where_it_is_worst() -> None:
    referee = np.array([[1.0, 2.0], [3.0, 4.0]])
    ours, keras = referee.astype(np.float32), referee.astype(np.float32)
    assert ulp_report(ours, keras, referee).closer == "both exact"
    assert ulp_report(ours + 1, keras + 1, referee).closer == "equal"
    ours[1, 0] += 1e-6
    report = ulp_report(ours, keras, referee)
    assert report.closer == "Keras"
    assert report.worst == (1, 0)
    assert report.values[1:] == (3.0, 3.0)
    keras[0, 0] += 1e-3
    assert ulp_report(ours, keras, referee).closer == "minicnn"
