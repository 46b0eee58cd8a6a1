"""What every detector can do."""

from __future__ import annotations

from typing import Protocol

from detection.boxes import Face
from minicnn.shapes import Array


class Detector(Protocol):
    """Finds faces in a photograph.

    ``name`` says which detector, with which options; it is written into every face it finds.
    """

    name: str

    def detect(self, rgb: Array) -> list[Face]:
        """The faces in an RGB picture, uint8 0..255 (H, W, 3), largest first; an empty list when there is none.

        The same picture gives the same list. Boxes may reach beyond the picture. Raises DtypeError or ShapeError when
        ``rgb`` is no such picture, MissingDependencyError when the library behind the detector is not installed.
        """
        ...
