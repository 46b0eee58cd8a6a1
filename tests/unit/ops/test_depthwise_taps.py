"""The tables of taps against the formula that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops.depthwise_taps import (
    BETWEEN,
    END,
    FIRST,
    KERNEL_ROWS,
    MOST_TAPS,
    PLACES,
    ROWS,
    START,
    TAPS,
    WEIGHT,
    parts,
    rows_of_taps,
    runs_of_taps,
)

Meeting = tuple[int, int, int]  # result, tap, place
AXES = st.tuples(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9)
)


def meetings(axis: tuple[int, ...], backward: bool) -> list[Meeting]:
    """By the definition, for results, sources, taps, stride, dilation and padding before the first source."""
    results, sources, taps, stride, dilation, padding = axis
    found = []
    for r in range(results):
        for k in range(taps):
            place, rest = (
                divmod(r + padding - k * dilation, stride) if backward else (r * stride + k * dilation - padding, 0)
            )
            if rest == 0 and 0 <= place < sources:
                found.append((r, k, place))
    return found


@given(axis=AXES, backward=st.booleans())
def test_rows_are_the_definition(axis: tuple[int, ...], backward: bool) -> None:
    found = []
    for r, pieces in enumerate(rows_of_taps(*axis, backward)):  # type: ignore[arg-type]
        for piece in pieces:
            assert piece[ROWS] <= MOST_TAPS
            for i in range(piece[ROWS]):
                found.append((r, piece[KERNEL_ROWS + i], piece[PLACES + i]))
    assert sorted(found) == meetings(axis, backward)


@given(axis=AXES, backward=st.booleans())
def test_runs_are_the_definition(axis: tuple[int, ...], backward: bool) -> None:
    """Each pixel p of a run is met by its tap q for result p - q, if there is such a result."""
    results, sources = axis[:2]
    table, step = runs_of_taps(*axis, backward)  # type: ignore[arg-type]
    found = []
    for phase, runs in enumerate(table):
        of_phase = range(phase, results, len(table))
        for run in runs:
            assert run[TAPS] <= MOST_TAPS
            for p in range(run[FIRST], run[END]):
                place = run[START] + (p - run[FIRST]) * step
                assert 0 <= place < sources
                for q in range(run[TAPS]):
                    if 0 <= p - q < len(of_phase):
                        found.append((of_phase[p - q], run[WEIGHT] + q * run[BETWEEN], place))
    assert sorted(found) == meetings(axis, backward)


@given(axis=AXES, backward=st.booleans())
def test_every_pixel_of_a_run_has_a_result(axis: tuple[int, ...], backward: bool) -> None:
    """The loops write result p - (taps - 1) after pixel p, and there is no room for others."""
    table, _ = runs_of_taps(*axis, backward)  # type: ignore[arg-type]
    for phase, runs in enumerate(table):
        results = len(range(phase, axis[0], len(table)))
        for run in runs[runs[:, TAPS] > 0]:
            assert 0 <= run[FIRST] < run[END] <= results + run[TAPS] - 1


@pytest.mark.parametrize(
    ("taps", "options", "backward", "runs"),
    [
        (3, (1, 1), False, [[3]]),
        (5, (1, 1), False, [[2, 3]]),
        (7, (1, 1), False, [[2, 2, 3]]),
        (3, (2, 1), False, [[2, 1]]),
        (3, (1, 2), False, [[3], [3]]),
        (5, (1, 3), False, [[2, 3], [2, 3], [2, 3]]),
        (3, (1, 1), True, [[3]]),
        (3, (2, 1), True, [[1], [2]]),
        (3, (1, 2), True, [[3], [3]]),
    ],
)
def test_taps_that_can_share_pixels_do(
    taps: int, options: tuple[int, int], backward: bool, runs: list[list[int]]
) -> None:
    """``options``: stride and dilation; ``runs``: the taps of each, phase by phase. Fewer runs are fewer walks."""
    table, _ = runs_of_taps(20, 20, taps, *options, 1, backward)
    assert table[:, :, TAPS].tolist() == runs


def test_parts_are_few_and_even() -> None:
    assert [[high - low for low, high in parts(count)] for count in range(8)] == [
        [],
        [1],
        [2],
        [3],
        [2, 2],
        [2, 3],
        [3, 3],
        [2, 2, 3],
    ]
    assert np.diff(parts(100)).max() <= MOST_TAPS
