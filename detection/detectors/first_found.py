"""Several detectors in turn: the first that finds anything answers.

The cheap and sure one goes first; the ones that look harder, and err more often, are only asked about photographs on
which it found nothing.
"""

from __future__ import annotations

from detection.boxes import Face
from detection.detectors.base import Detector
from minicnn.errors import OptionError, explain
from minicnn.shapes import Array


class FirstFound:
    """``FirstFound(DlibHog(), DlibHog(upsample=1))``. Each face carries the name of the detector that found it."""

    def __init__(self, *detectors: Detector) -> None:
        if not detectors:
            raise OptionError(explain("at least one detector", "none", "FirstFound(DlibHog(), DlibHog(upsample=1))."))
        self.detectors = detectors
        self.name = ", then ".join(detector.name for detector in detectors)

    def detect(self, rgb: Array) -> list[Face]:
        """See ``Detector.detect``. Costs what the detectors cost up to the first that finds a face."""
        return next((faces for detector in self.detectors if (faces := detector.detect(rgb))), [])
