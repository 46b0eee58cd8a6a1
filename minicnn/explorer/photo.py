"""What the explorer looks at: a photograph, the face that was cut out of it, and what the network is given.

Finding faces is not the explorer's business. Whoever starts it passes a ``PhotoReader``, which turns the bytes of a
file into a ``Photo`` or raises one of minicnn's errors; the page shows the message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from minicnn.shapes import Array


class Rectangle(NamedTuple):
    """Columns ``left <= x < right`` and rows ``top <= y < bottom``, in pixels of the photograph."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph with one face, and that face as a network takes it.

    rgb:    the photograph, uint8 (H, W, 3)
    face:   what the detector found; ``faces`` is how many it found in all
    square: what was cut out around it; may reach outside the photograph
    angle:  degrees by which the photograph was turned around the middle of ``face`` before that, to level the eyes
    crop:   what was cut out, uint8 (size, size) or (size, size, 3)
    x:      the crop as numbers, float (1, size, size, C)
    """

    name: str
    rgb: Array
    face: Rectangle
    square: Rectangle
    crop: Array
    x: Array
    faces: int = 1
    angle: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the pixels."""
        height, width = self.rgb.shape[:2]
        return {
            "name": self.name,
            "width": width,
            "height": height,
            "face": self.face._asdict(),
            "square": self.square._asdict(),
            "faces": self.faces,
            "angle": self.angle,
            "size": self.crop.shape[0],
            "channels": self.x.shape[-1],
        }


#: (bytes of a file, its name) -> the photograph. Raises ImageError, NoFaceError and the like.
PhotoReader = Callable[[bytes, str], Photo]
