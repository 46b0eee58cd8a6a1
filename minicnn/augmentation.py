"""Augmentation: the same picture, slightly different each time it is seen.

A face moved by a few pixels, tilted, a little nearer, mirrored or in weaker light is still the same face. Showing the
network such variants instead of the same pictures over and over teaches it what does not matter, and is the cheapest
cure for too few pictures (Simard, Steinkraus and Platt, 2003).

Shift, rotation, zoom and mirror are all affine: together they are *one* map from a place in the new picture to a place
in the old one,

    (row, column) in x  =  A (row, column) in y  +  b

so each picture is sampled once, and loses sharpness once. Sampling goes backwards, from the new picture to the old:
every new pixel then gets exactly one value, interpolated linearly between the four old pixels around its place.

    augment = Augment(shift=0.05, rotate=5)
    y = augment(x, np.random.default_rng(1))

The result is a function of ``x`` and the generator's state alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.ops import jit
from minicnn.options import flag, number
from minicnn.shapes import Array, check_array

FILLS = ("nearest", "reflect", "constant")
REFLECT, CONSTANT = 1, 2  # their numbers in compiled code
LARGEST = 1e6  # pixels


class Choices(NamedTuple):
    """What was drawn for N pictures: one number for each, and two (rows, columns) for the shift."""

    flip: Array  # (N,) bool
    shift: Array  # (N, 2) fractions of height and width; positive is down and right
    rotate: Array  # (N,) degrees, counter-clockwise
    zoom: Array  # (N,) 0 keeps the size, 0.1 shows 10 % more of the scene (smaller), -0.1 shows 10 % less (larger)
    contrast: Array  # (N,) factors around 1


@dataclass(frozen=True)
class Augment:
    """Random variants of pictures (N, H, W, C), float32 or float64. What each picture gets is drawn uniformly:

    - ``flip``: mirrored left to right, or not
    - ``shift``: moved by up to this fraction of its height and of its width (0 to 1)
    - ``rotate``: turned about its centre by up to this many degrees, either way (0 to 180)
    - ``zoom``: scaled about its centre by 1 - zoom to 1 + zoom, both sides alike (0 to below 1)
    - ``contrast``: distances from the picture's mean, channel by channel, times 1 - contrast to 1 + contrast (0 to 1)
    - ``fill``: what lies outside: "nearest" the border pixel, "reflect" a mirror at the border, "constant" 0

    Fractions mean what they mean in Keras's random layers, except that rotation is in degrees. Contrast does not clip:
    pixels may leave the range they came from. Every picture uses up six random numbers whatever is switched on, so
    switching one option off leaves the others' choices as they were.

    Raises OptionError for values outside these ranges. Cost: about ten multiplications per pixel, in parallel over
    pictures.
    """

    flip: bool = True
    shift: float = 0.1
    rotate: float = 10.0
    zoom: float = 0.1
    contrast: float = 0.2
    fill: str = "nearest"

    def __post_init__(self) -> None:
        flag("flip", self.flip)
        for name, limit in (("shift", 1), ("rotate", 180), ("contrast", 1)):
            number(name, getattr(self, name), least=0, most=limit)
        number("zoom", self.zoom, least=0, below=1)
        _check_fill(self.fill)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """(N, H, W, C) -> (N, H, W, C), always a new array."""
        check_array(x, "x", 4, "(N, H, W, C)")
        drawn = self.draw(len(x), rng)
        if self.flip or self.shift or self.rotate or self.zoom:
            y = warp(x, affine_maps(drawn, *x.shape[1:3]), self.fill)
        else:
            y = x.copy()
        return _adjust_contrast(y, drawn.contrast.astype(x.dtype).reshape(-1, 1, 1, 1)) if self.contrast else y

    def draw(self, n: int, rng: np.random.Generator) -> Choices:
        """Choices for ``n`` pictures, in a fixed order: all of the first picture's, then all of the second's, ..."""
        u = rng.random((n, 6))  # in [0, 1)
        signed = 2 * u - 1
        return Choices(
            flip=(u[:, 0] < 0.5) & self.flip,
            shift=self.shift * signed[:, 1:3],
            rotate=self.rotate * signed[:, 3],
            zoom=self.zoom * signed[:, 4],
            contrast=1 + self.contrast * signed[:, 5],
        )


def affine_maps(choices: Choices, height: int, width: int) -> Array:
    """(N, 2, 3): for each picture A and b, which lead from a pixel of the new one to its place in the old one.

    With z = 1 + zoom, angle t and the centre c, the new pixel p comes from  c + z R(t) (p - c - shift), mirrored or
    not.
    """
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    angle, scale = np.radians(choices.rotate), 1 + choices.zoom
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    a = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)  # two (N, 2) rows -> (N, 2, 2)
    # mirrored about the centre: the column's distance from it changes sign
    a[:, 1] *= np.where(choices.flip, -1.0, 1.0)[:, None]
    moved = centre + choices.shift * [height, width]  # where the old centre is found in the new picture
    b = centre - np.einsum("nij,nj->ni", a, moved)
    return np.concatenate([a, b[:, :, None]], axis=2)


def warp(x: Array, maps: Array, fill: str = "nearest") -> Array:
    """Every picture of ``x`` (N, H, W, C) seen through its affine map (see ``affine_maps``), interpolated linearly.

    Whole-pixel maps are exact: the identity gives ``x``, a mirror gives ``x[:, :, ::-1]``. Pixels must be finite: where
    the map falls on a pixel, its neighbours still count, with weight 0.
    """
    check_array(x, "x", 4, "(N, H, W, C)")
    maps = np.ascontiguousarray(maps, dtype=np.float64)
    if maps.shape != (len(x), 2, 3):
        raise ShapeError(explain(f"one map for each picture, shape ({len(x)}, 2, 3)", f"shape {maps.shape}"))
    if not (np.abs(maps) <= LARGEST).all():  # NaN fails too: a place must be one that an integer can hold
        raise OptionError(explain(f"maps with finite entries up to {LARGEST:g}", f"up to {np.abs(maps).max()}"))
    if math.prod(x.shape[1:]) > np.iinfo(np.int32).max:
        raise ShapeError(explain("pictures of fewer than 2**31 numbers each", f"shape {x.shape}"))
    _check_fill(fill)
    y = np.empty(x.shape, x.dtype)
    _warp(np.ascontiguousarray(x), maps, FILLS.index(fill), y)
    return y


def adjust_contrast(x: Array, factors: Array) -> Array:
    """(x - mean) * factor + mean, with the mean of each picture's channel and a factor (N,) for each picture."""
    check_array(x, "x", 4, "(N, H, W, C)")
    factor = np.asarray(factors, x.dtype).reshape(-1, 1, 1, 1)
    if len(factor) != len(x):
        raise ShapeError(explain(f"one factor for each of the {len(x)} pictures", f"{len(factor)}"))
    return _adjust_contrast(x.copy(), factor)


