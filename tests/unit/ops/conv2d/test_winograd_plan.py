"""How many tiles make a turn, on how many cores; and which tiles cover the outputs."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.ops.conv2d.winograd_plan import Limits, cover, turns_of, whole_vectors
from minicnn.shapes import Window

LIMITS = Limits(
    cache_bytes=600_000,
    most_bytes=1_800_000,
    enough_tiles=20,
    least_tiles=10,
    kernel_bytes=24_000_000,
    few_kernel_bytes=5_500_000,
    own_tiles=4,
)


def turns(channels: int, *, total: int = 1000, kernel_bytes: int = 1_000_000, threads: int = 2) -> tuple[int, int]:
    """Of a form with 81 planes, as many channels out as in, float32."""
    return turns_of(81, total, channels, channels, 4, kernel_bytes, threads, LIMITS)


@pytest.mark.parametrize(
    "channels, at_once",
    [
        (16, 56),  # 57 tiles of 10 KB fit; 18 turns of 56
        (32, 28),
        (64, 20),  # 14 would fit, 43 are allowed: enough are 20
        (128, 20),
        (256, 10),  # no more are allowed
        (288, 0),  # 9: too few
    ],
)
def test_tiles_fill_a_cores_cache_but_are_enough_for_a_register_tile(channels: int, at_once: int) -> None:
    assert turns(channels) == (at_once, 2 if at_once else 0)


def test_large_kernels_take_the_other_way_sooner_where_a_core_has_few_tiles() -> None:
    assert turns(64, kernel_bytes=24_000_000) == (20, 2)
    assert turns(64, kernel_bytes=24_000_001) == (0, 0)
    few = 20  # fewer than two register tiles have rows, with AVX-512
    assert turns(64, total=few, kernel_bytes=5_500_000, threads=4)[1] == 4
    assert turns(64, total=few, kernel_bytes=5_500_001, threads=4) == (0, 0)


@pytest.mark.parametrize("total, threads, expected", [(4, 2, (4, 1)), (5, 2, (3, 2)), (9, 4, (3, 3)), (41, 2, (21, 2))])
def test_a_core_takes_part_for_four_tiles_and_turns_are_even(
    total: int, threads: int, expected: tuple[int, int]
) -> None:
    assert turns(64, total=total, threads=threads) == expected


@pytest.mark.parametrize("total", [1, 7, 81, 999, 1620])
@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_turns_cover_all_tiles(total: int, threads: int) -> None:
    at_once, workers = turns(32, total=total, threads=threads)
    assert 1 <= workers <= threads
    rounds = -(-total // (at_once * workers))
    assert at_once * workers * rounds >= total > at_once * workers * (rounds - 1)


@pytest.mark.parametrize(
    "total, expected",
    [
        (2888, 12),  # 13 in 112 turns of each core, or 12 in 121: both have 1444 or 1445 tiles for the busier core
        (240, 12),  # as they came
        (204, 13),  # eight turns: with 12, one core would have 108 tiles instead of 104
        (26, 13),  # one turn
    ],
)
def test_many_turns_take_whole_register_tiles_if_no_core_waits_for_it(total: int, expected: int) -> None:
    avx2 = Limits(1_000_000, 1_000_000, 10, 10, 5_500_000, multiple=6)
    assert turns_of(81, total, 128, 128, 4, 5_308_416, 2, avx2) == (expected, 2)


@pytest.mark.parametrize("halve, size, down", [(False, (25, 13), (5, 3)), (True, (12, 6), (4, 2))])
def test_halved_outputs_without_a_partner_need_no_tile(
    halve: bool, size: tuple[int, int], down: tuple[int, int]
) -> None:
    found, grid = cover(6, 25, 13, Window.of(3, 1, "same"), halve)  # F(6x6)
    assert found == size
    assert grid == (*down, -1, -1, 0, 0)


def test_whole_vectors() -> None:
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        one = whole_vectors(1, dtype)
        assert [whole_vectors(n, dtype) for n in (one, one + 1, 3 * one)] == [one, 2 * one, 3 * one]
