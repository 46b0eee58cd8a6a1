"""Numbers as pictures: PNG files in which a sign is a hue and a size is opacity.

    0            nothing: the page shows through, light or dark, so one file serves both
    positive     orange, the more opaque the larger
    negative     blue
    NaN, inf     magenta, fully opaque: nothing to be overlooked

The opacity of v is |v / limit| ** GAMMA. The root brings out what is weak; a linear scale would show the few largest
numbers and nothing else. Orange and blue can be told apart with every common kind of colour blindness.
"""

from __future__ import annotations

import numpy as np

from minicnn.errors import missing
from minicnn.report.pictures import png_bytes
from minicnn.shapes import Array

POSITIVE, NEGATIVE, BROKEN = (0xE8, 0x59, 0x0C), (0x1C, 0x7E, 0xD6), (0xD6, 0x00, 0xA8)
GAMMA = 0.6
STEPS = 127  # on either side of zero; with zero and NaN, 256 colours in all
CELL = 64  # pixels: the side of a map among others
ACROSS = 8  # maps side by side in a sheet
PER_SHEET = 64
LONGEST = 1280  # pixels: no side of a photograph is sent longer


def map_png(plane: Array, limit: float) -> bytes:
    """A map (H, W) as a PNG of as many pixels; ``limit`` is the size that is fully opaque."""
    return _palette_png(_colours(plane, limit))


def sheet_png(planes: list[Array], limit: float, *, across: int = ACROSS) -> bytes:
    """Maps of one size beside each other, ``across`` in a row, each of at most CELL pixels a side (means of areas).

    Where the last row is not full, nothing is shown.
    """
    small = [shrink(plane, CELL) for plane in planes]
    rows, columns = small[0].shape
    sheet = np.zeros((-(-len(small) // across) * rows, across * columns))
    for place, plane in enumerate(small):
        top, left = place // across * rows, place % across * columns
        sheet[top : top + rows, left : left + columns] = plane
    return _palette_png(_colours(sheet, limit))


def shrink(plane: Array, longest: int) -> Array:
    """A map (H, W) of which no side is longer than ``longest``: means over areas. Smaller ones stay as they are."""
    scale = longest / max(plane.shape)
    if scale >= 1:
        return plane
    height, width = (max(1, round(side * scale)) for side in plane.shape)
    image = _pillow().fromarray(np.nan_to_num(plane.astype(np.float32)))
    return np.asarray(image.resize((width, height), _pillow().Resampling.BOX))


def photo_png(pixels: Array, longest: int = LONGEST) -> bytes:
    """A photograph, uint8 (H, W) or (H, W, 3), made smaller if a side is longer than ``longest``."""
    image = _pillow().fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((longest, longest))
    return png_bytes(image)


def limit_of(values: Array) -> float:
    """The largest absolute value, which becomes fully opaque; 1 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max(initial=0.0)) or 1.0


def _colours(plane: Array, limit: float) -> Array:
    """Numbers -> places in the palette: 0..254 for -limit..limit, 255 for what is no number."""
    finite = np.isfinite(plane)
    scaled = np.clip(np.where(finite, plane, 0) / limit, -1, 1)
    places = np.rint(STEPS * np.sign(scaled) * np.abs(scaled) ** GAMMA).astype(np.int16) + STEPS
    return np.where(finite, places, 255).astype(np.uint8)


def _palette_png(places: Array) -> bytes:
    """A PNG of a byte per pixel: places in a palette of colours, each with its opacity."""
    sizes = np.abs(np.arange(256) - STEPS)
    opacity = np.rint(255 * sizes / STEPS).clip(0, 255).astype(np.uint8)
    colours = [*[NEGATIVE] * STEPS, *[POSITIVE] * (255 - STEPS), BROKEN]
    height, width = places.shape
    image = _pillow().frombytes("P", (width, height), places.tobytes())
    image.putpalette([part for colour in colours for part in colour])
    image.info["transparency"] = opacity.tobytes()
    return png_bytes(image)


def _pillow():  # type: ignore[no-untyped-def]  # the module PIL.Image, typed or not
    try:
        from PIL import Image
    except ImportError:
        raise missing("pillow", "explore", "The explorer's pictures") from None
    return Image
