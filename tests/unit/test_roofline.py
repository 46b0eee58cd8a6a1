"""The machine's limits: measured, and what they allow."""

from __future__ import annotations

import pytest

from minicnn.roofline import Limits
from minicnn.study.costs import machine_limits


def test_a_low_intensity_waits_for_memory() -> None:
    limits = Limits(peak_gflops=100, bandwidth_gbytes=10)
    assert [limits.attainable(intensity) for intensity in (1, 10, 50)] == [10, 100, 100]
    assert Limits(**limits.to_json()) == limits


@pytest.mark.slow
def test_the_machine_has_limits() -> None:
    found = machine_limits()
    assert found.peak_gflops > 1
    assert found.bandwidth_gbytes > 0.1
