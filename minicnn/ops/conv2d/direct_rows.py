"""The compiled loops of ``direct.py``: one row of outputs after the other. Kernel gradients: ``direct_gradient.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.copying import clear, copy
from minicnn.ops.gemm import tiles_or_edges
from minicnn.ops.jit import njit, njit_parallel, prange
from minicnn.ops.micro_kernel import ROWS
from minicnn.ops.normalising import normalise_rows
from minicnn.ops.simd import keep_alive, offset, pointer
from minicnn.shapes import Array, Pair

FEWEST_TURNS = 16  # of a parallel loop, so that many cores share it evenly
POSITIONS = 224 // ROWS * ROWS  # of the output, at least, that are computed with one panel before the next is taken


@njit
def copy_rows(x: Array, n: int, first: int, rows: int, left: int, width: int, into: Array) -> None:
    """into (rows * width * C) = rows of picture n from ``first`` on, ``left`` zeros before each; zeros around it."""
    _, H, W, C = x.shape
    at = 0
    for h in range(first, first + rows):
        before, inside = (left * C, W * C) if 0 <= h < H else (width * C, 0)
        clear(into, at, before)
        copy(x, (n * H + h) * W * C, inside, into, at + before)
        clear(into, at + before + inside, width * C - before - inside)
        at += width * C


@njit_parallel
def pad_picture(x: Array, top: int, left: int, picture: Array) -> None:
    """picture = x with zeros around it."""
    N, PH, PW, _ = picture.shape
    for row in prange(N * PH):
        n, ph = row // PH, row % PH
        copy_rows(x, n, ph - top, 1, left, PW, picture[n, ph].reshape(-1))


@njit_parallel
def correlate_rows(
    x: Array,
    pads: tuple[int, int, int, int],
    panels: Array,
    table: Array,
    per_sum: int,
    steps: Array,
    out: Pair,
    bias: Array,
    floor: float,
    factors: Array,
    y: Array,
) -> None:
    """y[n, h0 + i*dh, w0 + j*dw] = bias + window(n, i*sh, j*sw) @ kernel, for i, j below ``out``; cut off at ``floor``,
    and before that normalised, if there are ``factors`` (3, F). Those are for results without gaps: dh and dw are 1.

    ``pads``: zeros above and to the left of x, and height and width of x with all its zeros. ``steps`` holds sh, sw,
    h0, w0, dh, dw, span: a window reaches over ``span`` rows. ``table`` (segments, 3): see
    ``direct_windows.segments_of``; ``per_sum`` of them are added up at once, as a sum of short sums rounds less than a
    long one. Rows with zeros around them are put together in a small buffer, for some rows of outputs at a time. Where
    there are few rows to divide among the cores, the panels are divided too.
    """
    N, XH, XW, C = x.shape
    top, left, PH, PW = pads
    padded = PH != XH or PW != XW
    groups, P, K, W = panels.shape
    _, H, width, F = y.shape
    sh, sw, h0, w0, dh, dw, span = steps
    filters, channels = F // groups, C // groups
    rows_at_once = min(out[0], (POSITIONS + out[1] - 1) // out[1])
    turns = (out[0] + rows_at_once - 1) // rows_at_once
    normalised = factors.shape[1] > 0
    least, flat = y.dtype.type(-np.inf if normalised else floor), y.reshape(-1, F)
    shares = min(P, (FEWEST_TURNS + N * turns - 1) // (N * turns))  # of the panels; no matter how many cores there are
    for piece in prange(N * turns * shares):
        turn, share = piece // shares, piece % shares
        n, first = turn // turns, turn % turns * rows_at_once
        end = min(out[0], first + rows_at_once)
        spare = np.empty((ROWS, W), y.dtype)
        if padded:
            rows = (end - first - 1) * sh + span
            buffer = np.empty(rows * PW * C, x.dtype)
            copy_rows(x, n, first * sh - top, rows, left, PW, buffer)
            source = pointer(buffer, 0)
        else:
            buffer = x.reshape(-1)
            source = pointer(x, (n * XH + first * sh) * XW * C)
        own = np.empty((len(table), 3), np.intp)
        for g in range(groups):
            for s in range(len(table)):
                own[s, 0], own[s, 1], own[s, 2] = table[s, 0] + g * channels, table[s, 1] * W, table[s, 2]
            for p in range(P * share // shares, P * (share + 1) // shares):
                f, panel = g * filters + p * W, pointer(panels, (g * P + p) * K * W)
                to, size = pointer(y, ((n * H + h0 + first * dh) * width + w0) * F + f), (end - first, out[1])
                read, written = (sh * PW * C, sw * C), (dh * width * F, dw * F)
                some = min(W, filters - p * W)
                meet_panel(size, some, source, read, panel, own, per_sum, pointer(bias, f), to, written, least, spare)
            if normalised:  # while these results are in the cache
                begin, stop = g * filters + P * share // shares * W, g * filters + P * (share + 1) // shares * W
                for i in range(first, end):
                    at = (n * H + h0 + i) * width + w0
                    normalise_rows(flat, factors, floor, flat, at, at + out[1], begin, min(stop, (g + 1) * filters))
        keep_alive(buffer)


@njit
def meet_panel(
    size: Pair,
    filters: int,
    source: Any,
    read: Pair,
    panel: Any,
    segments: Array,
    per_sum: int,
    bias: Any,
    to: Any,
    written: Pair,
    least: float,
    spare: Array,
) -> None:
    """Some rows of outputs, ``size``, of one panel's ``filters``, cut off at ``least``.

    ``source`` and ``to`` point at the first window and the first result; ``read`` and ``written`` say how far the next
    row is from there, and the next one in a row.
    """
    for s in range(0, len(segments), per_sum):  # outside: its part of the panel stays in the nearest cache
        last = s + per_sum >= len(segments)
        for i in range(size[0]):
            here = offset(to, i * written[0])
            tiles_or_edges(
                size[1],
                filters,
                offset(source, i * read[0]),
                read[1],
                1,
                panel,
                pointer(segments, 3 * s),
                min(per_sum, len(segments) - s),
                bias if s == 0 else here,
                0 if s == 0 else written[1],
                here,
                written[1],
                least if last else spare.dtype.type(-np.inf),
                spare,
            )
