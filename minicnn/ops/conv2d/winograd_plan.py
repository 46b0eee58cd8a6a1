"""Where Winograd's tiles lie, how they are walked through, and the memory for them: what follows from shapes.

The loops that do it are in ``winograd_blocks.py``, which says what the two ways are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from minicnn.ops.conv2d.winograd_tiles import Grid
from minicnn.ops.conv2d.winograd_transforms import OUTPUTS
from minicnn.ops.finishing import Finish
from minicnn.ops.memory import workspace
from minicnn.ops.micro_kernel import ROWS
from minicnn.ops.simd import LINE_BYTES, VECTOR_BYTES
from minicnn.shapes import KEPT, Array, Pair, Shape, Window


class Limits(NamedTuple):
    """Of the way through the cache.

    A turn takes as many tiles as ``cache_bytes`` hold, transformed: they stay in the cache of a core. Where tiles have
    many channels that is few, and register tiles of few rows are slow: then up to ``most_bytes``, for ``enough_tiles``.
    With fewer than ``least_tiles`` even so, or more than ``kernel_bytes`` of transformed kernels, the other way is the
    faster one; it is so from ``few_kernel_bytes`` on where a core has fewer tiles than a register tile has rows. A core
    takes part for ``own_tiles`` or more: with fewer it would do little else than read the transformed kernels. Of
    ``MANY`` turns, each takes a ``multiple`` of so many tiles: 13 are three register tiles of AVX2, 12 are two.
    """

    cache_bytes: int
    most_bytes: int
    enough_tiles: int
    least_tiles: int
    kernel_bytes: int
    few_kernel_bytes: int = 5_500_000
    own_tiles: int = 4
    multiple: int = 1


# Measured where a core's cache has 1 MB, as with most processors that have AVX-512, and where it has 512 KB.
LIMITS = (
    Limits(600_000, 1_800_000, 20, 10, 24_000_000)
    if VECTOR_BYTES == 64
    else Limits(1_000_000, 1_000_000, 10, 10, 5_500_000, multiple=ROWS)
)
MANY = 8  # turns, of which the last may be a small one
WORTH = 100  # for whole register tiles, the busiest core may have one tile more in so many of all


def planes(purpose: str, points: int, numbers: int, dtype: np.dtype) -> AbstractContextManager[Array]:
    """A workspace (points, plane), for planes of so many numbers: an odd number of the cache's lines apart.

    The same place in every plane then falls on a different line. A power of two apart, all would be on the same one.
    """
    return workspace(purpose, (points, spaced(numbers, dtype.itemsize)), dtype)


def spaced(numbers: int, itemsize: int) -> int:
    """So many numbers, and a few more: an odd number of lines."""
    per_line = LINE_BYTES // itemsize
    return (-(-numbers // per_line) | 1) * per_line


def whole_vectors(filters: int, dtype: np.dtype) -> int:
    """``filters``, rounded up to whole vectors: the width of a product's rows."""
    lanes = VECTOR_BYTES // dtype.itemsize
    return -(-filters // lanes) * lanes


def in_blocks(total: int, size: int, limit: int, multiple: int) -> Iterator[tuple[int, int]]:
    """(first tile, how many), as many at once as ``limit`` bytes hold, each having ``size`` of them."""
    fitting = max(multiple, limit // size)
    fitting -= fitting % multiple
    for first in range(0, total, fitting):
        yield first, min(fitting, total - first)


def grid_of(form: int, size: Pair, inputs: Pair, outputs: Pair = (0, 0)) -> Grid:
    """Tiles that cover ``size`` outputs. The first begins at row and column ``inputs`` and ``outputs``, at most 0."""
    down, across = (-(-(n - first) // OUTPUTS[form]) for n, first in zip(size, outputs, strict=True))
    return down, across, *inputs, *outputs


@functools.lru_cache(maxsize=KEPT)  # this and ``turns``: found once for a layer; with few pixels they take a while
def cover(form: int, height: int, width: int, window: Window, halve: bool) -> tuple[Pair, Grid]:
    """Rows and columns of the outputs, and their tiles, which begin where the padding does. Halved, a last row or
    column that has no partner needs no tile."""
    (top, _), (left, _) = window.pads(height, width)
    rows, columns = size = Finish(halve=halve).size(*window.output_size(height, width))
    return size, grid_of(form, (2 * rows, 2 * columns) if halve else size, (-top, -left))


class Turns(NamedTuple):
    """How a core takes its tiles through all steps: so many ``at_once``, of ``workers`` cores, each with ``tiles`` and
    ``products`` (workers, Q*Q, plane) of scratch memory, whose rows are ``width`` long. No workers: all tiles take each
    step together."""

    at_once: int
    workers: int
    width: int
    tiles: Shape
    products: Shape


@functools.lru_cache(maxsize=KEPT)  # asked by every convolution: see ``cover``
def turns(
    points: int,
    total: int,
    channels: int,
    filters: int,
    dtype: np.dtype,
    kernel_bytes: int,
    threads: int,
    limits: Limits,
) -> Turns:
    """What ``turns_of`` finds, and the memory for it."""
    width = whole_vectors(filters, dtype)
    at_once, workers = turns_of(points, total, channels, width, dtype.itemsize, kernel_bytes, threads, limits)
    tiles, products = (spaced(at_once * row, dtype.itemsize) for row in (channels, width))
    return Turns(at_once, workers, width, (workers, points, tiles), (workers, points, products))


def turns_of(
    points: int,
    total: int,
    channels: int,
    width: int,
    itemsize: int,
    kernel_bytes: int,
    threads: int,
    limits: Limits,
) -> Pair:
    """How many tiles a core takes through all steps at a time, and how many cores do. (0, 0): all tiles take each step
    together."""
    size = points * (channels + width) * itemsize
    fitting = max(limits.cache_bytes // size, min(limits.enough_tiles, limits.most_bytes // size))
    most = limits.kernel_bytes if total >= threads * ROWS else min(limits.kernel_bytes, limits.few_kernel_bytes)
    if kernel_bytes > most or fitting < limits.least_tiles:
        return 0, 0
    workers = min(threads, -(-total // limits.own_tiles))
    turns = max(1, round(total / (workers * fitting)))
    even = -(-total // (workers * turns))  # as many in every turn
    whole = round(even / limits.multiple) * limits.multiple
    if turns < MANY or whole == 0:
        return even, workers
    waiting = _most_of_a_core(total, whole, workers) - _most_of_a_core(total, even, workers)
    return (whole if waiting * WORTH <= total else even), workers


def _most_of_a_core(total: int, at_once: int, workers: int) -> int:
    """Tiles of the core that has most of them, the first one, when all take turns."""
    rounds, left = divmod(total, at_once * workers)
    return rounds * at_once + min(left, at_once)
