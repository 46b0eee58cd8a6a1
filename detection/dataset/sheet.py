"""A dataset at a glance: one row of crops per person, on one picture.

Wrong faces and wrong names are seen at once this way. Crops with a near-duplicate come first and have a red frame.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detection.dataset.load import crop_files
from detection.draw_names import drawable, font, pillow
from detection.images import read_image, write_image
from detection.optional import load_cv2
from minicnn.errors import OptionError, explain
from minicnn.shapes import Array

SIDE, GAP, FRAME = 80, 4, 3  # pixels: a crop on the sheet, the space between two, the width of a frame
NAMES = 180  # pixels for the names at the left
RED, WHITE = (210, 40, 40), 255
MAX_PEOPLE = 200  # rows: more would be higher than viewers like; the first ones are shown


def write_sheet(
    folder: str | os.PathLike[str], path: str | os.PathLike[str], marked: Sequence[str] = (), columns: int = 12
) -> int:
    """Write the picture sheet of a dataset folder: at most ``columns`` crops of everybody. Returns how many it shows.

    ``marked``: paths of crops to frame. Raises OptionError for columns below 1, MissingDependencyError without Pillow,
    ImageError for a folder without crops, or a name that is none of a picture.
    """
    if not isinstance(columns, int) or isinstance(columns, bool) or columns < 1:
        raise OptionError(explain("columns as an integer >= 1", repr(columns)))
    root, framed = Path(folder), set(marked)
    people: dict[str, list[str]] = {}
    for name, person in crop_files(root).items():
        people.setdefault(person, []).append(name)
    rows = {person: sorted(own, key=lambda name: name not in framed)[:columns] for person, own in people.items()}
    shown = dict(sorted(rows.items())[:MAX_PEOPLE])
    step = SIDE + GAP
    width = NAMES + step * max(len(own) for own in shown.values()) + GAP
    sheet = np.full((step * len(shown) + GAP, width, 3), WHITE, np.uint8)
    for row, own in enumerate(shown.values()):
        for column, name in enumerate(own):
            top, left = GAP + row * step, NAMES + GAP + column * step
            sheet[top : top + SIDE, left : left + SIDE] = _thumbnail(read_image(root / name), name in framed)
    write_image(path, _with_names(sheet, list(shown), step))
    return sum(len(own) for own in shown.values())


def _thumbnail(rgb: Array, is_framed: bool) -> Array:
    small: Array = load_cv2("Making a picture sheet").resize(rgb, (SIDE, SIDE), interpolation=3)  # cv2.INTER_AREA
    if is_framed:
        inner = small[FRAME:-FRAME, FRAME:-FRAME].copy()
        small[:] = RED
        small[FRAME:-FRAME, FRAME:-FRAME] = inner
    return small


def _with_names(sheet: Array, names: Sequence[str], step: int) -> Array:
    """The names at the left, in letters as ``draw_names`` has them."""
    Image, ImageDraw = pillow()
    letters, image = font(14), Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(names):
        shown = drawable(name)
        while len(shown) > 1 and draw.textlength(shown, font=letters) > NAMES - 2 * GAP:
            shown = shown[:-2] + "…"
        draw.text((GAP, GAP + row * step + SIDE // 2), shown, fill=(0, 0, 0), font=letters, anchor="lm")
    return np.asarray(image)
