"""Names beside faces, in any script the font has.

OpenCV's ``putText`` knows ASCII alone and writes "???" for everything else. So letters are Pillow's, in DejaVu Sans,
which comes with Matplotlib: Latin, Greek, Cyrillic, Arabic and more. What the font lacks (Chinese, say) is shown as
code points, "U+6797": ugly, and yet not a wrong name; the JSON and the CSV have the real one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from detection.boxes import Box
from detection.images import check_rgb
from minicnn.errors import missing
from minicnn.shapes import Array

KNOWN, UNKNOWN = (64, 220, 120), (255, 190, 60)  # RGB: frames of faces with a name, and without
INK = (16, 24, 20)
LONGEST = 40  # letters of a label; a name may be longer, a picture is not


def draw_names(rgb: Array, boxes: Sequence[Box], labels: Sequence[str], known: Sequence[bool]) -> Array:
    """A copy of an RGB picture, uint8 (H, W, 3), with a frame and a label for every face: green known, amber unknown.

    Frames lie outside their box, so that no pixel of a face is hidden. A label stands above its frame; where there is
    no room, below; and always within the picture as far as it fits.
    """
    check_rgb(rgb)
    Image, ImageDraw = pillow()
    image = Image.fromarray(np.ascontiguousarray(rgb))
    drawing = ImageDraw.Draw(image)
    for box, label, is_known in reversed(list(zip(boxes, labels, known, strict=True))):  # the largest last: on top
        colour = KNOWN if is_known else UNKNOWN
        side = max(box.width, box.height)
        width = max(2, round(0.02 * side))
        frame = (box.left - width, box.top - width, box.right - 1 + width, box.bottom - 1 + width)
        drawing.rectangle(frame, outline=colour, width=width)
        _write(drawing, image.size, frame, drawable(label), min(48, max(12, round(0.13 * side))), colour)
    return np.array(image)


def drawable(label: str) -> str:
    """A label as the font can show it: one line, at most LONGEST letters, what it has no letter for as "U+6797".

    >>> drawable("Žofie Ångström"), drawable("a\\nb")
    ('Žofie Ångström', 'a b')
    """
    letters = []
    for letter in unicodedata.normalize("NFC", label):
        if letter.isspace():
            letters.append(" ")
        elif not letter.isprintable():
            continue
        else:
            letters.append(letter if _has(letter) else f"U+{ord(letter):04X} ")
    text = "".join(letters).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _write(
    drawing: Any, size: tuple[int, int], frame: tuple[int, int, int, int], label: str, height: int, colour: Any
) -> None:
    letters = font(height)
    left, top, right, bottom = drawing.textbbox((0, 0), label, font=letters)
    pad = max(2, height // 6)
    wide, high = right - left + 2 * pad, bottom - top + 2 * pad
    x = max(0, min(frame[0], size[0] - wide))
    y = frame[1] - high if frame[1] >= high else min(frame[3] + 1, max(0, size[1] - high))
    drawing.rectangle((x, y, x + wide - 1, y + high - 1), fill=colour)
    drawing.text((x + pad - left, y + pad - top), label, font=letters, fill=INK)


@cache
def font(height: int) -> Any:
    """DejaVu Sans, for Pillow, of ``height`` pixels. Raises MissingDependencyError."""
    from PIL import ImageFont

    return ImageFont.truetype(_font_file(), height)


@cache
def _has(letter: str) -> bool:
    _font_file()  # the error that names the extra
    from matplotlib.ft2font import FT2Font

    return bool(FT2Font(_font_file()).get_char_index(ord(letter)))


@cache
def _font_file() -> str:
    try:
        import matplotlib
    except ImportError:
        raise missing("matplotlib", "recognise", "Writing names into pictures") from None
    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


def pillow() -> Any:
    """Pillow's modules ``Image`` and ``ImageDraw``. Raises MissingDependencyError."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise missing("matplotlib", "recognise", "Writing names into pictures") from None
    return Image, ImageDraw
