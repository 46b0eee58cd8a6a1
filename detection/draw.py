"""Boxes drawn into a photograph, to see what a detector found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.boxes import Face
from detection.images import check_rgb
from detection.optional import load_cv2
from minicnn.shapes import Array

COLOURS = ((64, 220, 120), (255, 190, 60))  # RGB: the largest face, the others


def draw_faces(rgb: Array, faces: Sequence[Face]) -> Array:
    """A copy of an RGB picture, uint8 (H, W, 3), with a frame around every face: green the largest, amber the rest.

    Frames lie outside their box, two per cent of its side wide but at least two pixels, so that no pixel of a face is
    hidden.
    """
    check_rgb(rgb)
    cv2 = load_cv2("Drawing boxes")
    picture = np.ascontiguousarray(rgb).copy()
    for index in reversed(range(len(faces))):  # the largest last: on top
        box = faces[index].box
        width = max(2, round(0.02 * max(box.width, box.height)))
        colour = COLOURS[min(index, 1)]
        for step in range(1, width + 1):  # half-open boxes: the last row and column inside are bottom - 1 and right - 1
            corners = (box.left - step, box.top - step), (box.right - 1 + step, box.bottom - 1 + step)
            cv2.rectangle(picture, *corners, colour, 1)
    return picture
