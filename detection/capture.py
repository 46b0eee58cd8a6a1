"""Crops of one person from a camera or a video: the quickest way to a dataset of oneself.

A crop every now and then, not every frame: neighbouring frames are the same picture, and a network that has seen a
hundred of them knows one picture well and the person no better. Frames without a face, or with several when the policy
is "only", are passed over.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from detection.align import EyeFinder, level
from detection.crop import CropSettings, crop_face
from detection.dataset.faces import candidates
from detection.dataset.work import save_crop
from detection.detectors import Detector
from detection.video import Frame
from minicnn.errors import ImageError, OptionError, explain

POLICIES = ("largest", "only", "central")
MAX_LIMIT = 100_000


@dataclass(frozen=True)
class Captured:
    """What came of it: ``paths`` of the crops, how many ``frames`` were looked at and how many had no face to use."""

    paths: tuple[Path, ...]
    frames: int
    without: int


def person_folder(folder: Path, name: str) -> Path:
    """``folder/name``. Raises OptionError for a name that is no plain folder name."""
    letters = {unicodedata.category(letter) for letter in name}
    if not name.strip() or name.startswith(".") or re.search(r'[/\\:*?"<>|]', name) or letters & {"Cc", "Cs"}:
        fix = "Letters, digits, spaces, - and _ are safe."
        raise OptionError(explain("a person's name that can be the name of a folder", repr(name), fix))
    return folder / name


def capture_faces(
    frames: Iterable[Frame],
    name: str,
    folder: Path,
    detector: Detector,
    settings: CropSettings | None = None,
    *,
    eyes: EyeFinder | None = None,
    policy: str = "largest",
    limit: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> Captured:
    """Write the crops of one person's face into ``folder/name``, as 0001.png and so on, until there are ``limit``.

    ``frames`` come from ``read_frames``, whose interval says how far apart they are. Numbers go on behind those that
    are there already. ``eyes`` finds the eyes to level; None leaves heads as they are. Raises OptionError for values
    out of range, OSError when the disk refuses; what was written until then stays.
    """
    if policy not in POLICIES:
        raise OptionError(explain(f"policy as one of {', '.join(POLICIES)}", repr(policy)))
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise OptionError(explain(f"limit as an integer from 1 to {MAX_LIMIT}", repr(limit)))
    target, settings = person_folder(folder, name), settings or CropSettings()
    number = _last_number(target)
    paths: list[Path] = []
    looked = 0
    for frame in frames:
        looked += 1
        height, width = frame.rgb.shape[:2]
        faces = [face for face in detector.detect(frame.rgb) if face.box.clip(width, height)]
        try:
            chosen = candidates(faces, policy, (width, height), name)[:1] if faces else []
        except ImageError:  # several faces, for policy "only"
            chosen = []
        for face in chosen:
            found = eyes.find(frame.rgb, face.box) if eyes else None
            turned = level(frame.rgb, face.box, found.angle) if found else (frame.rgb, face.box)
            number += 1
            paths.append(target / f"{number:04d}.png")
            save_crop(paths[-1], crop_face(*turned, settings))
        if progress:
            progress(len(paths), limit)
        if len(paths) >= limit:
            break
    return Captured(tuple(paths), looked, looked - len(paths))


def _last_number(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return max((int(path.stem) for path in folder.glob("*.png") if re.fullmatch(r"\d{1,9}", path.stem)), default=0)
