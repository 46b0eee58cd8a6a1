"""Arrays as pictures inside the page: no files beside it, nothing to lose when it is sent to somebody."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.errors import DtypeError, ShapeError, explain, missing
from minicnn.shapes import Array


@dataclass(frozen=True)
class Picture:
    """``uri``: the picture itself, as a data URI. ``alt``: what it shows, for those who cannot see it. ``verdict``:
    "good", "bad" or "" for a coloured frame.
    """

    uri: str
    alt: str
    caption: str = ""
    verdict: str = ""


def picture(array: Array, alt: str, caption: str = "", verdict: str = "", *, height: int | None = None) -> Picture:
    """A picture of an array: grey (H, W) or (H, W, 1), or RGB (H, W, 3); uint8 0..255, or floats 0..1, clipped.

    ``height`` in pixels makes it smaller (never larger): a report of 100 crops should not weigh ten megabytes.
    """
    return Picture(png_uri(array, height), alt, caption, verdict)


def png_uri(array: Array, height: int | None = None) -> str:
    """``data:image/png;base64,...`` for an array as ``picture`` takes it. Raises DtypeError or ShapeError for
    others.
    """
    pixels = _pixels(array)
    try:
        from PIL import Image  # Matplotlib cannot be without it
    except ImportError:
        raise missing("matplotlib", "report", "Pictures in a report") from None
    image = Image.fromarray(pixels)
    if height is not None and height < image.height:
        image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)
    return data_uri(png_bytes(image, optimize=True))


def png_bytes(image: Any, *, optimize: bool = False) -> bytes:
    """A picture of Pillow's as a PNG file; ``optimize`` takes longer to make a smaller one."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _pixels(array: Array) -> Array:
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]  # (H, W, 1) -> (H, W)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ShapeError(explain("a picture (H, W), (H, W, 1) or (H, W, 3)", f"shape {array.shape}"))
    if array.dtype.kind == "f":
        array = np.rint(255 * np.clip(np.nan_to_num(array), 0, 1)).astype(np.uint8)
    if array.dtype != np.uint8:
        raise DtypeError(explain("a picture as uint8 0..255 or floats 0..1", f"dtype {array.dtype}"))
    return np.ascontiguousarray(array)
