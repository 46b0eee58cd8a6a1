"""Arrays made to be looked at: filters and feature maps side by side, a picture as numbers, and what augmentation does.

Everything here is an array again, floats from 0 (black) to 1 (white): ``minicnn.report.pictures`` turns them into PNGs.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from minicnn.augmentation import Augment, Choices, adjust_contrast, affine_maps, warp
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.model import Model
from minicnn.shapes import Array, whole
from minicnn.study.places import checked

GREY = (0.299, 0.587, 0.114)  # what red, green and blue weigh in brightness: ITU-R BT.601, as OpenCV has it


def stretched(picture: Array) -> Array:
    """From its smallest to its largest number as 0 to 1; a picture of one number becomes 0.5 everywhere."""
    low, high = float(np.min(picture)), float(np.max(picture))
    if not high > low:
        return np.full(np.shape(picture), 0.5)
    spread: Array = (np.asarray(picture, np.float64) - low) / (high - low)
    return spread


def grid(pictures: Array, *, across: int | None = None, gap: int = 1) -> Array:
    """Pictures (K, H, W) or (K, H, W, 3), each stretched to 0..1, side by side with ``gap`` white pixels between them.

    ``across`` is how many stand in a row (None: so that it becomes about square). Raises ShapeError, OptionError.
    """
    pictures = np.asarray(pictures)
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and pictures.shape[3] != 3) or pictures.size == 0:
        raise ShapeError(explain("pictures (K, H, W) or (K, H, W, 3)", f"shape {pictures.shape}"))
    K, H, W = pictures.shape[:3]
    columns = math.ceil(math.sqrt(K)) if across is None else whole(across, "across")
    rows, gap = math.ceil(K / columns), whole(gap, "gap", least=0)
    sheet = np.ones((rows * (H + gap) - gap, columns * (W + gap) - gap, *pictures.shape[3:]))
    for place, picture in enumerate(pictures):
        top, left = place // columns * (H + gap), place % columns * (W + gap)
        sheet[top : top + H, left : left + W] = stretched(picture)
    return sheet


def filter_grid(model: Model, layer: str, *, gap: int = 1) -> Array:
    """The kernel of a convolution, one picture per filter; of filters that see 3 channels in colour, else a row of
    pictures per filter, one for each channel it sees. Raises OptionError for a layer without such a kernel.
    """
    params = model.get_layer(layer).params
    kernel = params.get("kernel", params.get("depthwise_kernel"))
    if kernel is None or kernel.ndim != 4:
        raise OptionError(explain("a layer with a kernel (KH, KW, C, F)", f"'{layer}'", "Take a convolution."))
    filters = np.moveaxis(kernel, 3, 0)  # (KH, KW, C, F) -> (F, KH, KW, C)
    if filters.shape[3] == 3:
        return grid(filters, gap=gap)
    channels = filters.shape[3]
    # (F, KH, KW, C) -> (F, C, KH, KW) -> (F*C, KH, KW)
    each = np.moveaxis(filters, 3, 1).reshape(-1, *kernel.shape[:2])
    return grid(each, across=None if channels == 1 else channels, gap=gap)


def activation_grid(maps: Array, *, across: int | None = None, gap: int = 1) -> Array:
    """The feature maps (H, W, K) of one picture side by side."""
    if np.ndim(maps) != 3:
        raise ShapeError(explain("maps (H, W, K) of one picture", f"shape {np.shape(maps)}", "Take maps[0]."))
    return grid(np.moveaxis(maps, 2, 0), across=across, gap=gap)


def enlarged(maps: Array, height: int, width: int) -> Array:
    """Maps (N, h, w) in the size (N, height, width), blended linearly: to lay ``grad_cam`` over its picture."""
    if np.ndim(maps) != 3:
        raise ShapeError(explain("maps (N, h, w)", f"shape {np.shape(maps)}"))
    factors = (1, whole(height, "height") / maps.shape[1], whole(width, "width") / maps.shape[2])
    found: Array = ndimage.zoom(np.asarray(maps, np.float64), factors, order=1, mode="nearest", grid_mode=True)
    return found


def grey(picture: Array) -> Array:
    """(H, W, C) -> (H, W): the only channel, or how bright red, green and blue are together."""
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise ShapeError(explain("a picture (H, W, 1) or (H, W, 3)", f"shape {picture.shape}"))
    brightness: Array = picture[..., 0] if picture.shape[2] == 1 else picture @ np.array(GREY)
    return brightness


def matrix(picture: Array, top: int = 0, left: int = 0, rows: int = 8, columns: int = 8) -> dict[str, list[str]]:
    """A part of a picture as the numbers it is: {"grey": lines, "red": ..., "green": ..., "blue": ...}.

    ``picture`` is (H, W, 1) or (H, W, 3); what lies beyond the border is left out. Whole numbers are written as they
    are, others with three digits. Raises ShapeError, and OptionError where the part begins outside.
    """
    planes = {"grey": grey(picture)}
    if picture.shape[2] == 3:
        planes |= {name: picture[..., k] for k, name in enumerate(("red", "green", "blue"))}
    checked(picture.shape[:2], (top, left), "the picture")
    found = {}
    for name, plane in planes.items():
        part = plane[top : top + whole(rows, "rows"), left : left + whole(columns, "columns")]
        written = [[f"{value:d}" if part.dtype.kind in "iu" else f"{value:.3g}" for value in row] for row in part]
        width = max(len(text) for row in written for text in row)
        found[name] = [" ".join(text.rjust(width) for text in row) for row in written]
    return found


def each_augmentation(x: Array, augment: Augment) -> dict[str, Array]:
    """One picture (H, W, C) after each thing that ``augment`` may do, alone and at its farthest: {"shift +": picture}.

    "+" is the positive end of the option's range, "-" the negative one; a flip has one. What is switched off is left
    out.
    """
    if np.ndim(x) != 3:
        raise ShapeError(explain("one picture (H, W, C)", f"shape {np.shape(x)}"))
    batch = np.asarray(x)[None]
    nothing = Choices(np.array([False]), np.zeros((1, 2)), np.zeros(1), np.zeros(1), np.ones(1))
    found: dict[str, Array] = {"original": batch[0].copy()}
    if augment.flip:
        found["flip"] = _warped(batch, nothing._replace(flip=np.array([True])), augment.fill)
    for name in ("shift", "rotate", "zoom"):
        most = getattr(augment, name)
        for sign, mark in ((1, "+"), (-1, "-")) if most else ():
            end = np.full_like(getattr(nothing, name), sign * most)
            found[f"{name} {mark}"] = _warped(batch, nothing._replace(**{name: end}), augment.fill)
    for sign, mark in ((1, "+"), (-1, "-")) if augment.contrast else ():
        found[f"contrast {mark}"] = adjust_contrast(batch, np.array([1 + sign * augment.contrast]))[0]
    return found


def _warped(batch: Array, choices: Choices, fill: str) -> Array:
    moved: Array = warp(batch, affine_maps(choices, *batch.shape[1:3]), fill)[0]
    return moved
