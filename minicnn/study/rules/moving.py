"""How the layers explain themselves that only move numbers: Flatten, Reshape, Permute, padding, dropout, up-sampling.

Nothing is computed; all there is to say is from where to where. Two of them weigh what they move: dropout while
training (kept numbers grow, the others become 0), and bilinear up-sampling (a blend of up to four pixels).
"""

from __future__ import annotations

import itertools

import numpy as np

from minicnn.layers import Dropout, Flatten, Permute, Reshape, UpSampling2D, ZeroPadding2D
from minicnn.ops.up_sampling import BILINEAR, neighbours
from minicnn.shapes import Array
from minicnn.study.explanation import Index, Terms, Worked
from minicnn.study.places import at, combinations, place
from minicnn.study.use import Rule, Use, copied, handed_back, worked_out

COPY, BACK = "y = a copy of x", "dx = a copy of dy"


def _reshaped(use: Use, index: Index) -> Worked:
    flat = np.ravel_multi_index(index, use.y.shape)
    return copied(use, at(*np.unravel_index(flat, use.xs[0].shape)), f"{COPY}, the same in reading order")


def _reshaped_input(use: Use, index: Index, source: int) -> Worked:
    flat = np.ravel_multi_index(index, use.xs[0].shape)
    return handed_back(use, at(*np.unravel_index(flat, use.y.shape)), f"{BACK}, the same in reading order")


def _permuted(use: Use, index: Index) -> Worked:
    where = [0] * len(index)
    for axis, source in enumerate((0, *use.layer.dims)):
        where[source] = index[axis]
    return copied(use, at(*where), f"{COPY}; axis a of y is axis dims[a - 1] of x")


def _permuted_input(use: Use, index: Index, source: int) -> Worked:
    return handed_back(use, at(*(index[axis] for axis in (0, *use.layer.dims))), BACK)


def _padded(use: Use, index: Index) -> Worked:
    (top, _), (left, _) = use.layer.padding
    n, h, w, c = index
    x = n, h - top, w - left, c
    if not all(0 <= where < size for where, size in zip(x, use.xs[0].shape, strict=True)):
        return Worked("y = 0, part of the frame")
    return copied(use, place(x), "y = a copy of x[n, h - top, w - left, c]")


def _padded_input(use: Use, index: Index, source: int) -> Worked:
    (top, _), (left, _) = use.layer.padding
    n, h, w, c = index
    return handed_back(use, at(n, h + top, w + left, c), "dx = a copy of dy[n, h + top, w + left, c]")


def _dropped(use: Use, index: Index) -> Worked:
    if use.cache is None:
        return copied(use, place(index), f"{COPY}: nothing is dropped in inference")
    formula = "y = x / (1 - rate) if kept, else 0"
    return Worked(formula, (Terms.chosen(use.x(place(index)), worked_out("kept / (1 - rate)", _kept(use, index))),))


def _dropped_input(use: Use, index: Index, source: int) -> Worked:
    if use.cache is None:
        return handed_back(use, place(index), f"{BACK}: nothing is dropped in inference")
    formula = "dx = dy / (1 - rate) if x was kept, else 0"
    shares = worked_out("kept / (1 - rate)", _kept(use, index))
    return Worked(formula, (Terms.chosen(use.upstream(place(index)), shares),))


def _kept(use: Use, index: Index) -> float:
    return 1 / (1 - use.cache.rate) if use.cache.keep[index] else 0.0


def _enlarged(use: Use, index: Index) -> Worked:
    n, oh, ow, c = index
    (rows, down), (columns, across) = _shares_of(use, 0, oh, ow)
    h, w = combinations(rows[:, 1], columns[:, 1])
    x, share = use.x(at(n, h, w, c)), worked_out("share", np.outer(down, across))
    return Worked("y = sum over the nearest x of x * (its share in y)", (Terms.of(x, share),))


def _enlarged_input(use: Use, index: Index, source: int) -> Worked:
    n, h, w, c = index
    (rows, down), (columns, across) = _shares_of(use, 1, h, w)
    oh, ow = combinations(rows[:, 0], columns[:, 0])
    dy, share = use.upstream(at(n, oh, ow, c)), worked_out("share", np.outer(down, across))
    return Worked("dx = sum over the y that show x of dy * (the share of x)", (Terms.of(dy, share),))


def _shares_of(use: Use, column: int, *places: int) -> list[tuple[Array, Array]]:
    """For rows and for columns, the pairs of ``shares`` with the given place in ``column``."""
    found = []
    for axis, where in enumerate(places):
        pairs, parts = shares(use.xs[0].shape[axis + 1], use.layer.size[axis], use.layer.interpolation)
        chosen = pairs[:, column] == where
        found.append((pairs[chosen], parts[chosen]))
    return found


def shares(size: int, factor: int, interpolation: str) -> tuple[Array, Array]:
    """Who shows what along an axis of ``size``, enlarged: pairs (place in y, place in x), (K, 2), and each one's share.

    No pair comes twice: at the border both neighbours are the outermost place, which then has the whole share. Shares
    of 0 are left out: they say that nothing was read.
    """
    found: dict[tuple[int, int], float] = {}
    for i, phase in itertools.product(range(size), range(factor)):
        start, second = neighbours(phase, factor) if interpolation == BILINEAR else (1, 0.0)
        for step, share in enumerate((1 - second, second)):
            x = min(max(i + start - 1 + step, 0), size - 1)  # beyond the border the outermost goes on
            if share:
                pair = i * factor + phase, x
                found[pair] = found.get(pair, 0.0) + share
    return np.array(list(found)), np.array(list(found.values()))


RULES = {
    Flatten: Rule(_reshaped, _reshaped_input),
    Reshape: Rule(_reshaped, _reshaped_input),
    Permute: Rule(_permuted, _permuted_input),
    ZeroPadding2D: Rule(_padded, _padded_input),
    Dropout: Rule(_dropped, _dropped_input),
    UpSampling2D: Rule(_enlarged, _enlarged_input),
}
