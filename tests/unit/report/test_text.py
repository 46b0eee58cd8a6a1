"""Numbers in tables: short, and never misleading."""

from __future__ import annotations

import pytest

from minicnn.report import text


@pytest.mark.parametrize(
    "seconds, shown",
    [(0.0, "0 µs"), (9.994e-4, "999 µs"), (0.0015, "1.5 ms"), (0.25, "250 ms"), (1.234, "1.23 s"), (150.0, "150.0 s")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_ratios_of_nothing() -> None:
    assert text.ratio(None, 1.0) == text.ratio(1.0, None) == ""
    assert text.ratio(0.0, 0.0) == "-"
    assert text.ratio(0.0, 1e-8) == "0.00"
    assert text.ratio(1.0, 1e-3) == "1000"