def _adjust_contrast(y: Array, factor: Array) -> Array:
    """In place: a batch of pictures is large, and writing to memory that is already ours is half the time."""
    mean = y.mean(axis=(1, 2), keepdims=True)
    y *= factor
    y += mean * (1 - factor)
    return y


def _check_fill(fill: str) -> None:
    if fill not in FILLS:
        raise OptionError(explain(f"fill as one of {FILLS}", repr(fill)))


@jit.njit_parallel
def _warp(x: Array, maps: Array, fill: int, y: Array) -> None:
    """Row by row: first where each pixel comes from, which is plain arithmetic and runs several pixels at a time; then
    the four pixels around each place, which lie anywhere in the picture.
    """
    N, H, W, _ = x.shape
    for n in jit.prange(N):
        place = np.empty((2, W), x.dtype)  # rows and columns in the old picture
        for r in range(H):
            for axis in range(2):
                first = x.dtype.type(maps[n, axis, 0] * r + maps[n, axis, 2])
                step = x.dtype.type(maps[n, axis, 1])
                for c in range(W):
                    place[axis, c] = first + step * x.dtype.type(c)
            if fill == REFLECT:
                _mirror(place[0], H)
                _mirror(place[1], W)
            _sample(x[n], place[0], place[1], y[n, r])
            if fill == CONSTANT:
                _fade(place[0], place[1], H, W, y[n, r])


@jit.njit
def _sample(x: Array, rows: Array, columns: Array, y: Array) -> None:
    """y[c] = x at (rows[c], columns[c]), between four pixels; beyond the border, the border pixel."""
    H, W, C = x.shape
    source, zero = x.reshape(H * W * C), x.dtype.type(0)
    corner, right, below = np.empty(len(y), np.int32), np.empty(len(y), np.int32), np.empty(len(y), np.int32)
    down, across = np.empty(len(y), x.dtype), np.empty(len(y), x.dtype)
    for c in range(len(y)):
        row = min(max(rows[c], zero), x.dtype.type(H - 1))
        column = min(max(columns[c], zero), x.dtype.type(W - 1))
        top, left = np.int32(row), np.int32(column)
        corner[c] = (top * W + left) * C
        below[c] = W * C if top < H - 1 else 0
        right[c] = C if left < W - 1 else 0
        down[c] = row - x.dtype.type(top)
        across[c] = column - x.dtype.type(left)
    for c in range(len(y)):
        for k in range(C):
            i = corner[c] + k
            j = i + below[c]
            above = source[i] + across[c] * (source[i + right[c]] - source[i])
            under = source[j] + across[c] * (source[j + right[c]] - source[j])
            y[c, k] = above + down[c] * (under - above)


@jit.njit
def _mirror(place: Array, size: int) -> None:
    """Fold places into a picture repeated as (d c b a | a b c d | d c b a)."""
    for c in range(len(place)):
        folded = place[c] + 0.5
        folded -= 2 * size * np.floor(folded / (2 * size))  # one period: the picture, then its mirror image
        place[c] = min(folded, 2 * size - folded) - 0.5


@jit.njit
def _fade(rows: Array, columns: Array, height: int, width: int, y: Array) -> None:
    """Beyond the border: half at half a pixel's distance, 0 from one on, as if zeros lay around the picture."""
    for c in range(len(y)):
        beyond_row = max(-rows[c], rows[c] - (height - 1), 0.0)
        beyond_column = max(-columns[c], columns[c] - (width - 1), 0.0)
        share = max(0.0, 1.0 - beyond_row) * max(0.0, 1.0 - beyond_column)
        for k in range(y.shape[1]):
            y[c, k] *= share
